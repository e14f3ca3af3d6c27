#include "kernels/int8_gemm.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/instruction_set.h"
#include "kernels/quantize.h"
#include "tests/support/numbers.h"

namespace mlac::kernels {
namespace {

using test::AlignedBytes;
using test::ForEachBound;
using test::RandomFloats;
using test::SameBits;

// Quantised activations and a quantised weight, with all that a product needs.
struct Operands {
  size_t rows, columns, num_k;
  AlignedBytes a, packed;
  std::vector<float> a_scales, b_scales, bias;
  std::vector<int8_t> b;
  std::vector<int32_t> a_zeros, sums;

  Operands(size_t rows, size_t columns, size_t num_k)
      : rows(rows),
        columns(columns),
        num_k(num_k),
        a((rows + 16) * Int8RowBytes(num_k)),  // tiles read 16 rows at a time, from wherever a cut begins
        packed(PackedInt8Size(num_k, columns)),
        a_scales(rows),
        b_scales(NumInt8Panels(columns) * kInt8PanelWidth),
        bias(RandomFloats(columns, 3)),
        b(columns * num_k),
        a_zeros(rows),
        sums(b_scales.size()) {
    const std::vector<float> x = RandomFloats(rows * num_k, 1), w = RandomFloats(columns * num_k, 2);
    QuantizeRows(x.data(), num_k, rows, num_k, reinterpret_cast<uint8_t*>(a.data()), a_scales.data(), a_zeros.data());
    QuantizeWeightRows(w.data(), columns, num_k, b.data(), b_scales.data());
    // The extremes too: checkpoints of others hold -128.
    for (size_t i = 0; i < b.size(); i += 7) b[i] = i % 2 == 0 ? int8_t{-128} : int8_t{127};
    for (size_t i = 0; i < rows * num_k; i += 5)
      reinterpret_cast<uint8_t*>(a.data())[i / num_k * Int8RowBytes(num_k) + i % num_k] = i % 2 == 0 ? 255 : 1;
    PackInt8Panels(b.data(), num_k, columns, 0, NumInt8Panels(columns), reinterpret_cast<int8_t*>(packed.data()), sums.data());
  }

  Int8GemmArguments Arguments(float* c, Activation activation) const {
    return {.a = reinterpret_cast<const uint8_t*>(a.data()),
            .a_scales = a_scales.data(),
            .a_zeros = a_zeros.data(),
            .b = {.values = reinterpret_cast<const int8_t*>(packed.data()), .sums = sums.data(), .scales = b_scales.data()},
            .num_k = num_k,
            .num_columns = columns,
            .bias = bias.data(),
            .c = c,
            .c_stride = columns,
            .activation = activation};
  }

