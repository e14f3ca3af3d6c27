#pragma once
// Matrix products in f32: C = start + A B, each element one chain of fused multiply-adds over rising k.
#include <cstddef>
#include <memory>

#include "kernels/activation.h"

namespace mlac::kernels {

// How B lies in memory.
enum class Layout {
  kRows,        // B[k][n], row-major
  kTransposed,  // B[k][n] = rows[n][k]: a weight as checkpoints store it, [outputs, inputs]
};

// Columns of a panel on the instruction set in use: 8, 16 or 32.
size_t PanelWidth();
// Floats of a packed B: whole panels.
size_t PackedSize(size_t num_k, size_t num_columns);
size_t NumPanels(size_t num_columns);

// Floats from row to row of a copy of a matrix of `columns` columns that is to be multiplied as A. Rows a multiple of 4096 bytes apart all fall into one set of
// L1, which has no room for the 14 rows of a tile: a seventh of the speed on Zen 4.
constexpr bool RowsCollide(size_t stride) { return stride % 1024 == 0; }
constexpr size_t RowStride(size_t columns) {
  const size_t stride = (columns + 15) / 16 * 16;
  return RowsCollide(stride) ? stride + 16 : stride;
}

// Packs panels [panel_begin, panel_end) of B into packed, which has PackedSize floats. stride: floats from row to row.
void PackPanels(const float* b, size_t stride, Layout layout, size_t num_k, size_t num_columns, size_t panel_begin, size_t panel_end, float* packed);

struct GemmArguments {
  const float* a = nullptr;  // [rows][a_stride], num_k used
  size_t a_stride = 0;
  const float* packed_b = nullptr;
  size_t num_k = 0, num_columns = 0;
  const float* bias = nullptr;  // [num_columns]: what C starts from; nullptr: zero
  bool accumulate = false;      // C starts from what it holds (bias is ignored)
  float* c = nullptr;           // [rows][c_stride]
  size_t c_stride = 0;
  Activation activation = Activation::kNone;  // applied to C while it is in L1
};

// Rows [row_begin, row_end) of the panels [panel_begin, panel_end). packed_b must have been packed under the instruction set in use.
void Gemm(const GemmArguments& arguments, size_t row_begin, size_t row_end, size_t panel_begin, size_t panel_end);

// All rows of the panels [panel_begin, panel_end) from b as it lies in memory (arguments.packed_b is ignored): PanelsAtOnce are packed when their turn comes,
// into scratch, UnpackedScratch(num_k, panel_end - panel_begin) floats, and stay in L2 where K is no larger than some thousand. For a product that is computed
// once: no packed copy of b is ever in memory.
void GemmUnpacked(const GemmArguments& arguments, const float* b, size_t stride, Layout layout, size_t num_rows, size_t panel_begin, size_t panel_end,
                  float* scratch);
size_t PanelsAtOnce(size_t num_k);
size_t UnpackedScratch(size_t num_k, size_t panels);

// C = start + A^T B. arguments.a: [num_k][a_stride], all of it readable; row r of C reads its column r. Rows of C go in chunks whose part of A is packed into
// scratch, TransposedScratch(num_k, row_end - row_begin) floats: no transposed copy of A is ever in memory.
void GemmTransposed(const GemmArguments& arguments, size_t row_begin, size_t row_end, size_t panel_begin, size_t panel_end, float* scratch);
size_t TransposedScratch(size_t num_k, size_t rows);

// What defines the bits: three loops. b as it is, not packed.
void GemmReference(const GemmArguments& arguments, const float* b, size_t stride, Layout layout, size_t num_rows);

}  // namespace mlac::kernels
