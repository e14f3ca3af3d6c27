#pragma once
// Matrix products in int8:
//   C[r][j] = activation(fma(float(sum over k of (a[r][k] - a_zero[r]) b[k][j]) * a_scale[r], b_scale[j], bias[j])).
// a: quantised rows (kernels/quantize.h). b: a weight with one scale an output. The sums are exact integers, so the same bits come from every path:
// AMX tiles, vpdpbusd (AVX-512 and AVX-VNNI), AVX2 and the plain reference.
#include <cstddef>
#include <cstdint>

#include "kernels/activation.h"
#include "kernels/bf16_gemm.h"

namespace mlac::kernels {

// Columns of a panel; one packing serves all paths: [columns / 16][k / 4][16][4], k filled up to Int8RowBytes, columns to an even number of panels.
inline constexpr size_t kInt8PanelWidth = 16;
// The sums of more products could overflow 32 bits: 255 * 128 * 65536 < 2^31.
inline constexpr size_t kInt8MaxK = 65536;

size_t NumInt8Panels(size_t num_columns);  // an even number: cut work at even panels
size_t PackedInt8Size(size_t num_k, size_t num_columns);  // bytes

// A packed weight. sums and scales have one element a column, filled up to whole panels.
struct Int8Weight {
  const int8_t* values = nullptr;        // PackedInt8Size bytes, aligned to 64
  const int32_t* sums = nullptr;  // of the column: times a row's zero, what that adds
  const float* scales = nullptr;
};

// Packs panels [panel_begin, panel_end) of rows[num_columns][num_k], a weight as checkpoints store it, and writes the sums of their columns.
void PackInt8Panels(const int8_t* rows, size_t num_k, size_t num_columns, size_t panel_begin, size_t panel_end, int8_t* packed, int32_t* sums);

struct Int8GemmArguments {
  const uint8_t* a = nullptr;        // [rows][Int8RowBytes(num_k)], readable in whole steps of 16 rows from row_begin
  const float* a_scales = nullptr;   // [rows]
  const int32_t* a_zeros = nullptr;  // [rows]
  Int8Weight b;
  size_t num_k = 0, num_columns = 0;
  const float* bias = nullptr;  // [num_columns]; nullptr: zero
  float* c = nullptr;           // [rows][c_stride], or nullptr where c_bf16 is given
  Bf16* c_bf16 = nullptr;       // [rows][c_stride], rounded; without activation
  size_t c_stride = 0;
  Activation activation = Activation::kNone;  // GELU: of degree 8 (math-inl.h)
};

// Rows [row_begin, row_end) of the panels [panel_begin, panel_end).
void Int8Gemm(const Int8GemmArguments& arguments, size_t row_begin, size_t row_end, size_t panel_begin, size_t panel_end);

}  // namespace mlac::kernels
