#include "serve/batch_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <future>
#include <latch>
#include <new>
#include <numeric>
#include <optional>
#include <thread>

#include "base/error.h"
#include "base/random.h"

namespace mlac {
namespace {

QueuedSequence Sequence(size_t length, int32_t first = 0) {
  QueuedSequence sequence;
  sequence.token_ids.resize(length);
  std::iota(sequence.token_ids.begin(), sequence.token_ids.end(), first);
  sequence.token_type_ids.resize(length);
  return sequence;
}

// A computation that the test lets through batch by batch: the answer to a sequence is {its length, the sum of its ids}.
class Gate {
 public:
  void operator()(const TokenBatch& batch, const RowsWanted& wanted, std::span<float> out, Lane lane) {
    {
      std::unique_lock lock(mutex_);
      std::vector<size_t> lengths;
      for (size_t s = 0; s < batch.num_sequences(); ++s) lengths.push_back(batch.offsets[s + 1] - batch.offsets[s]);
      batches_.push_back(lengths);
      lanes_.push_back(lane);
      changed_.notify_all();
      changed_.wait(lock, [this] { return open_ || num_allowed_ > 0; });
      if (!open_) --num_allowed_;
      if (failing_) throw Error(ErrorCode::kInternal, "the computation failed");
    }
    if (wanted.output == Output::kMasks) {  // to a token that is asked about: its id and its place in the batch
      for (size_t i = 0; i < wanted.tokens.size(); ++i) {
        out[2 * i] = static_cast<float>(batch.token_ids[wanted.tokens[i]]);
        out[2 * i + 1] = static_cast<float>(wanted.tokens[i]);
      }
      return;
    }
    if (wanted.output == Output::kTokens) {  // to a token: its id
      std::copy(batch.token_ids.begin(), batch.token_ids.end(), out.begin());
      return;
    }
    for (size_t s = 0; s < batch.num_sequences(); ++s) {
      out[2 * s] = static_cast<float>(batch.offsets[s + 1] - batch.offsets[s]);
      out[2 * s + 1] = static_cast<float>(
          std::accumulate(batch.token_ids.begin() + static_cast<ptrdiff_t>(batch.offsets[s]),
                          batch.token_ids.begin() + static_cast<ptrdiff_t>(batch.offsets[s + 1]), 0));
    }
  }
  void Open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void Allow() {
    const std::lock_guard lock(mutex_);
    ++num_allowed_;
    changed_.notify_all();
  }
  void Fail() {
    const std::lock_guard lock(mutex_);
    failing_ = true;
  }
  // The lengths of the batches so far, when there are at least so many.
  std::vector<std::vector<size_t>> Batches(size_t at_least) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return batches_.size() >= at_least; });
    return batches_;
  }
  std::vector<Lane> lanes() {
    const std::lock_guard lock(mutex_);
    return lanes_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false, failing_ = false;
  size_t num_allowed_ = 0;
  std::vector<std::vector<size_t>> batches_;
  std::vector<Lane> lanes_;
};

class BatchQueueTest : public testing::Test {
 protected:
  BatchQueue& Make(BatchQueueOptions options = {}) {
    options.row_sizes = {2, 1, 0, 2};
    queue_.emplace(options, [this](const TokenBatch& batch, const RowsWanted& wanted, std::span<float> out, Lane lane) { gate_(batch, wanted, out, lane); });
    return *queue_;
  }
  ~BatchQueueTest() override { gate_.Open(); }

  BatchQueue::Ticket Submit(std::vector<QueuedSequence> sequences, std::future<BatchResult>& result, Output output = Output::kSequence,
                            BatchQueue::Take take = nullptr) {
    const auto promise = std::make_shared<std::promise<BatchResult>>();
    result = promise->get_future();
    return queue_->Submit(
        std::move(sequences), [promise](BatchResult result) { promise->set_value(std::move(result)); }, output, std::move(take));
  }

