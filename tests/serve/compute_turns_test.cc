#include "serve/compute_turns.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "serve/batch_queue.h"

namespace mlac {
namespace {

using namespace std::chrono_literals;

// Busy for a time that the turns measure.
void Spend(std::chrono::milliseconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  while (std::chrono::steady_clock::now() < end) {
  }
}

TEST(ComputeTurns, GivesTheTurnToOneAtATime) {
  ComputeTurns turns;
  std::atomic<int> num_computing = 0, num_turns = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      ComputeTurns::Party party;
      for (int i = 0; i < 200; ++i) {
        const ComputeTurns::Turn turn = turns.Take(party);
        EXPECT_EQ(++num_computing, 1);
        ++num_turns;
        --num_computing;
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(num_turns, 800);
}

// Takes a turn on a thread of its own, and says so in order.
class Waiter {
 public:
  Waiter(ComputeTurns& turns, ComputeTurns::Party& party, std::string& order, char name, std::chrono::milliseconds time = 0ms)
      : thread_([&turns, &party, &order, name, time] {
          const ComputeTurns::Turn turn = turns.Take(party);
          order += name;
          Spend(time);
        }) {}
  ~Waiter() { thread_.join(); }

 private:
  std::thread thread_;
};

void AwaitWaiting(const ComputeTurns& turns, size_t count) {
  while (turns.num_waiting() != count) std::this_thread::yield();
}

// The order in which two have their turns who wait while a third has its own: "12" if it is that of their coming.
std::string OrderOfTurns(ComputeTurns& turns, ComputeTurns::Party& first, ComputeTurns::Party& second) {
  std::string order;
  ComputeTurns::Party holder;
  std::optional<ComputeTurns::Turn> held(turns.Take(holder));
  {
    const Waiter a(turns, first, order, '1');
    AwaitWaiting(turns, 1);
    const Waiter b(turns, second, order, '2');
    AwaitWaiting(turns, 2);
    held.reset();
  }
  return order;
}

TEST(ComputeTurns, LetsTheOneWithTheLeastTimeGoFirstThoughItCameLast) {
  ComputeTurns turns;
  ComputeTurns::Party busy, idle;
  {
    const ComputeTurns::Turn turn = turns.Take(busy);
    Spend(20ms);
  }
  EXPECT_EQ(OrderOfTurns(turns, busy, idle), "21");
}

TEST(ComputeTurns, GivesNoCreditForTimeThatNothingWasAskedIn) {
  ComputeTurns turns;
  ComputeTurns::Party busy, late, holder;
  for (int i = 0; i < 3; ++i) {
    const ComputeTurns::Turn turn = turns.Take(busy);
    Spend(10ms);
  }
  std::string order;
  std::optional<ComputeTurns::Turn> held(turns.Take(busy));  // the clock stands at busy's 30 ms
  {
    const Waiter first(turns, late, order, 'l', 5ms);
    AwaitWaiting(turns, 1);
    const Waiter second(turns, holder, order, 'h');
    AwaitWaiting(turns, 2);
    held.reset();
  }
  EXPECT_EQ(order, "lh");  // in the order of their coming: neither has more to its credit
}

TEST(ComputeTurns, GivesEachLaneToOneAtATimeAndAllToOneAlone) {
  constexpr size_t kNumLanes = 3;
  ComputeTurns turns(kNumLanes);
  std::array<std::atomic<int>, kNumLanes> in_lane = {};
  std::atomic<int> num_with_all = 0, num_turns = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 5; ++t)
    threads.emplace_back([&, t] {
      ComputeTurns::Party party;
      for (int i = 0; i < 200; ++i) {
        ComputeTurns::Turn turn = t == 0 || i % 9 == 0 ? turns.Take(party) : turns.TakeLane(party);
        if (i % 4 == 1) turn.Widen();
        if (turn.lane()) {
          ASSERT_LT(*turn.lane(), kNumLanes);
          EXPECT_EQ(++in_lane[*turn.lane()], 1);
          EXPECT_EQ(num_with_all, 0);
          --in_lane[*turn.lane()];
        } else {
          EXPECT_EQ(++num_with_all, 1);
          for (const auto& count : in_lane) EXPECT_EQ(count, 0);
          --num_with_all;
        }
        ++num_turns;
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(num_turns, 1000);
}

TEST(ComputeTurns, LetsOnePartyHaveSeveralLanes) {
  ComputeTurns turns(2);
  ComputeTurns::Party party;
  const ComputeTurns::Turn first = turns.TakeLane(party), second = turns.TakeLane(party);
  EXPECT_NE(first.lane(), kWholeTeam);
  EXPECT_NE(second.lane(), kWholeTeam);
  EXPECT_NE(first.lane(), second.lane());
}

TEST(ComputeTurns, TheOnlyLaneIsTheWholeTeam) {
  ComputeTurns turns;
  ComputeTurns::Party party;
  EXPECT_EQ(turns.TakeLane(party).lane(), kWholeTeam);
}

TEST(ComputeTurns, WidensALaneOnlyWhereNobodyElseHasOne) {
  ComputeTurns turns(2);
  ComputeTurns::Party a, b;
  std::optional<ComputeTurns::Turn> first(turns.TakeLane(a)), second(turns.TakeLane(b));
  EXPECT_FALSE(first->Widen()) << "the other lane is taken";
  second.reset();
  std::string order;
  {
    const Waiter waiter(turns, b, order, 'w');
    AwaitWaiting(turns, 1);
    EXPECT_TRUE(first->Widen()) << "one that waits for all has no use for the other lane";
    EXPECT_EQ(first->lane(), kWholeTeam);
    EXPECT_TRUE(first->Widen()) << "it has all";
    first.reset();
  }
  EXPECT_EQ(turns.TakeLane(b).lane(), Lane(0)) << "all were given back";
}

TEST(ComputeTurns, OneThatWaitsForAllIsNotPassedByThoseWhoWantALane) {
  ComputeTurns turns(2);
  ComputeTurns::Party holder, all, late;
  std::optional<ComputeTurns::Turn> held(turns.TakeLane(holder));
  std::string order;
  {
    const Waiter waiter(turns, all, order, 'a');
    AwaitWaiting(turns, 1);
    std::thread lane([&] {
      const ComputeTurns::Turn turn = turns.TakeLane(late);
      order += 'l';
    });
    AwaitWaiting(turns, 2);
    std::this_thread::sleep_for(20ms);
    EXPECT_EQ(turns.num_waiting(), 2u) << "a lane is free, but the first waits for both";
    held.reset();
    lane.join();
  }
  EXPECT_EQ(order, "al");
}

TEST(ComputeTurns, CountsTheTimeOfALaneAsItsPartOfAllThreads) {
  ComputeTurns turns(16);
  ComputeTurns::Party lane, all;
  {
    const ComputeTurns::Turn turn = turns.TakeLane(lane);
    Spend(100ms);  // some 6 of all
  }
  {
    const ComputeTurns::Turn turn = turns.Take(all);
    Spend(30ms);
  }
  EXPECT_EQ(OrderOfTurns(turns, all, lane), "21");
}

TEST(ComputeTurns, AFloodOfOneQueueLetsAnotherWaitForOneBatch) {
  ComputeTurns turns;
  std::mutex mutex;
  std::string order;
  const auto compute = [&](char name) {
    return [&, name](const TokenBatch&, const RowsWanted&, std::span<float>, Lane) {
      Spend(2ms);
      const std::lock_guard lock(mutex);
      order += name;
    };
  };
  std::atomic<size_t> num_left = 0;
  const auto done = [&](BatchResult) { --num_left; };
  const std::vector<QueuedSequence> flood(50, QueuedSequence{{1, 2}, {0, 0}});
  BatchQueue busy({.row_sizes = {1}, .max_batch_tokens = 2, .turns = &turns}, compute('b'));
  BatchQueue quiet({.row_sizes = {1}, .max_batch_tokens = 2, .turns = &turns}, compute('q'));
  ComputeTurns::Party holder;
  std::optional<ComputeTurns::Turn> held(turns.Take(holder));
  num_left = 3;
  busy.Submit(flood, done);
  AwaitWaiting(turns, 1);
  quiet.Submit({{{1}, {0}}, {{2}, {0}}}, done);
  busy.Submit(flood, done);
  AwaitWaiting(turns, 2);
  held.reset();
  while (num_left > 0) std::this_thread::yield();
  EXPECT_EQ(order.size(), 102u - 1u);  // two of quiet go together
  EXPECT_LE(order.find('q'), 1u) << order;
}

}  // namespace
}  // namespace mlac
