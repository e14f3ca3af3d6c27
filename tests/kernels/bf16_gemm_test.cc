#include "kernels/bf16_gemm.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "kernels/instruction_set.h"
#include "tests/support/numbers.h"

namespace mlac::kernels {
namespace {

using test::AlignedBytes;
using test::ForEachBound;
using test::RandomFloats;
using test::SameBits;

// Calls body for each bound that has bf16 products; false if none has.
bool ForEachBf16Path(const std::function<void(const std::string& path)>& body) {
  bool found = false;
  ForEachBound([&](std::string_view bound) {
    if (Bf16PathInUse() == Bf16Path::kNone) return;
    found = true;
    body(std::string(bound) + " (" + std::string(Name(Bf16PathInUse())) + ")");
  });
  return found;
}

float ToFloat(Bf16 x) { return std::bit_cast<float>(static_cast<uint32_t>(x) << 16); }

std::vector<float> Rounded(const std::vector<float>& x) {
  std::vector<float> out(x.size());
  RoundToBf16(x.data(), x.size(), out.data());
  return out;
}

// a [rows, num_k] and b [columns, num_k], rounded and laid out as a product wants them, and as f32.
struct Operands {
  size_t rows, columns, num_k;
  std::vector<float> a_floats, b_floats, bias;
  AlignedBytes a, packed;

  Operands(size_t rows, size_t columns, size_t num_k)
      : rows(rows), columns(columns), num_k(num_k),
        a_floats(Rounded(RandomFloats(rows * num_k, 1))),
        b_floats(Rounded(RandomFloats(columns * num_k, 2))),
        bias(NumBf16Panels(columns) * kBf16PanelWidth),
        a((rows + 16) * Bf16RowSize(num_k) * sizeof(Bf16)),  // tiles read 16 rows at a time, from wherever a cut begins
        packed(PackedBf16Size(num_k, columns) * sizeof(Bf16)) {
    const std::vector<float> values = RandomFloats(columns, 3);
    std::copy(values.begin(), values.end(), bias.begin());
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
          EXPECT_TRUE(SameBits(found, Rounded(wide))) << path << ", " << rows << " x " << columns;
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

TEST(RoundToBf16, RoundsToNearestAndTiesToEven) {
  const auto round = [](uint32_t bits) { return std::bit_cast<uint32_t>(Rounded({std::bit_cast<float>(bits)})[0]); };
  EXPECT_EQ(round(0x3f800000), 0x3f800000u);
  EXPECT_EQ(round(0x3f807fff), 0x3f800000u);
  EXPECT_EQ(round(0x3f808000), 0x3f800000u);  // a tie: the even one is below
  EXPECT_EQ(round(0x3f808001), 0x3f810000u);
  EXPECT_EQ(round(0x3f818000), 0x3f820000u);  // a tie: the even one is above
  EXPECT_EQ(round(0xbf818000), 0xbf820000u);
  EXPECT_EQ(round(0x7f7fffff), 0x7f800000u);  // the largest f32 is nearer to infinity than to the largest bf16
  EXPECT_EQ(round(0x7f800000), 0x7f800000u);
  EXPECT_EQ(round(0x80000000), 0x80000000u);
  EXPECT_EQ(round(0x00800000), 0x00800000u);
  EXPECT_EQ(round(0x007fffff), 0x00000000u);  // below 2^-126
  EXPECT_EQ(round(0x807fffff), 0x80000000u);
  for (const uint32_t nan : {0x7f800001u, 0x7fc00000u, 0x7fffffffu, 0xff800001u, 0xffffffffu}) {
    const float found = std::bit_cast<float>(round(nan));
    EXPECT_TRUE(std::isnan(found)) << std::hex << nan;
    EXPECT_EQ(round(nan) & 0xffffu, 0u);
  }
}

TEST(ToBf16Rows, GivesTheBitsOfRoundToBf16AndFillsUpWithZeros) {
  const float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const bool any = ForEachBf16Path([&](const std::string& path) {
    for (const size_t size : {1, 15, 16, 17, 31, 32, 33, 100}) {
      const size_t rows = 3, x_stride = size + 5, stride = Bf16RowSize(size);
      std::vector<float> x = RandomFloats(rows * x_stride, size);
      const float specials[] = {infinity, -infinity, nan, -nan, 0.0f, -0.0f, 1e-40f, -1e-40f, 3.4e38f, std::bit_cast<float>(0x7f800001u),
                                std::bit_cast<float>(0x3f808000u), std::bit_cast<float>(0x3f818000u)};
      for (size_t i = 0; i < x.size(); i += 2) x[i] = specials[i / 2 % std::size(specials)];
      const std::vector<float> expected = Rounded(x);
      std::vector<Bf16> found(rows * stride, 0x1234);
      ToBf16Rows(x.data(), x_stride, rows, size, found.data());
      for (size_t r = 0; r < rows; ++r)
        for (size_t i = 0; i < stride; ++i) {
          const uint32_t bits = i < size ? std::bit_cast<uint32_t>(expected[r * x_stride + i]) >> 16 : 0;
          EXPECT_EQ(found[r * stride + i], bits) << path << ", " << x[r * x_stride + std::min(i, size)] << ", size " << size << ", element " << i;
        }
    }
  });
  if (!any) GTEST_SKIP() << "this processor multiplies no bf16";
}

TEST(PackBf16Panels, GivesOnePackingForBothLayoutsHoweverPanelsAreCut) {
  for (const size_t columns : {1, 16, 33})
    for (const size_t num_k : {1, 32, 45}) {
      const std::vector<float> transposed = RandomFloats(columns * num_k, 5);  // [columns, num_k]
      std::vector<float> rows(num_k * columns);
      for (size_t j = 0; j < columns; ++j)
        for (size_t k = 0; k < num_k; ++k) rows[k * columns + j] = transposed[j * num_k + k];
      const size_t panels = NumBf16Panels(columns);
      std::vector<Bf16> whole(PackedBf16Size(num_k, columns), 0x1234), other(whole), cut(whole);
      PackBf16Panels(transposed.data(), num_k, Layout::kTransposed, num_k, columns, 0, panels, whole.data());
      PackBf16Panels(rows.data(), columns, Layout::kRows, num_k, columns, 0, panels, other.data());
      for (size_t panel = 0; panel < panels; ++panel)
        PackBf16Panels(transposed.data(), num_k, Layout::kTransposed, num_k, columns, panel, panel + 1, cut.data());
      EXPECT_EQ(whole, other) << columns << " x " << num_k;
      EXPECT_EQ(whole, cut) << columns << " x " << num_k;
    }
}

}  // namespace
}  // namespace mlac::kernels