  // Three loops, in 64-bit integers.
  std::vector<float> Expected() const {
    std::vector<float> c(rows * columns);
    for (size_t r = 0; r < rows; ++r)
      for (size_t j = 0; j < columns; ++j) {
        int64_t sum = 0;
        for (size_t k = 0; k < num_k; ++k)
          sum += (static_cast<int64_t>(reinterpret_cast<const uint8_t*>(a.data())[r * Int8RowBytes(num_k) + k]) - a_zeros[r]) * b[j * num_k + k];
        c[r * columns + j] = std::fma(static_cast<float>(sum) * a_scales[r], b_scales[j], bias[j]);
      }
    return c;
  }
};

TEST(Int8Gemm, GivesTheBitsOfThreeLoopsOnEveryPath) {
  for (const size_t rows : {1, 2, 5, 7, 12, 13, 16, 17, 32, 33, 49, 129})  // around the tiles of 4, 6, 12, 16 and 32 rows
    for (const size_t columns : {1, 15, 16, 17, 32, 33, 48, 80, 130})
      for (const size_t num_k : {1, 3, 63, 64, 65, 200}) {
        const Operands operands(rows, columns, num_k);
        const std::vector<float> expected = operands.Expected();
        ForEachBound([&](std::string_view bound) {
          std::vector<float> found(rows * columns, -1.0f);
          Int8Gemm(operands.Arguments(found.data(), Activation::kNone), 0, rows, 0, NumInt8Panels(columns));
          EXPECT_TRUE(SameBits(found, expected)) << bound << " (" << Name(Int8PathInUse()) << "), " << rows << " x " << columns << " x " << num_k;
        });
      }
}

TEST(Int8Gemm, GivesTheSameBitsHoweverRowsAndColumnsAreCut) {
  const size_t rows = 300, columns = 200, num_k = 500;
  const Operands operands(rows, columns, num_k);
  for (const Activation activation : {Activation::kGelu, Activation::kTanh, Activation::kRelu, Activation::kGeluTanh}) {
    std::vector<float> first;
    ForEachBound([&](std::string_view bound) {
      std::vector<float> whole(rows * columns), parts(rows * columns);
      Int8Gemm(operands.Arguments(whole.data(), activation), 0, rows, 0, NumInt8Panels(columns));
      for (const auto& [begin, end] : {std::pair<size_t, size_t>{0, 1}, {1, 20}, {20, 130}, {130, rows}})
        for (size_t panel = 0; panel < NumInt8Panels(columns); panel += 2)
          Int8Gemm(operands.Arguments(parts.data(), activation), begin, end, panel, panel + 2);
      if (first.empty()) first = whole;
      EXPECT_TRUE(SameBits(whole, first)) << bound;
      EXPECT_TRUE(SameBits(whole, parts)) << bound;
    });
  }
}

#if defined(__x86_64__)
// Thread 0 is the caller's, where PyTorch, say, may have used the tiles since, and released them.
TEST(Int8Gemm, DoesNotMindWhatOthersDoToTheTilesOfItsThread) {
  if (Int8PathInUse() != Int8Path::kAmx) GTEST_SKIP() << "AMX is not there";
  struct alignas(64) {
    uint8_t palette = 1, start_row = 0, reserved[14] = {};
    uint16_t bytes_per_row[16] = {};
    uint8_t rows[16] = {};
  } small;
  for (int i = 0; i < 8; ++i) small.bytes_per_row[i] = 16, small.rows[i] = 4;
  const size_t rows = 33, columns = 48;
  const Operands operands(rows, columns, /*num_k=*/200);
  const auto product = [&] {
    std::vector<float> found(rows * columns);
    Int8Gemm(operands.Arguments(found.data(), Activation::kNone), 0, rows, 0, NumInt8Panels(columns));
    return found;
  };
  const std::vector<float> expected = operands.Expected();
  EXPECT_TRUE(SameBits(product(), expected));
  asm volatile("tilerelease");
  EXPECT_TRUE(SameBits(product(), expected));
  asm volatile("ldtilecfg %0" ::"m"(small));
  EXPECT_TRUE(SameBits(product(), expected));
}
#endif

TEST(Int8Gemm, LargestSumsDoNotOverflow) {
  const size_t num_k = kInt8MaxK;
  std::vector<uint8_t> a(16 * num_k, 255);
  std::vector<int8_t> b(num_k, -128);
  AlignedBytes packed(PackedInt8Size(num_k, 1));
  std::vector<int32_t> sums(32), a_zeros(16, 1);
  std::vector<float> scales(32, 1.0f), a_scales(16, 1.0f);
  PackInt8Panels(b.data(), num_k, 1, 0, 2, reinterpret_cast<int8_t*>(packed.data()), sums.data());
  ForEachBound([&](std::string_view bound) {
    std::vector<float> c(16);
    Int8Gemm({.a = a.data(),
              .a_scales = a_scales.data(),
              .a_zeros = a_zeros.data(),
              .b = {reinterpret_cast<int8_t*>(packed.data()), sums.data(), scales.data()},
              .num_k = num_k,
              .num_columns = 1,
              .c = c.data(),
              .c_stride = 1},
             0, 16, 0, 2);
    for (const float value : c) EXPECT_EQ(value, -254.0f * 128.0f * 65536.0f) << bound;
  });
}

TEST(QuantizeRows, KeepsToHalfAStepAndGivesTheSameBitsEverywhere) {
  for (const size_t size : {1, 15, 16, 17, 64, 100, 384}) {
    const std::vector<float> x = RandomFloats(3 * size, size);
    std::vector<uint8_t> first;
    ForEachBound([&](std::string_view bound) {
      std::vector<uint8_t> q(3 * Int8RowBytes(size));
      std::vector<float> scales(3);
      std::vector<int32_t> zeros(3);
      QuantizeRows(x.data(), size, 3, size, q.data(), scales.data(), zeros.data());
      if (first.empty()) first = q;
      EXPECT_EQ(q, first) << bound;
      for (size_t i = 0; i < 3 * Int8RowBytes(size); ++i) {
        const size_t r = i / Int8RowBytes(size), k = i % Int8RowBytes(size);
        EXPECT_GE(q[i], 1);
        if (k < size) {
          EXPECT_NEAR((q[i] - zeros[r]) * scales[r], x[r * size + k], scales[r] * 0.5001f);
        }
      }
    });
  }
}

TEST(QuantizeRows, ShowsWhatIsNotFiniteAndTakesTinyForZero) {
  const float infinity = std::numeric_limits<float>::infinity();
  for (const float bad : {infinity, -infinity, std::nanf("")})
    for (const size_t at : {0, 17, 63}) {
      std::vector<float> x(64, 1.0f);
      x[at] = bad;
      ForEachBound([&](std::string_view bound) {
        std::vector<uint8_t> q(64);
        float scale = 0;
        int32_t zero = 0;
        QuantizeRows(x.data(), 64, 1, 64, q.data(), &scale, &zero);
        EXPECT_TRUE(std::isnan(scale)) << bound << ": " << bad << " at " << at;
      });
    }
  ForEachBound([&](std::string_view bound) {
    for (const float tiny : {0.0f, 1e-40f, -1e-36f}) {
      std::vector<float> x(20, tiny);
      std::vector<uint8_t> q(64, 7);
      float scale = 1;
      int32_t zero = 0;
      QuantizeRows(x.data(), 20, 1, 20, q.data(), &scale, &zero);
      EXPECT_EQ(scale, 0.0f) << bound;
      EXPECT_EQ(q, std::vector<uint8_t>(64, 128)) << bound;
    }
  });
}

}  // namespace
}  // namespace mlac::kernels
