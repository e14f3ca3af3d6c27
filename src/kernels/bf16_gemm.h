#pragma once
// Matrix products of bf16 with f32 sums: C[r][j] = activation(sum over k of a[r][k] b[k][j] + bias[j]), on AMX tiles or AVX-512's vdpbf16ps. The order in
// which an element's products are added depends on the path alone, so the bits are those of every batch and thread count, but AMX and AVX-512 differ.
#include <cstddef>
#include <cstdint>

#include "kernels/activation.h"
#include "kernels/gemm.h"

namespace mlac::kernels {

// The upper half of an f32. A vector of them is plain memory: nothing computes with this type but the products.
using Bf16 = uint16_t;

// Elements of a row: num_k, rounded up to the step of the tiles.
size_t Bf16RowSize(size_t num_k);

// One packing serves both paths: [columns / 16][k / 2][16][2], k filled up to Bf16RowSize, columns to an even number of panels.
inline constexpr size_t kBf16PanelWidth = 16;
size_t NumBf16Panels(size_t num_columns);  // an even number: cut work at even panels
size_t PackedBf16Size(size_t num_k, size_t num_columns);  // elements

struct Bf16GemmArguments {
  const Bf16* a = nullptr;  // [rows][Bf16RowSize(num_k)], readable in whole steps of 16 rows from row_begin
  const Bf16* packed_b = nullptr;
  size_t num_k = 0, num_columns = 0;
  const float* bias = nullptr;  // [num_columns]; nullptr: zero
  bool accumulate = false;      // C = what it holds + the sums: f32, without bias and activation
  float* c = nullptr;           // [rows][c_stride], or nullptr where c_bf16 is given
  Bf16* c_bf16 = nullptr;       // [rows][c_stride], rounded
  size_t c_stride = 0;
  Activation activation = Activation::kNone;  // GELU: of degree 8 (math-inl.h)
};

// Needs a path (Bf16PathInUse() is not kNone, asserted).
void Bf16Gemm(const Bf16GemmArguments& arguments, size_t row_begin, size_t row_end, size_t panel_begin, size_t panel_end);

}  // namespace mlac::kernels