  // Four threads with requests of all sizes, some of which are cancelled.
  void AskFromManyThreads() {
    std::vector<std::thread> clients;
    for (size_t c = 0; c < 4; ++c)
      clients.emplace_back([&, c] {
        Random random(/*seed=*/c);
        for (size_t i = 0; i < 100; ++i) {
          std::vector<QueuedSequence> sequences;
          std::vector<float> expected;
          for (size_t s = 0; s <= random.Below(10); ++s) {
            const size_t length = 1 + random.Below(20), first = random.Below(1000);
            sequences.push_back(Sequence(length, static_cast<int32_t>(first)));
            expected.push_back(static_cast<float>(length));
            expected.push_back(static_cast<float>(length * first + length * (length - 1) / 2));
          }
          std::future<BatchResult> result;
          const BatchQueue::Ticket ticket = Submit(std::move(sequences), result);
          if (i % 7 == 0) {
            queue_->Cancel(ticket);
          } else {
            EXPECT_EQ(result.get().values, expected);
          }
        }
      });
    for (std::thread& client : clients) client.join();
  }

  Gate gate_;
  ComputeTurns two_lanes_{2};
  std::optional<BatchQueue> queue_;
};

TEST_F(BatchQueueTest, ComputesWhatCameMeanwhileTogetherAndAnswersEachItsOwn) {
  Make();
  std::future<BatchResult> first, second, third;
  Submit({Sequence(5)}, first);
  gate_.Batches(1);  // under way, so the rest waits
  Submit({Sequence(2, 10), Sequence(3, 20)}, second);
  Submit({Sequence(4, 30)}, third);
  EXPECT_EQ(queue_->num_waiting(), 3u);
  gate_.Open();
  EXPECT_EQ(first.get().values, (std::vector<float>{5, 10}));
  EXPECT_EQ(second.get().values, (std::vector<float>{2, 21, 3, 63}));
  EXPECT_EQ(third.get().values, (std::vector<float>{4, 126}));
  EXPECT_EQ(gate_.Batches(2), (std::vector<std::vector<size_t>>{{5}, {2, 4, 3}}));
  EXPECT_EQ(queue_->num_waiting(), 0u);
}

TEST_F(BatchQueueTest, ComputesRowsOfTokensApartFromRowsOfSequences) {
  Make();
  std::future<BatchResult> first, tokens, sequences, more_tokens;
  Submit({Sequence(5)}, first);
  gate_.Batches(1);
  Submit({Sequence(2, 10), Sequence(3, 20)}, tokens, Output::kTokens);
  Submit({Sequence(4, 30)}, sequences);
  Submit({Sequence(1, 40)}, more_tokens, Output::kTokens);
  gate_.Open();
  EXPECT_EQ(tokens.get().values, (std::vector<float>{10, 11, 20, 21, 22}));
  EXPECT_EQ(sequences.get().values, (std::vector<float>{4, 126}));
  EXPECT_EQ(more_tokens.get().values, (std::vector<float>{40}));
  EXPECT_EQ(gate_.Batches(3), (std::vector<std::vector<size_t>>{{5}, {2, 1, 3}, {4}}));
}

TEST_F(BatchQueueTest, GivesRowsOfTheTokensThatAreAskedAboutOneSequenceAtATime) {
  Make();
  std::future<BatchResult> first, masks, others;
  Submit({Sequence(5)}, first);
  gate_.Batches(1);
  const auto asking = [](QueuedSequence sequence, std::vector<size_t> tokens) {
    sequence.tokens = std::move(tokens);
    return sequence;
  };
  std::vector<std::vector<float>> taken(3);
  Submit({asking(Sequence(3, 10), {0, 2}), asking(Sequence(2, 20), {}), asking(Sequence(2, 30), {1})}, masks, Output::kMasks,
         [&](size_t index, std::span<const float> rows) { taken[index].assign(rows.begin(), rows.end()); });
  Submit({asking(Sequence(2, 40), {1})}, others, Output::kMasks);
  gate_.Open();
  EXPECT_TRUE(masks.get().values.empty());
  EXPECT_EQ(others.get().values, (std::vector<float>{41, 4}));  // behind the first sequence of the other request
  EXPECT_EQ(taken, (std::vector<std::vector<float>>{{10, 0, 12, 2}, {}, {31, 8}}));
  EXPECT_EQ(gate_.Batches(2)[1], (std::vector<size_t>{3, 2, 2, 2}));
}

