#pragma once
// Operands of products in bf16: rounding, and the layouts that the kernels of bf16_gemm.h read.
#include <cstddef>

#include "kernels/bf16_gemm.h"

namespace mlac::kernels {

// Rounds to nearest even; NaN stays NaN, what is below 2^-126 becomes a zero of its sign. x: [rows][x_stride], `size` used;
// out: [rows][Bf16RowSize(size)], filled up with zeros. Needs a path (Bf16PathInUse() is not kNone, asserted); likewise below, where it
// says so.
void ToBf16Rows(const float* x, size_t x_stride, size_t num_rows, size_t size, Bf16* out);

// The same of `count` elements in a row, on every machine.
void ToBf16(const float* x, size_t count, Bf16* out);

// f32 rounded to bf16, as f32: what ToBf16Rows keeps. Where no bf16 products exist, f32 products of these stand in.
void RoundToBf16(const float* x, size_t count, float* out);

// Rounds and packs panels [panel_begin, panel_end) of b into packed, which has PackedBf16Size elements. stride: floats from row to row.
void PackBf16Panels(const float* b, size_t stride, Layout layout, size_t num_k, size_t num_columns, size_t panel_begin, size_t panel_end,
                    Bf16* packed);

// The same of a b that is rounded already, [num_k][stride] (Layout::kRows). Needs a path.
void PackBf16Panels(const Bf16* b, size_t stride, size_t num_k, size_t num_columns, size_t panel_begin, size_t panel_end, Bf16* packed);

// out[j][i] = in[i][j], i < rows, filled up with zeros to Bf16RowSize(rows), which is out's stride; j: columns [column_begin, column_end),
// of which the first of all is out[0]. Needs a path.
void TransposeBf16(const Bf16* in, size_t stride, size_t rows, size_t column_begin, size_t column_end, Bf16* out);

}  // namespace mlac::kernels
