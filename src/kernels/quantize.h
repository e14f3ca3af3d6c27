#pragma once
// Rows of f32 as 8-bit integers with one scale a row: what int8 products multiply, made anew for each input.
#include <cstddef>
#include <cstdint>

namespace mlac::kernels {

// Bytes of a quantised row: num_k, rounded up to the step of the widest product.
size_t Int8RowBytes(size_t num_k);

// q[i] = round to even(x[i] * 127 / max |x|) + 128, scale = max |x| / 127, so that x[i] is about (q[i] - 128) * scale. A row of zeros (of nothing above 1e-35) has scale 0; a row
// with NaN or infinity has scale NaN, so that what is computed from it is NaN. x: [rows][x_stride], `size` used; q: [rows][Int8RowBytes(size)],
// filled up with 128; scales: [rows].
void QuantizeRows(const float* x, size_t x_stride, size_t num_rows, size_t size, uint8_t* q, float* scales);

// The same for rows of a weight, without the offset: q in [-127, 127]; rows of `size` bytes without padding.
void QuantizeWeightRows(const float* x, size_t num_rows, size_t size, int8_t* q, float* scales);

// out[i] = q[i] * scale, `size` elements.
void DequantizeRow(const int8_t* q, float scale, size_t size, float* out);

}  // namespace mlac::kernels
