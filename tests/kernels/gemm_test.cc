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

// [columns][rows] of a [rows][columns]
std::vector<float> Transposed(const std::vector<float>& a, size_t rows, size_t columns) {
  std::vector<float> transposed(a.size());
  for (size_t r = 0; r < rows; ++r)
    for (size_t c = 0; c < columns; ++c) transposed[c * rows + r] = a[r * columns + c];
  return transposed;
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
              std::vector<float> unpacked = start, panels(UnpackedScratch(num_k, NumPanels(columns)));
              g.c = unpacked.data();
              GemmUnpacked(g, b.data(), stride, layout, rows, 0, NumPanels(columns), panels.data());
              EXPECT_TRUE(SameBits(unpacked, expected)) << name << ", unpacked, " << rows << " x " << columns << " x " << num_k;
              const std::vector<float> a_transposed = Transposed(a, rows, num_k);
              std::vector<float> transposed = start, scratch(TransposedScratch(num_k, rows));
              GemmArguments t = g;
              t.a = a_transposed.data();
              t.a_stride = rows;
              t.c = transposed.data();
              GemmTransposed(t, 0, rows, 0, NumPanels(columns), scratch.data());
              EXPECT_TRUE(SameBits(transposed, expected)) << name << ", transposed, " << rows << " x " << columns << " x " << num_k;
            });
          }
      }
}

TEST(Gemm, GivesTheSameBitsHoweverRowsAndColumnsAreCut) {
  const size_t rows = 300, columns = 300, num_k = 500;  // several chunks of rows, and more panels than are packed at once
  const std::vector<float> a = RandomFloats(rows * num_k, 1), b = RandomFloats(columns * num_k, 2), bias = RandomFloats(columns, 3);
  ForEachInstructionSet([&](std::string_view name) {
    const std::vector<float> packed = Packed(b, num_k, Layout::kTransposed, num_k, columns);
    std::vector<float> whole(rows * columns), parts(rows * columns);
    GemmArguments g = {.a = a.data(), .a_stride = num_k, .packed_b = packed.data(), .num_k = num_k, .num_columns = columns, .bias = bias.data(),
                       .c = whole.data(), .c_stride = columns};
    Gemm(g, 0, rows, 0, NumPanels(columns));
    g.c = parts.data();
    const std::vector<float> a_transposed = Transposed(a, rows, num_k);
    std::vector<float> transposed(rows * columns), scratch(TransposedScratch(num_k, rows));
    GemmArguments t = g;
    t.a = a_transposed.data();
    t.a_stride = rows;
    t.c = transposed.data();
    for (const auto& [begin, end] : {std::pair<size_t, size_t>{0, 1}, {1, 130}, {130, rows}})
      for (size_t panel = 0; panel < NumPanels(columns); ++panel) {
        Gemm(g, begin, end, panel, panel + 1);
        GemmTransposed(t, begin, end, panel, panel + 1, scratch.data());
      }
    std::vector<float> unpacked(rows * columns), panels(UnpackedScratch(num_k, NumPanels(columns)));
    g.c = unpacked.data();
    GemmUnpacked(g, b.data(), num_k, Layout::kTransposed, rows, 0, 1, panels.data());
    GemmUnpacked(g, b.data(), num_k, Layout::kTransposed, rows, 1, NumPanels(columns), panels.data());
    EXPECT_TRUE(SameBits(whole, unpacked)) << name;
    EXPECT_TRUE(SameBits(whole, parts)) << name;
    EXPECT_TRUE(SameBits(whole, transposed)) << name;
    std::fill(transposed.begin(), transposed.end(), 0.0f);
    GemmTransposed(t, 0, rows, 0, NumPanels(columns), scratch.data());
    EXPECT_TRUE(SameBits(whole, transposed)) << name;
    const std::vector<float> b_rows = Transposed(b, columns, num_k);
    std::fill(unpacked.begin(), unpacked.end(), 0.0f);
    GemmUnpacked(g, b_rows.data(), columns, Layout::kRows, rows, 0, NumPanels(columns), panels.data());
    EXPECT_TRUE(SameBits(whole, unpacked)) << name;
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

}  // namespace
}  // namespace mlac::kernels