TEST_F(BatchQueueTest, WhatTakingRowsThrowsEndsItsRequestAndNoOther) {
  Make({.max_batch_tokens = 4});
  std::future<BatchResult> first, failing, other;
  Submit({Sequence(1)}, first);
  gate_.Batches(1);
  size_t num_taken = 0;
  Submit(std::vector<QueuedSequence>(3, Sequence(4)), failing, Output::kSequence, [&](size_t, std::span<const float>) {
    ++num_taken;
    throw Error(ErrorCode::kInternal, "no room for it");
  });
  Submit({Sequence(2, 7)}, other);
  gate_.Open();
  EXPECT_THROW(std::rethrow_exception(failing.get().error), Error);
  EXPECT_EQ(other.get().values, (std::vector<float>{2, 15}));
  queue_.reset();
  EXPECT_EQ(num_taken, 1u);  // the rest was not computed
}

TEST_F(BatchQueueTest, KeepsTheRowsOfABatchWithinTheirLimit) {
  Make({.max_batch_values = 10});
  std::future<BatchResult> results[3];
  Submit({Sequence(1)}, results[0]);
  gate_.Batches(1);
  Submit({Sequence(6), Sequence(4), Sequence(1)}, results[1], Output::kTokens);
  Submit({Sequence(11)}, results[2], Output::kTokens);  // more than the limit: computed all the same, alone
  gate_.Open();
  EXPECT_EQ(results[1].get().values.size(), 11u);
  EXPECT_EQ(results[2].get().values.size(), 11u);
  EXPECT_EQ(gate_.Batches(4), (std::vector<std::vector<size_t>>{{1}, {6, 4}, {11}, {1}}));
}

TEST_F(BatchQueueTest, FillsABatchUpToItsLimitAndNotBeyond) {
  Make({.max_batch_tokens = 10});
  std::future<BatchResult> results[4];
  Submit({Sequence(1)}, results[0]);
  gate_.Batches(1);
  Submit({Sequence(6), Sequence(4), Sequence(1)}, results[1]);
  Submit({Sequence(11)}, results[2]);  // longer than a batch: computed all the same, alone
  gate_.Open();
  EXPECT_EQ(results[1].get().values.size(), 6u);
  EXPECT_EQ(results[2].get().values[0], 11);
  EXPECT_EQ(gate_.Batches(4), (std::vector<std::vector<size_t>>{{1}, {6, 4}, {11}, {1}}));
}

TEST_F(BatchQueueTest, LetsATextAloneNotWaitForTheWholeOfALargeRequest) {
  Make({.max_batch_tokens = 20});
  std::future<BatchResult> large, small;
  Submit(std::vector<QueuedSequence>(100, Sequence(10)), large);
  EXPECT_EQ(gate_.Batches(1), (std::vector<std::vector<size_t>>{{10, 10}}));
  Submit({Sequence(3)}, small);
  gate_.Allow();
  gate_.Allow();
  EXPECT_EQ(small.get().values[0], 3);  // in the very next batch
  EXPECT_EQ(gate_.Batches(2)[1], (std::vector<size_t>{10, 3}));
  gate_.Open();
  EXPECT_EQ(large.get().values.size(), 200u);
}

TEST_F(BatchQueueTest, TakesTurnsBetweenRequestsSoThatNoneStarves) {
  Make({.max_batch_tokens = 10});
  std::future<BatchResult> first, a, b;
  Submit({Sequence(1)}, first);
  gate_.Batches(1);
  Submit(std::vector<QueuedSequence>(3, Sequence(6)), a);
  Submit(std::vector<QueuedSequence>(3, Sequence(7)), b);
  gate_.Open();
  a.get();
  b.get();
  EXPECT_EQ(gate_.Batches(7), (std::vector<std::vector<size_t>>{{1}, {6}, {7}, {6}, {7}, {6}, {7}}));
}

TEST_F(BatchQueueTest, DropsWhatIsCancelledBeforeItIsComputed) {
  Make();
  std::future<BatchResult> first, cancelled, last;
  Submit({Sequence(1)}, first);
  gate_.Batches(1);
  const BatchQueue::Ticket ticket = Submit({Sequence(2), Sequence(3)}, cancelled);
  Submit({Sequence(4)}, last);
  queue_->Cancel(ticket);
  queue_->Cancel(ticket);
  EXPECT_EQ(queue_->num_waiting(), 1u);
  EXPECT_THROW(cancelled.get(), std::future_error);  // done has gone, uncalled
  gate_.Open();
  last.get();
  EXPECT_EQ(gate_.Batches(2), (std::vector<std::vector<size_t>>{{1}, {4}}));
}

