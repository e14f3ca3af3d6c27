#include "tensor/buffer_pool.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/support/test_support.h"

namespace mlac {
namespace {

TEST(BufferPool, GivesTheSameMemoryAgainOnceATensorIsGone) {
  BufferPool pool;
  const std::byte* first = nullptr;
  {
    const Tensor tensor = pool.NewTensor({100, 384});
    first = tensor.data();
  }
  EXPECT_EQ(pool.NewTensor({100, 384}).data(), first);
  EXPECT_EQ(pool.NewTensor({97, 384}).data(), first) << "and for a slightly smaller batch";
}

TEST(BufferPool, GivesTwoTensorsThatLiveAtOnceMemoryOfTheirOwn) {
  BufferPool pool;
  const Tensor one = pool.NewTensor({100, 384}), other = pool.NewTensor({100, 384});
  EXPECT_NE(one.data(), other.data());
}

TEST(BufferPool, KeepsAsMuchAsTheLargestOfManyBatchesNeeds) {
  BufferPool pool;
  std::set<const std::byte*> buffers;
  for (size_t round = 0; round < 3; ++round)
    for (size_t rows = 300; rows > 70; --rows) buffers.insert(pool.NewTensor({rows, 384}).data());  // from 460 KB down to 107 KB
  EXPECT_LE(buffers.size(), 3u);
}

TEST(BufferPool, GivesNoTensorABufferMuchLargerThanItNeeds) {
  BufferPool pool;
  const std::byte* large = pool.NewTensor({1 << 20}).data();
  EXPECT_NE(pool.NewTensor({1 << 10}).data(), large);
}

TEST(BufferPool, RefusesSizesThatNoMemoryHas) {
  BufferPool pool;
  for (const size_t count : {size_t{1} << 62, (size_t{1} << 62) + 1, size_t{1} << 61, (size_t{1} << 63) - 1})  // four bytes each: some begin again at 0
    test::ExpectError(ErrorCode::kResourceExhausted, "out of memory for intermediate results", [&] { pool.NewTensor({count}); });
}

TEST(BufferPool, CountsWhatIsInUseAndTheMostThatWas) {
  BufferPool pool;
  const Tensor kept = pool.NewTensor({1024});
  EXPECT_EQ(pool.bytes_in_use(), 4096u);
  {
    const Tensor other = pool.NewTensor({3000}), copy = other;  // a buffer of 16 KiB, counted once
    EXPECT_EQ(pool.bytes_in_use(), 4096u + 16384u);
  }
  EXPECT_EQ(pool.bytes_in_use(), 4096u);
  pool.NewTensor({3000});  // the same buffer again
  EXPECT_EQ(pool.peak_bytes(), 4096u + 16384u);
}

TEST(BufferPool, MayGoBeforeItsTensors) {
  Tensor tensor;
  {
    BufferPool pool;
    tensor = pool.NewTensor({1000});
  }
  tensor.mutable_floats()[999] = 1.0f;
  EXPECT_EQ(tensor.floats()[999], 1.0f);
}

}  // namespace
}  // namespace mlac
