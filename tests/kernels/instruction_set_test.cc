#include "kernels/instruction_set.h"

#include <gtest/gtest.h>

#include <latch>
#include <thread>

namespace mlac::kernels {
namespace {

// Two threads may open their models at once. Tells something where it runs in a process of its own, and under the thread sanitiser.
TEST(InstructionSet, IsTheSameForAllWhoAskFirst) {
  constexpr size_t kThreads = 8;
  std::vector<Int8Path> int8(kThreads);
  std::vector<Bf16Path> bf16(kThreads);
  std::latch start(kThreads);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      start.arrive_and_wait();
      int8[t] = Int8PathInUse();
      bf16[t] = Bf16PathInUse();
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(int8, std::vector<Int8Path>(kThreads, Int8PathInUse()));
  EXPECT_EQ(bf16, std::vector<Bf16Path>(kThreads, Bf16PathInUse()));
}

TEST(InstructionSet, UpperBoundsChooseTheWidestAtOrBelow) {
  const std::vector<std::string> available = AvailableInstructionSets();
  EXPECT_TRUE(available.front() == "scalar" || available == std::vector<std::string>{"neon"});  // all of 64-bit Arm has NEON
  UseInstructionSet("scalar");
  EXPECT_EQ(InstructionSetInUse(), available.front());
  UseInstructionSet("amx");
  EXPECT_EQ(InstructionSetInUse(), available.back());
  UseInstructionSet("avxvnni");
  EXPECT_TRUE(InstructionSetInUse() == "avx2" || available.size() == 1);
  UseInstructionSet("");
}

TEST(InstructionSet, ListingWhatIsThereLeavesTheOneInUse) {
  UseInstructionSet("scalar");
  const Int8Path path = Int8PathInUse();
  AvailableInstructionSets();
  AvailableBounds();
  EXPECT_EQ(InstructionSetInUse(), AvailableInstructionSets().front());
  EXPECT_EQ(Int8PathInUse(), path);
  UseInstructionSet("");
}

}  // namespace
}  // namespace mlac::kernels
