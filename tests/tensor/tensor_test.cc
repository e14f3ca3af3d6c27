#include "tensor/tensor.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "tests/support/test_support.h"

namespace mlac {
namespace {

template <typename T>
Tensor Holding(DType dtype, const std::vector<T>& values) {
  Tensor tensor = Tensor::Uninitialized({values.size()}, dtype);
  std::memcpy(tensor.mutable_bytes().data(), values.data(), values.size() * sizeof(T));
  return tensor;
}

// What a number of 16 bits stands for, by the definition of the format; exact in double.
double Meaning(uint16_t bits, int num_exponent_bits) {
  const int num_fraction_bits = 15 - num_exponent_bits, bias = (1 << (num_exponent_bits - 1)) - 1;
  const int exponent = bits >> num_fraction_bits & ((1 << num_exponent_bits) - 1), fraction = bits & ((1 << num_fraction_bits) - 1);
  const double sign = bits >> 15 != 0 ? -1 : 1;
  if (exponent == (1 << num_exponent_bits) - 1) return fraction != 0 ? NAN : sign * INFINITY;
  const double significand = std::ldexp(fraction, -num_fraction_bits) + (exponent == 0 ? 0 : 1);
  return sign * std::ldexp(significand, std::max(exponent, 1) - bias);
}

TEST(ToF32, GivesEachNumberOfSixteenBits) {
  std::vector<uint16_t> all(1 << 16);
  for (size_t bits = 0; bits < all.size(); ++bits) all[bits] = static_cast<uint16_t>(bits);
  for (const auto& [dtype, num_exponent_bits] : {std::pair(DType::kF16, 5), std::pair(DType::kBF16, 8)}) {
    const Tensor floats = Holding(dtype, all).ToF32();
    for (const uint16_t bits : all) {
      const auto expected = static_cast<float>(Meaning(bits, num_exponent_bits));
      const float found = floats.floats()[bits];
      if (std::isnan(expected)) {
        ASSERT_TRUE(std::isnan(found)) << Name(dtype) << " " << bits;
      } else {
        ASSERT_EQ(std::bit_cast<uint32_t>(found), std::bit_cast<uint32_t>(expected)) << Name(dtype) << " " << bits;
      }
    }
  }
}

TEST(ToF32, RoundsDoublesAndIntegersToNearestEven) {
  const Tensor doubles = Holding<double>(DType::kF64, {1.5, 16777217.0, 16777219.0, 1e-46, -0.0}).ToF32();
  EXPECT_EQ(std::vector<float>(doubles.floats().begin(), doubles.floats().end()), (std::vector<float>{1.5f, 16777216.0f, 16777220.0f, 0.0f, 0.0f}));
  EXPECT_TRUE(std::signbit(doubles.floats()[4]));
  EXPECT_EQ(Holding<int8_t>(DType::kI8, {-128}).ToF32().floats()[0], -128.0f);
  EXPECT_EQ(Holding<uint8_t>(DType::kU8, {255}).ToF32().floats()[0], 255.0f);
  EXPECT_EQ(Holding<int16_t>(DType::kI16, {-32768}).ToF32().floats()[0], -32768.0f);
  EXPECT_EQ(Holding<uint16_t>(DType::kU16, {65535}).ToF32().floats()[0], 65535.0f);
  EXPECT_EQ(Holding<int32_t>(DType::kI32, {std::numeric_limits<int32_t>::max()}).ToF32().floats()[0], 0x1p31f);
  EXPECT_EQ(Holding<uint32_t>(DType::kU32, {16777217}).ToF32().floats()[0], 16777216.0f);
  EXPECT_EQ(Holding<int64_t>(DType::kI64, {std::numeric_limits<int64_t>::min()}).ToF32().floats()[0], -0x1p63f);
  EXPECT_EQ(Holding<uint64_t>(DType::kU64, {std::numeric_limits<uint64_t>::max()}).ToF32().floats()[0], 0x1p64f);
}

TEST(ToF32, RefusesTruthValues) {
  test::ExpectError(ErrorCode::kUnsupported, "a BOOL tensor is no weight", [] { Tensor::Zeros({1}, DType::kBool).ToF32(); });
}

TEST(Tensor, RowsShareTheStorageOfTheWhole) {
  Tensor whole = Tensor::FromValues({3, 2}, std::vector<float>{0, 1, 2, 3, 4, 5});
  Tensor rows = whole.Rows(1, 3);
  EXPECT_EQ(rows.shape(), (Shape{2, 2}));
  EXPECT_EQ(rows.floats()[0], 2.0f);
  rows.mutable_floats()[3] = 50;
  EXPECT_EQ(whole.floats()[5], 50.0f);
  EXPECT_EQ(whole.Rows(3, 3).num_elements(), 0u);
  whole = {};
  EXPECT_EQ(rows.floats()[3], 50.0f) << "the storage lives as long as a part of it";
}

TEST(Tensor, OfNoElementsHasAPlace) {
  const Tensor tensor = Tensor::Zeros({0, 384});
  EXPECT_TRUE(tensor.defined());
  EXPECT_EQ(tensor.num_bytes(), 0u);
  EXPECT_EQ(tensor.Rows(0, 0).num_elements(), 0u);
}

// Sizes that come from a file or a command line; rounded up to whole cache lines they must not begin again at 0.
TEST(Tensor, RefusesSizesThatNoMemoryHas) {
  constexpr size_t kHalf = size_t{1} << 62;
  test::ExpectError(ErrorCode::kInvalidInput, "the shape [4611686018427387904, 2] has more elements than 63 bits count",
                    [] { Tensor::Zeros({kHalf, 2}); });
  test::ExpectError(ErrorCode::kResourceExhausted, "a tensor of shape [4611686018427387904] does not fit into memory", [] { Tensor::Zeros({kHalf}); });
  test::ExpectError(ErrorCode::kResourceExhausted, "out of memory: a tensor asks for 18446744073709551608 bytes",
                    [] { Tensor::Zeros({(size_t{1} << 61) - 1}, DType::kI64); });
  test::ExpectError(ErrorCode::kResourceExhausted, "out of memory: a tensor asks for 9223372036854775807 bytes",
                    [] { Tensor::Zeros({2 * kHalf - 1}, DType::kI8); });
}

}  // namespace
}  // namespace mlac
