#include "kernels/bf16_pack.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "tests/kernels/bf16_paths.h"

namespace mlac::kernels {
namespace {

using test::ForEachBf16Path;
using test::RandomFloats;
using test::RoundedToBf16;

constexpr float kInfinity = std::numeric_limits<float>::infinity(), kNotANumber = std::numeric_limits<float>::quiet_NaN();

// Among ordinary numbers those that rounding treats in its own way.
std::vector<float> WithSpecials(std::vector<float> x) {
  const float specials[] = {kInfinity,
                            -kInfinity,
                            kNotANumber,
                            -kNotANumber,
                            0.0f,
                            -0.0f,
                            1e-40f,
                            -1e-40f,
                            3.4e38f,
                            std::bit_cast<float>(0x7f800001u),
                            std::bit_cast<float>(0x3f808000u),
                            std::bit_cast<float>(0x3f818000u)};
  for (size_t i = 0; i < x.size(); i += 2) x[i] = specials[i / 2 % std::size(specials)];
  return x;
}

// x, [rows][size], as bf16 with this stride; what is behind a row is no zero.
std::vector<Bf16> Bf16Of(const std::vector<float>& x, size_t size, size_t stride) {
  const std::vector<float> rounded = RoundedToBf16(x);
  std::vector<Bf16> out(x.size() / size * stride, 0x1234);
  for (size_t i = 0; i < x.size(); ++i) out[i / size * stride + i % size] = static_cast<Bf16>(std::bit_cast<uint32_t>(rounded[i]) >> 16);
  return out;
}

TEST(RoundToBf16, RoundsToNearestAndTiesToEven) {
  const auto round = [](uint32_t bits) { return std::bit_cast<uint32_t>(RoundedToBf16({std::bit_cast<float>(bits)})[0]); };
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
  const bool any = ForEachBf16Path([&](const std::string& path) {
    for (const size_t size : {1, 15, 16, 17, 31, 32, 33, 100}) {
      const size_t rows = 3, x_stride = size + 5, stride = Bf16RowSize(size);
      const std::vector<float> x = WithSpecials(RandomFloats(rows * x_stride, size));
      const std::vector<float> expected = RoundedToBf16(x);
      std::vector<Bf16> found(rows * stride, 0x1234);
      ToBf16Rows(x.data(), x_stride, rows, size, found.data());
      for (size_t r = 0; r < rows; ++r)
        for (size_t i = 0; i < stride; ++i) {
          const uint32_t bits = i < size ? std::bit_cast<uint32_t>(expected[r * x_stride + i]) >> 16 : 0;
          EXPECT_EQ(found[r * stride + i], bits)
              << path << ", " << x[r * x_stride + std::min(i, size)] << ", size " << size << ", element " << i;
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

TEST(PackBf16Panels, GivesTheBitsOfTheReferenceOnEveryPath) {
  for (const size_t columns : {1, 15, 16, 17, 40})
    for (const size_t num_k : {1, 2, 15, 16, 17, 31, 32, 33, 70})
      for (const Layout layout : {Layout::kRows, Layout::kTransposed}) {
        const std::vector<float> b = WithSpecials(RandomFloats(columns * num_k, 5));
        const size_t stride = layout == Layout::kRows ? columns : num_k, panels = NumBf16Panels(columns);
        const auto pack = [&] {
          std::vector<Bf16> packed(PackedBf16Size(num_k, columns), 0x1234);
          PackBf16Panels(b.data(), stride, layout, num_k, columns, 0, panels, packed.data());
          return packed;
        };
        UseInstructionSet("scalar");
        const std::vector<Bf16> expected = pack();
        ForEachBf16Path([&](const std::string& path) {
          EXPECT_EQ(pack(), expected) << path << ", " << columns << " x " << num_k << ", layout " << static_cast<int>(layout);
          if (layout == Layout::kTransposed) return;
          const size_t rounded_stride = columns + 3;
          const std::vector<Bf16> rounded = Bf16Of(b, columns, rounded_stride);
          std::vector<Bf16> packed(expected.size(), 0x1234);
          for (size_t panel = 0; panel < panels; ++panel)
            PackBf16Panels(rounded.data(), rounded_stride, num_k, columns, panel, panel + 1, packed.data());
          EXPECT_EQ(packed, expected) << path << ", " << columns << " x " << num_k << ", rounded before";
        });
        UseInstructionSet("");
      }
}

TEST(TransposeBf16, SwapsRowsAndColumnsAndFillsUpWithZeros) {
  const bool any = ForEachBf16Path([&](const std::string& path) {
    for (const size_t rows : {1, 2, 31, 32, 33, 100, 128})
      for (const size_t columns : {1, 3, 15, 16, 17, 50}) {
        const size_t stride = columns + 5, out_stride = Bf16RowSize(rows);
        const std::vector<Bf16> in = Bf16Of(WithSpecials(RandomFloats(rows * columns, 1)), columns, stride);
        std::vector<Bf16> found(columns * out_stride + 1, 0x1234);
        const size_t cut = columns / 2;
        TransposeBf16(in.data(), stride, rows, 0, cut, found.data());
        TransposeBf16(in.data(), stride, rows, cut, columns, found.data());
        size_t wrong = 0;
        for (size_t j = 0; j < columns; ++j)
          for (size_t i = 0; i < out_stride; ++i) wrong += found[j * out_stride + i] != (i < rows ? in[i * stride + j] : 0);
        EXPECT_EQ(wrong, 0u) << path << ", " << rows << " x " << columns;
        EXPECT_EQ(found.back(), 0x1234) << path << ": wrote behind the end";
      }
  });
  if (!any) GTEST_SKIP() << "this processor multiplies no bf16";
}

}  // namespace
}  // namespace mlac::kernels