TEST_F(BatchQueueTest, DropsTheRestOfARequestThatIsCancelledInTheMiddle) {
  Make({.max_batch_tokens = 2});
  std::future<BatchResult> cancelled, last;
  const BatchQueue::Ticket ticket = Submit(std::vector<QueuedSequence>(5, Sequence(2)), cancelled);
  gate_.Batches(1);
  queue_->Cancel(ticket);
  Submit({Sequence(1)}, last);
  gate_.Open();
  last.get();
  EXPECT_THROW(cancelled.get(), std::future_error);
  EXPECT_EQ(gate_.Batches(2), (std::vector<std::vector<size_t>>{{2}, {1}}));
}

TEST_F(BatchQueueTest, GivesTheErrorOfTheComputationToThoseInTheBatchAndGoesOn) {
  Make({.max_batch_tokens = 2});
  gate_.Fail();
  std::future<BatchResult> failed, second;
  Submit(std::vector<QueuedSequence>(5, Sequence(2)), failed);
  gate_.Open();
  const BatchResult result = failed.get();
  EXPECT_TRUE(result.values.empty());
  EXPECT_THROW(std::rethrow_exception(result.error), Error);
  Submit({Sequence(1)}, second);
  EXPECT_TRUE(second.get().error);
  EXPECT_EQ(gate_.Batches(2), (std::vector<std::vector<size_t>>{{2}, {1}}));  // the rest of the first was not tried
}

TEST_F(BatchQueueTest, AnswersWhatIsLeftAtItsEndWithAnError) {
  Make();
  std::future<BatchResult> first, left;
  Submit({Sequence(1)}, first);
  gate_.Batches(1);
  Submit({Sequence(2)}, left);
  std::thread end([&] { queue_.reset(); });
  gate_.Open();
  end.join();
  first.get();
  const BatchResult result = left.get();  // computed, or given up
  EXPECT_TRUE(result.error || result.values.size() == 2);
}

// Queues whose batches are computed together: the rows of all fit into one room, and each gets its own.
TEST(BatchQueues, ShareTheRoomForTheirRows) {
  constexpr size_t kMaxValues = 20, kNumQueues = 4;
  RowRoom room(kMaxValues);
  std::atomic<size_t> num_values = 0, most = 0;
  std::vector<std::unique_ptr<BatchQueue>> queues;
  for (size_t q = 0; q < kNumQueues; ++q)
    queues.push_back(std::make_unique<BatchQueue>(
        BatchQueueOptions{.row_sizes = {2, 1, 0, 2}, .max_batch_tokens = 16, .room = &room},
        [&](const TokenBatch& batch, const RowsWanted&, std::span<float> out, Lane) {
          const size_t now = num_values += out.size();
          for (size_t before = most; before < now && !most.compare_exchange_weak(before, now);) {
          }
          std::this_thread::yield();
          std::copy(batch.token_ids.begin(), batch.token_ids.end(), out.begin());
          num_values -= out.size();
        }));
  std::vector<std::future<BatchResult>> results;
  std::vector<std::vector<float>> expected;
  for (size_t i = 0; i < 400; ++i) {
    const size_t length = i % 50 == 7 ? 25 : 1 + i % 9;  // some are more than the room
    const auto promise = std::make_shared<std::promise<BatchResult>>();
    results.push_back(promise->get_future());
    std::vector<QueuedSequence> sequences(1, Sequence(length, static_cast<int32_t>(i)));
    expected.emplace_back(sequences[0].token_ids.begin(), sequences[0].token_ids.end());
    queues[i % kNumQueues]->Submit(
        std::move(sequences), [promise](BatchResult result) { promise->set_value(std::move(result)); }, Output::kTokens);
  }
  for (size_t i = 0; i < results.size(); ++i) EXPECT_EQ(results[i].get().values, expected[i]) << i;
  EXPECT_LE(most, 25u);  // one of those alone
  EXPECT_GT(most, 0u);
}

