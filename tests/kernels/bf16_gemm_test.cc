#include "kernels/bf16_gemm.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "tests/kernels/bf16_paths.h"

namespace mlac::kernels {
namespace {

using test::AlignedBytes;
using test::ForEachBf16Path;
using test::RandomFloats;
using test::RoundedToBf16;
using test::SameBits;

float ToFloat(Bf16 x) { return std::bit_cast<float>(static_cast<uint32_t>(x) << 16); }

// a [rows, num_k] and b [columns, num_k], rounded and laid out as a product wants them, and as f32.
struct Operands {
  size_t rows, columns, num_k;
  std::vector<float> a_floats, b_floats, bias;
  AlignedBytes a, packed;

  Operands(size_t rows, size_t columns, size_t num_k)
      : rows(rows),
        columns(columns),
        num_k(num_k),
        a_floats(RoundedToBf16(RandomFloats(rows * num_k, 1))),
        b_floats(RoundedToBf16(RandomFloats(columns * num_k, 2))),
        bias(RandomFloats(columns, 3)),
        a((rows + 16) * Bf16RowSize(num_k) * sizeof(Bf16)),  // tiles read 16 rows at a time, from wherever a cut begins
        packed(PackedBf16Size(num_k, columns) * sizeof(Bf16)) {
    PackBf16Panels(b_floats.data(), num_k, Layout::kTransposed, num_k, columns, 0, NumBf16Panels(columns), reinterpret_cast<Bf16*>(packed.data()));
    auto* to = reinterpret_cast<Bf16*>(a.data());
    for (size_t r = 0; r < rows; ++r)
      for (size_t k = 0; k < num_k; ++k) to[r * Bf16RowSize(num_k) + k] = static_cast<Bf16>(std::bit_cast<uint32_t>(a_floats[r * num_k + k]) >> 16);
  }

  Bf16GemmArguments Arguments(Activation activation) const {
    return {.a = reinterpret_cast<const Bf16*>(a.data()), .packed_b = reinterpret_cast<const Bf16*>(packed.data()), .num_k = num_k,
            .num_columns = columns, .bias = bias.data(), .c_stride = columns, .activation = activation};
  }

