#include "base/fair_mutex.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace mlac {
namespace {

TEST(FairMutex, GoesToThoseWhoWaitInTheOrderOfTheirComing) {
  FairMutex mutex;
  std::vector<size_t> order;  // guarded by it
  std::vector<std::thread> threads;
  mutex.lock();
  for (size_t i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (size_t round = 0; round < 3; ++round) {
        const std::lock_guard lock(mutex);
        order.push_back(i);
        while (mutex.num_waiting() < 3 && order.size() <= 8) std::this_thread::yield();  // the others have come back
      }
    });
    while (mutex.num_waiting() != i + 1) std::this_thread::yield();
  }
  mutex.unlock();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(order, (std::vector<size_t>{0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3}));
}

TEST(FairMutex, LetsNobodyInWhileItIsHeld) {
  FairMutex mutex;
  size_t count = 0;
  std::vector<std::thread> threads;
  for (size_t i = 0; i < 8; ++i)
    threads.emplace_back([&] {
      for (size_t round = 0; round < 500; ++round) {
        const std::lock_guard lock(mutex);
        ++count;
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(count, 4000u);
  EXPECT_EQ(mutex.num_waiting(), 0u);
}

}  // namespace
}  // namespace mlac