TEST(RowRoom, LetsInWhatFitsInTheOrderOfComing) {
  RowRoom room(10);
  std::optional<RowRoom::Share> first(room.Take(4)), second(room.Take(6));
  std::vector<int> order;
  std::mutex mutex;
  std::atomic<int> num_come = 0;
  const auto come = [&](int who, size_t num_values) {
    return std::thread([&, who, num_values] {
      while (num_come != who) std::this_thread::yield();
      ++num_come;
      const RowRoom::Share share = room.Take(num_values);
      const std::lock_guard lock(mutex);
      order.push_back(who);
    });
  };
  std::thread large = come(0, 30);  // all of the room
  while (num_come < 1 || room.num_waiting() < 1) std::this_thread::yield();
  std::thread small = come(1, 1);
  while (room.num_waiting() < 2) std::this_thread::yield();
  first.reset();  // the small one would fit, but came later
  EXPECT_EQ(room.num_waiting(), 2u);
  second.reset();
  large.join();
  small.join();
  EXPECT_EQ(order, (std::vector<int>{0, 1}));
  EXPECT_EQ(room.num_waiting(), 0u);
}

TEST_F(BatchQueueTest, ReportsEachBatch) {
  std::vector<BatchStats> stats;
  gate_.Open();
  Make({.on_batch = [&](const BatchStats& batch) { stats.push_back(batch); }});
  std::future<BatchResult> result;
  Submit({Sequence(2), Sequence(3)}, result);
  const BatchResult found = result.get();
  EXPECT_GE(found.queue_ms, 0);
  EXPECT_GE(found.compute_ms, 0);
  queue_.reset();
  ASSERT_EQ(stats.size(), 1u);
  EXPECT_EQ(stats[0].num_sequences, 2u);
  EXPECT_EQ(stats[0].num_tokens, 5u);
}

TEST_F(BatchQueueTest, GivesEveryRequestOfManyThreadsItsOwnAnswerWithTwoWorkers) {
  gate_.Open();
  Make({.max_batch_tokens = 32, .num_workers = 2});
  AskFromManyThreads();
}

TEST_F(BatchQueueTest, GivesEveryRequestOfManyThreadsItsOwnAnswerFromLanes) {
  gate_.Open();
  ComputeTurns turns(3);
  Make({.max_batch_tokens = 64, .max_lane_tokens = 18, .min_lane_tokens = 4, .num_workers = 3, .turns = &turns});
  AskFromManyThreads();
  queue_.reset();
}

// Holds all lanes, so that a test can say what waits.
struct Held {
  explicit Held(ComputeTurns& of) : turns(of), turn(of.Take(party)) {}
  void Release(size_t num_waiting) {  // when so many wait for a turn
    while (turns.num_waiting() != num_waiting) std::this_thread::yield();
    turn.reset();
  }
  ComputeTurns& turns;
  ComputeTurns::Party party;
  std::optional<ComputeTurns::Turn> turn;
};

TEST_F(BatchQueueTest, CutsWhatWaitsIntoTwoPartsForEachLane) {
  Held held(two_lanes_);
  std::mutex mutex;
  std::vector<BatchStats> stats;
  const auto count = [&](const BatchStats& batch) {
    const std::lock_guard lock(mutex);
    stats.push_back(batch);
  };
  Make({.max_batch_tokens = 512, .num_workers = 2, .turns = &two_lanes_, .on_batch = count});
  std::future<BatchResult> result;
  Submit(std::vector<QueuedSequence>(12, Sequence(21)), result);
  held.Release(1);
  EXPECT_EQ(gate_.Batches(2), (std::vector<std::vector<size_t>>(2, std::vector<size_t>(3, 21)))) << "both are under way";
  EXPECT_THAT(gate_.lanes(), testing::UnorderedElementsAre(Lane(0), Lane(1)));
  EXPECT_EQ(queue_->num_waiting(), 6u);
  gate_.Open();
  EXPECT_EQ(result.get().values.size(), 24u);
  queue_.reset();
  EXPECT_GE(stats.size(), 4u);
  for (size_t i = 0; i < 2; ++i) EXPECT_EQ(stats[i].busy_ms, stats[i].compute_ms / 2);
}

