#include "base/thread_team.h"

#include <gtest/gtest.h>

#include <mutex>
#include <numeric>
#include <set>
#include <stdexcept>

namespace mlac {
namespace {

TEST(ThreadTeam, RunsEveryIndexOnceWhateverTheCounts) {
  for (const size_t num_threads : {1, 2, 3, 5}) {
    ThreadTeam team(num_threads);
    for (const size_t count : {0, 1, 2, 7, 64, 65})
      for (const size_t grain : {1, 4, 64}) {
        std::vector<std::atomic<int>> ranges(count), tasks(count);
        team.ParallelFor(count, grain, [&](size_t begin, size_t end, size_t thread) {
          EXPECT_LT(thread, num_threads);
          EXPECT_EQ(begin % grain, 0u);
          for (size_t i = begin; i < end; ++i) ++ranges[i];
        });
        team.ParallelTasks(count, [&](size_t i, size_t) { ++tasks[i]; });
        for (size_t i = 0; i < count; ++i) EXPECT_TRUE(ranges[i] == 1 && tasks[i] == 1) << num_threads << ", " << count << ", " << grain;
      }
  }
}

TEST(ThreadTeam, RunsOneJobBehindTheOtherManyTimes) {
  ThreadTeam team(4);
  std::vector<int> counts(4);
  for (int i = 0; i < 2000; ++i) team.Run([&](size_t thread) { ++counts[thread]; });
  EXPECT_EQ(counts, std::vector<int>(4, 2000));
}

TEST(ThreadTeam, ThrowsWhatAThreadThrewAndWorksOn) {
  ThreadTeam team(3);
  for (size_t faulty = 0; faulty < 3; ++faulty)
    EXPECT_THROW(team.Run([&](size_t thread) {
      if (thread == faulty) throw std::runtime_error("fault");
    }), std::runtime_error);
  std::atomic<int> count = 0;
  team.Run([&](size_t) { ++count; });
  EXPECT_EQ(count, 3);
}

}  // namespace
}  // namespace mlac
