#include "tensor/large_memory.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <fstream>
#include <thread>
#include <vector>

#include "base/error.h"
#include "tensor/tensor.h"
#include "tests/support/test_support.h"

namespace mlac {
namespace {

bool IsAligned(const std::byte* memory, size_t alignment) { return reinterpret_cast<uintptr_t>(memory) % alignment == 0; }

TEST(AllocateMemory, IsAlignedToALineAndWhereItIsLargeToAHugePage) {
  for (const size_t size : {size_t{0}, size_t{1}, size_t{64}, size_t{100'000}, kHugePage - 1, kHugePage, kHugePage + 1, 5 * kHugePage + 4097}) {
    std::byte* memory = AllocateMemory(size);
    ASSERT_NE(memory, nullptr) << size;
    EXPECT_TRUE(IsAligned(memory, 64)) << size;
#ifndef __SANITIZE_ADDRESS__
    EXPECT_TRUE(size < kHugePage || IsAligned(memory, kHugePage)) << size;
#endif
    std::memset(memory, 1, size);
    FreeMemory(memory, size);
  }
}

#ifndef __SANITIZE_ADDRESS__  // which keeps for a while what is freed
// Bytes of this process's data, as RLIMIT_DATA counts them.
size_t DataBytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmData:")) return std::stoul(line.substr(7)) << 10;
  return 0;
}

TEST(AllocateMemory, GivesBackWhatIsFreedAndTakesNoMoreThanItNeeds) {
  constexpr size_t kSize = 8 * kHugePage + 4096;
  const size_t before = DataBytes();
  std::byte* memory = AllocateMemory(kSize);
  EXPECT_LE(DataBytes(), before + kSize + (size_t{64} << 10));
  FreeMemory(memory, kSize);
  EXPECT_LE(DataBytes(), before + (size_t{64} << 10));
}

TEST(AllocateWeightMemory, GoesWithTheLastWeight) {
  const size_t before = DataBytes();
  {
    std::vector<std::shared_ptr<std::byte>> weights;
    for (size_t i = 0; i < 1000; ++i) weights.push_back(AllocateWeightMemory(100'000));
  }
  EXPECT_LE(DataBytes(), before + (size_t{17} << 20)) << "100 MB, of which a block of 16 MiB may wait for more";
}
#endif

TEST(AllocateMemory, ThatThereIsNotIsNull) {
  for (const size_t size : {SIZE_MAX, size_t{PTRDIFF_MAX}}) EXPECT_EQ(AllocateMemory(size), nullptr) << size;
#ifndef __SANITIZE_ADDRESS__  // whose malloc ends the process
  EXPECT_EQ(AllocateMemory(SIZE_MAX / 4), nullptr);
#endif
}

TEST(AllocateWeightMemory, GivesEachWeightMemoryOfItsOwn) {
  std::vector<std::shared_ptr<std::byte>> weights;
  std::vector<size_t> sizes;
  for (size_t i = 0; i < 400; ++i) {
    sizes.push_back(i % 7 == 0 ? 100 : 10'007 * (i % 40 + 1));
    weights.push_back(AllocateWeightMemory(sizes.back()));
    EXPECT_TRUE(IsAligned(weights.back().get(), 64));
    std::memset(weights.back().get(), static_cast<int>(i % 251), sizes.back());
    if (i % 3 == 0) weights[i / 2] = nullptr;  // some go, and nothing that stays may be given again
  }
  for (size_t i = 0; i < weights.size(); ++i)
    for (size_t byte = 0; weights[i] != nullptr && byte < sizes[i]; ++byte) ASSERT_EQ(weights[i].get()[byte], static_cast<std::byte>(i % 251)) << i;
}

TEST(AllocateWeightMemory, MayBeAskedByManyThreads) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([t] {
      std::vector<std::shared_ptr<std::byte>> weights;
      for (size_t i = 0; i < 200; ++i) {
        weights.push_back(AllocateWeightMemory(20'000));
        std::memset(weights.back().get(), t, 20'000);
      }
      for (const auto& weight : weights) EXPECT_TRUE(weight.get()[0] == static_cast<std::byte>(t) && weight.get()[19'999] == static_cast<std::byte>(t));
    });
  for (std::thread& thread : threads) thread.join();
}

TEST(Tensor, OfAWeightThatDoesNotFitSaysSo) {
  test::ExpectError(ErrorCode::kResourceExhausted, "out of memory: a tensor asks for 9223372036854775808 bytes",
                    [] { Tensor::UninitializedWeight({size_t{1} << 61}); });
}

}  // namespace
}  // namespace mlac