TEST_F(BatchQueueTest, ALaneTakesItsPartOfWhatWaitsAndOfWhatIsComputed) {
  Held held(two_lanes_);
  Make({.max_batch_tokens = 512, .num_workers = 2, .turns = &two_lanes_});
  std::future<BatchResult> first, second;
  Submit(std::vector<QueuedSequence>(4, Sequence(25)), first);
  held.Release(1);
  EXPECT_EQ(gate_.Batches(2), (std::vector<std::vector<size_t>>(2, std::vector<size_t>(2, 25))));
  Submit(std::vector<QueuedSequence>(10, Sequence(25)), second);
  gate_.Allow();  // one lane is free, with 250 tokens that wait and 50 in the other: twice 75 for each
  EXPECT_EQ(gate_.Batches(3)[2].size(), 3u);
  gate_.Open();
  EXPECT_EQ(first.get().values.size(), 8u);
  EXPECT_EQ(second.get().values.size(), 20u);
}

TEST_F(BatchQueueTest, AllThreadsComputeWhatIsTooLittleForLanes) {
  Make({.max_batch_tokens = 512, .num_workers = 2, .turns = &two_lanes_});
  gate_.Open();
  for (const auto& few : std::vector<std::vector<QueuedSequence>>{{Sequence(100)}, {Sequence(40), Sequence(40)}}) {
    Held held(two_lanes_);
    std::future<BatchResult> result;
    Submit(few, result);
    held.Release(1);
    result.get();
  }
  EXPECT_EQ(gate_.Batches(2), (std::vector<std::vector<size_t>>{{100}, {40, 40}}));
  EXPECT_EQ(gate_.lanes(), (std::vector<Lane>{kWholeTeam, kWholeTeam}));
}

TEST_F(BatchQueueTest, TakesMoreOfARequestBehindManyOfAnotherKind) {
  Make({.max_batch_tokens = 100});
  std::future<BatchResult> first, texts;
  std::vector<std::future<BatchResult>> tokens(100);
  Submit({Sequence(5)}, first);
  gate_.Batches(1);
  Submit(std::vector<QueuedSequence>(20, Sequence(10)), texts);
  for (std::future<BatchResult>& result : tokens) Submit({Sequence(10)}, result, Output::kTokens);
  gate_.Open();
  EXPECT_EQ(gate_.Batches(2)[1], std::vector<size_t>(10, 10));
  EXPECT_EQ(texts.get().values.size(), 40u);
  for (std::future<BatchResult>& result : tokens) EXPECT_EQ(result.get().values.size(), 10u);
}

TEST_F(BatchQueueTest, LeavesToAnotherLaneWhatIsMoreThanItsPart) {
  Make({.max_batch_tokens = 512, .num_workers = 2, .turns = &two_lanes_});
  {
    Held held(two_lanes_);
    std::future<BatchResult> result;
    Submit({Sequence(47), Sequence(54)}, result);
    held.Release(1);
    EXPECT_THAT(gate_.Batches(2), testing::UnorderedElementsAre(std::vector<size_t>{47}, std::vector<size_t>{54}));
    gate_.Allow();
    gate_.Allow();
    result.get();
  }
  Held held(two_lanes_);
  std::future<BatchResult> result;
  Submit({Sequence(8), Sequence(120)}, result);
  gate_.Open();
  held.Release(1);
  result.get();
  EXPECT_EQ(gate_.Batches(3)[2], (std::vector<size_t>{8, 120}));
  EXPECT_EQ(gate_.lanes()[2], kWholeTeam) << "one lane would have nearly all of it";
}

TEST_F(BatchQueueTest, AllThreadsComputeTheNextWhereLanesHaveLittle) {
  ComputeTurns turns(4);
  std::atomic<int> num_counted = 0;
  Make({.max_batch_tokens = 512, .num_workers = 4, .turns = &turns, .on_batch = [&](const BatchStats&) { ++num_counted; }});
  std::future<BatchResult> many, few;
  Held held(turns);
  Submit(std::vector<QueuedSequence>(4, Sequence(50)), many);
  held.Release(1);
  gate_.Batches(4);
  for (int i = 0; i < 3; ++i) gate_.Allow();
  while (num_counted != 3) std::this_thread::yield();
  Submit({Sequence(20)}, few);  // and 50 in one lane: it waits for all
  while (turns.num_waiting() != 1) std::this_thread::yield();
  gate_.Open();
  few.get();
  EXPECT_EQ(gate_.lanes()[4], kWholeTeam);
  queue_.reset();
}

