#include "serve/compute_turns.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <thread>

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

TEST(ComputeTurns, LetsTheOneWithTheLeastTimeGoFirstThoughItCameLast) {
  ComputeTurns turns;
  ComputeTurns::Party busy, idle, holder;
  {
    const ComputeTurns::Turn turn = turns.Take(busy);
    Spend(20ms);
  }
  std::string order;
  std::optional<ComputeTurns::Turn> held(turns.Take(holder));
  {
    const Waiter a(turns, busy, order, 'b');
    AwaitWaiting(turns, 1);
    const Waiter b(turns, idle, order, 'i');
    AwaitWaiting(turns, 2);
    held.reset();
  }
  EXPECT_EQ(order, "ib");
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

TEST(ComputeTurns, AFloodOfOneQueueLetsAnotherWaitForOneBatch) {
  ComputeTurns turns;
  std::mutex mutex;
  std::string order;
  const auto compute = [&](char name) {
    return [&, name](const TokenBatch&, const RowsWanted&, std::span<float>) {
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