  std::vector<float> Product(Activation activation = Activation::kNone) const {
    std::vector<float> c(rows * columns, -1.0f);
    Bf16GemmArguments arguments = Arguments(activation);
    arguments.c = c.data();
    Bf16Gemm(arguments, 0, rows, 0, NumBf16Panels(columns));
    return c;
  }
};

// The products of two bf16 are exact in f32, so an element has num_k additions and that of the bias, each with a relative error of 2^-24 of at most
// the sum of the absolute values. AMX and vdpbf16ps keep to that in whatever order they add.
TEST(Bf16Gemm, IsWithinItsRoundingErrorsOfFloat64) {
  const bool any = ForEachBf16Path([&](const std::string& path) {
    for (const size_t rows : {1, 2, 12, 13, 16, 17, 32, 33, 129})  // around the tiles of 12, 16 and 32 rows
      for (const size_t columns : {1, 15, 16, 17, 32, 33, 48, 130})
        for (const size_t num_k : {1, 2, 31, 32, 33, 200}) {
          const Operands operands(rows, columns, num_k);
          const std::vector<float> found = operands.Product();
          size_t outside = 0;
          for (size_t r = 0; r < rows; ++r)
            for (size_t j = 0; j < columns; ++j) {
              double sum = operands.bias[j], magnitude = std::fabs(sum);
              for (size_t k = 0; k < num_k; ++k) {
                const double product = static_cast<double>(operands.a_floats[r * num_k + k]) * operands.b_floats[j * num_k + k];
                sum += product;
                magnitude += std::fabs(product);
              }
              const double bound = static_cast<double>(num_k + 1) * std::ldexp(magnitude, -24);
              outside += !(std::fabs(found[r * columns + j] - sum) <= bound);
            }
          EXPECT_EQ(outside, 0u) << path << ", " << rows << " x " << columns << " x " << num_k;
        }
  });
  if (!any) GTEST_SKIP() << "this processor multiplies no bf16";
}

TEST(Bf16Gemm, GivesTheSameBitsHoweverRowsAndColumnsAreCut) {
  const size_t rows = 300, columns = 200, num_k = 500;
  const Operands operands(rows, columns, num_k);
  const bool any = ForEachBf16Path([&](const std::string& path) {
    for (const Activation activation : {Activation::kNone, Activation::kGelu, Activation::kTanh}) {
      const std::vector<float> whole = operands.Product(activation);
      std::vector<float> parts(rows * columns);
      Bf16GemmArguments arguments = operands.Arguments(activation);
      arguments.c = parts.data();
      for (const auto& [begin, end] : {std::pair<size_t, size_t>{0, 1}, {1, 20}, {20, 130}, {130, rows}})
        for (size_t panel = 0; panel < NumBf16Panels(columns); panel += 2) Bf16Gemm(arguments, begin, end, panel, panel + 2);
      EXPECT_TRUE(SameBits(whole, parts)) << path;
    }
  });
  if (!any) GTEST_SKIP() << "this processor multiplies no bf16";
}

TEST(Bf16Gemm, GivesARowTheSameBitsAloneAndAmongOthers) {
  const size_t rows = 50, columns = 48, num_k = 100;
  const Operands operands(rows, columns, num_k);
  const bool any = ForEachBf16Path([&](const std::string& path) {
    const std::vector<float> whole = operands.Product();
    for (size_t r = 0; r < rows; ++r) {
      AlignedBytes a(16 * Bf16RowSize(num_k) * sizeof(Bf16));
      std::memcpy(a.data(), operands.a.data() + r * Bf16RowSize(num_k) * sizeof(Bf16), Bf16RowSize(num_k) * sizeof(Bf16));
      std::vector<float> alone(columns);
      Bf16GemmArguments arguments = operands.Arguments(Activation::kNone);
      arguments.a = reinterpret_cast<const Bf16*>(a.data());
      arguments.c = alone.data();
      Bf16Gemm(arguments, 0, 1, 0, NumBf16Panels(columns));
      EXPECT_TRUE(SameBits(alone, std::span(whole).subspan(r * columns, columns))) << path << ", row " << r;
    }
  });
  if (!any) GTEST_SKIP() << "this processor multiplies no bf16";
}

TEST(Bf16Gemm, NarrowOutputIsTheWideOneRounded) {
  const bool any = ForEachBf16Path([&](const std::string& path) {
    for (const size_t rows : {1, 13, 40})
      for (const size_t columns : {1, 16, 33, 64})
        for (const Activation activation : {Activation::kNone, Activation::kGelu, Activation::kRelu}) {
          const Operands operands(rows, columns, 70);
          const std::vector<float> wide = operands.Product(activation);
          std::vector<Bf16> narrow(rows * columns + 1, 0x1234);
          Bf16GemmArguments arguments = operands.Arguments(activation);
          arguments.c_bf16 = narrow.data();
          Bf16Gemm(arguments, 0, rows, 0, NumBf16Panels(columns));
          std::vector<float> found;
          for (size_t i = 0; i < rows * columns; ++i) found.push_back(ToFloat(narrow[i]));
          EXPECT_TRUE(SameBits(found, RoundedToBf16(wide))) << path << ", " << rows << " x " << columns;
          EXPECT_EQ(narrow.back(), 0x1234) << path << ": wrote behind the end";
        }
  });
  if (!any) GTEST_SKIP() << "this processor multiplies no bf16";
}

TEST(Bf16Gemm, ActivationsAreThoseOfF32AndGeluKeepsItsBound) {
  const size_t rows = 20, columns = 50, num_k = 64;
  const Operands operands(rows, columns, num_k);
  const bool any = ForEachBf16Path([&](const std::string& path) {
    const std::vector<float> z = operands.Product();
    for (const Activation activation : {Activation::kTanh, Activation::kRelu, Activation::kGeluTanh}) {
      std::vector<float> expected(z.size());
      Activate(activation, z.data(), expected.data(), z.size());
      EXPECT_TRUE(SameBits(operands.Product(activation), expected)) << path << ", activation " << static_cast<int>(activation);
    }
    const std::vector<float> gelu = operands.Product(Activation::kGelu);
    for (size_t i = 0; i < z.size(); ++i) {
      const double expected = z[i] * 0.5 * std::erfc(-z[i] / std::sqrt(2.0));
      EXPECT_NEAR(gelu[i], expected, std::max(3.1e-5, 7.2e-6 * z[i])) << path << ", gelu(" << z[i] << ")";  // math-inl.h, and f32 arithmetic
    }
  });
  if (!any) GTEST_SKIP() << "this processor multiplies no bf16";
}

TEST(Bf16Gemm, AddsToWhatCHolds) {
  const bool any = ForEachBf16Path([&](const std::string& path) {
    for (const size_t rows : {1, 13, 40})
      for (const size_t columns : {1, 16, 33, 64}) {
        Operands operands(rows, columns, 70);
        std::fill(operands.bias.begin(), operands.bias.end(), 0.0f);
        const std::vector<float> sums = operands.Product(), before = RandomFloats(rows * columns, 5);
        std::vector<float> found = before, expected(before.size());
        for (size_t i = 0; i < before.size(); ++i) expected[i] = sums[i] + before[i];
        found.push_back(7.0f);
        Bf16GemmArguments arguments = operands.Arguments(Activation::kNone);
        arguments.bias = nullptr;
        arguments.accumulate = true;
        arguments.c = found.data();
        Bf16Gemm(arguments, 0, rows, 0, NumBf16Panels(columns));
        EXPECT_EQ(found.back(), 7.0f) << path << ": wrote behind the end";
        found.pop_back();
        EXPECT_TRUE(SameBits(found, expected)) << path << ", " << rows << " x " << columns;
      }
  });
  if (!any) GTEST_SKIP() << "this processor multiplies no bf16";
}

}  // namespace
}  // namespace mlac::kernels
