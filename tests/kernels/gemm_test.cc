#include "kernels/gemm.h"

#include <gtest/gtest.h>

#include "tests/support/numbers.h"

namespace mlac::kernels {
namespace {

using test::ForEachInstructionSet;
using test::RandomFloats;
using test::SameBits;

std::vector<float> Packed(const std::vector<float>& b, size_t stride, Layout layout, size_t num_k, size_t num_columns) {
  std::vector<float> packed(PackedSize(num_k, num_columns));
  PackPanels(b.data(), stride, layout, num_k, num_columns, 0, NumPanels(num_columns), packed.data());
  return packed;
}

TEST(Gemm, GivesTheBitsOfTheReferenceOnEveryInstructionSet) {
  for (const size_t rows : {1, 2, 5, 6, 7, 13, 14, 15, 29, 61})       // around the tiles of 6 and 14 rows
    for (const size_t columns : {1, 7, 15, 16, 17, 31, 32, 33, 65})   // around the panels of 16 and 32
      for (const size_t num_k : {1, 3, 4, 5, 33}) {
        const std::vector<float> a = RandomFloats(rows * num_k, 1), b = RandomFloats(columns * num_k, 2), bias = RandomFloats(columns, 3);
        for (const Layout layout : {Layout::kTransposed, Layout::kRows})
          for (const bool accumulate : {false, true}) {
            const size_t stride = layout == Layout::kTransposed ? num_k : columns;
            std::vector<float> expected = RandomFloats(rows * columns, 4);
            const std::vector<float> start = expected;
            GemmArguments g = {.a = a.data(), .a_stride = num_k, .num_k = num_k, .num_columns = columns, .bias = bias.data(),
                               .accumulate = accumulate, .c = expected.data(), .c_stride = columns};
            GemmReference(g, b.data(), stride, layout, rows);
            ForEachInstructionSet([&](std::string_view name) {
              const std::vector<float> packed = Packed(b, stride, layout, num_k, columns);
              std::vector<float> found = start;
              g.c = found.data();
              g.packed_b = packed.data();
              Gemm(g, 0, rows, 0, NumPanels(columns));
              EXPECT_TRUE(SameBits(found, expected)) << name << ", " << rows << " x " << columns << " x " << num_k << ", accumulate " << accumulate;
              std::vector<float> unpacked = start, panel(num_k * PanelWidth());
              g.c = unpacked.data();
              GemmUnpacked(g, b.data(), stride, layout, rows, 0, NumPanels(columns), panel.data());
              EXPECT_TRUE(SameBits(unpacked, expected)) << name << ", unpacked, " << rows << " x " << columns << " x " << num_k;
            });
          }
      }
}

TEST(Gemm, GivesTheSameBitsHoweverRowsAndColumnsAreCut) {
  const size_t rows = 300, columns = 96, num_k = 500;  // several chunks of rows
  const std::vector<float> a = RandomFloats(rows * num_k, 1), b = RandomFloats(columns * num_k, 2);
  ForEachInstructionSet([&](std::string_view name) {
    const std::vector<float> packed = Packed(b, num_k, Layout::kTransposed, num_k, columns);
    std::vector<float> whole(rows * columns), parts(rows * columns);
    GemmArguments g = {.a = a.data(), .a_stride = num_k, .packed_b = packed.data(), .num_k = num_k, .num_columns = columns, .c = whole.data(),
                       .c_stride = columns};
    Gemm(g, 0, rows, 0, NumPanels(columns));
    g.c = parts.data();
    for (const auto& [begin, end] : {std::pair<size_t, size_t>{0, 1}, {1, 130}, {130, rows}})
      for (size_t panel = 0; panel < NumPanels(columns); ++panel) Gemm(g, begin, end, panel, panel + 1);
    EXPECT_TRUE(SameBits(whole, parts)) << name;
  });
}

TEST(Gemm, AppliesTheActivationThatActivateApplies) {
  const size_t rows = 9, columns = 37, num_k = 20;
  const std::vector<float> a = RandomFloats(rows * num_k, 1), b = RandomFloats(columns * num_k, 2);
  for (const Activation activation : {Activation::kGelu, Activation::kGeluTanh, Activation::kRelu, Activation::kTanh})
    ForEachInstructionSet([&](std::string_view name) {
      const std::vector<float> packed = Packed(b, num_k, Layout::kTransposed, num_k, columns);
      std::vector<float> fused(rows * columns), apart(rows * columns);
      GemmArguments g = {.a = a.data(), .a_stride = num_k, .packed_b = packed.data(), .num_k = num_k, .num_columns = columns, .c = apart.data(),
                         .c_stride = columns};
      Gemm(g, 0, rows, 0, NumPanels(columns));
      Activate(activation, apart.data(), apart.data(), apart.size());
      g.c = fused.data();
      g.activation = activation;
      Gemm(g, 0, rows, 0, NumPanels(columns));
      EXPECT_TRUE(SameBits(fused, apart)) << name;
    });
}

TEST(Transpose, SwapsRowsAndColumns) {
  for (const size_t rows : {1, 3, 4, 5, 15, 16, 17, 63, 64, 65, 130})
    for (const size_t columns : {1, 4, 15, 16, 17, 33}) {
      const std::vector<float> in = RandomFloats(rows * columns, 1);
      ForEachInstructionSet([&](std::string_view name) {
        std::vector<float> out(rows * columns);
        Transpose(in.data(), columns, rows, columns, out.data(), rows);
        for (size_t i = 0; i < rows; ++i)
          for (size_t j = 0; j < columns; ++j) ASSERT_EQ(out[j * rows + i], in[i * columns + j]) << name << ", " << rows << " x " << columns;
      });
    }
}

}  // namespace
}  // namespace mlac::kernels