TEST_F(BatchQueueTest, CountsTheTimeOfLanesThatComputeOneRequestOnce) {
  Held held(two_lanes_);
  Make({.max_batch_tokens = 512, .num_workers = 2, .turns = &two_lanes_});
  const auto start = std::chrono::steady_clock::now();
  std::future<BatchResult> result;
  Submit(std::vector<QueuedSequence>(8, Sequence(50)), result);
  held.Release(1);
  gate_.Batches(2);
  std::this_thread::sleep_for(std::chrono::milliseconds(30));  // both compute
  gate_.Open();
  const BatchResult found = result.get();
  EXPECT_GE(found.compute_ms, 30);
  EXPECT_LE(found.compute_ms + found.queue_ms, MillisecondsSince(start));
}

TEST_F(BatchQueueTest, EndsWhileLanesComputeAndOneWaitsForAllThreads) {
  Held held(two_lanes_);
  Make({.max_batch_tokens = 512, .num_workers = 2, .turns = &two_lanes_});
  std::future<BatchResult> few, longer;
  Submit(std::vector<QueuedSequence>(2, Sequence(50)), few);
  held.Release(1);
  gate_.Batches(2);
  Submit({Sequence(300)}, longer);
  gate_.Allow();
  while (two_lanes_.num_waiting() != 1) std::this_thread::yield();
  std::thread end([&] { queue_.reset(); });
  gate_.Open();
  end.join();
  EXPECT_FALSE(few.get().error);
  const BatchResult found = longer.get();  // computed, or given up
  EXPECT_TRUE(found.error || found.values.size() == 2);
}

size_t NumThreads() {
  size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) count += entry.exists();
  return count;
}

TEST_F(BatchQueueTest, StartsWorkersWhenThereIsWorkForThemOrAtOnce) {
  gate_.Open();
  std::thread([] {}).join();  // a sanitiser has threads of its own from the first one on
  const size_t before = NumThreads();
  const auto await_threads = [&](size_t count) {  // one that was joined may be seen for a moment
    while (NumThreads() != before + count) std::this_thread::yield();
  };
  Make({.num_workers = 5});
  await_threads(1);
  queue_.reset();
  await_threads(0);
  Make({.num_workers = 5, .starts_all = true});
  await_threads(5);
}

TEST_F(BatchQueueTest, ASequenceTooLongForALaneHasAllThreadsNext) {
  Held held(two_lanes_);
  Make({.max_batch_tokens = 512, .num_workers = 2, .turns = &two_lanes_});
  std::future<BatchResult> few, longer, more;
  Submit(std::vector<QueuedSequence>(2, Sequence(50)), few);  // one for each lane
  held.Release(1);
  gate_.Batches(2);
  Submit(std::vector<QueuedSequence>(4, Sequence(60)), more);
  Submit({Sequence(300)}, longer);
  gate_.Allow();  // this lane's worker waits for the other lane now
  while (two_lanes_.num_waiting() != 1) std::this_thread::yield();
  gate_.Allow();
  EXPECT_EQ(gate_.Batches(3)[2], (std::vector<size_t>{60, 300, 60, 60}));
  EXPECT_EQ(gate_.lanes()[2], kWholeTeam);
  gate_.Open();
  few.get();
  EXPECT_EQ(longer.get().values.size(), 2u);
  EXPECT_EQ(more.get().values.size(), 8u);
}

TEST_F(BatchQueueTest, ForgetsTheTokensOfWhatIsCancelled) {
  Held held(two_lanes_);
  Make({.max_batch_tokens = 512, .num_workers = 2, .turns = &two_lanes_});
  std::future<BatchResult> many, few;
  const BatchQueue::Ticket ticket = Submit(std::vector<QueuedSequence>(20, Sequence(50)), many);
  Submit({Sequence(20), Sequence(20)}, few);
  queue_->Cancel(ticket);
  gate_.Open();
  held.Release(1);
  few.get();
  EXPECT_EQ(gate_.Batches(1), (std::vector<std::vector<size_t>>{{20, 20}}));
  EXPECT_EQ(gate_.lanes(), (std::vector<Lane>{kWholeTeam})) << "too little for lanes";
}

}  // namespace
}  // namespace mlac
