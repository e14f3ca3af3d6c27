#pragma once
// Rows of f32 as 8-bit integers with one scale a row: what int8 products multiply, made anew for each input.
#include <cstddef>
#include <cstdint>

namespace mlac::kernels {

// Bytes of a quantised row: num_k, rounded up to the step of the widest product.
size_t Int8RowBytes(size_t num_k);

// From low = min(0, min x) to high = max(0, max x) in 254 steps: scale = (high - low) / 254, zero = 1 + round to even(-low / scale) and
// q[i] = zero + round to even(x[i] / scale), so that x[i] is about (q[i] - zero) * scale; q is 1 to 255. The outputs of a GELU and most rows behind
// a LayerNorm lie to one side of zero: against a range of -127 to 127 around it this halves the error. A row with nothing above 1e-35 has
// scale 0; one with NaN or infinity has scale NaN, so that what is computed from it is NaN.
// x: [rows][x_stride], `size` used; q: [rows][Int8RowBytes(size)], filled up with anything from
// 1 to 255, which meets weights of 0; scales, zeros: [rows].
void QuantizeRows(const float* x, size_t x_stride, size_t num_rows, size_t size, uint8_t* q, float* scales, int32_t* zeros);

// Rows of a weight, all finite, around zero: q[i] = round to even(x[i] / scale), scale = max |x| / 127; rows of `size` bytes without padding.
void QuantizeWeightRows(const float* x, size_t num_rows, size_t size, int8_t* q, float* scales);

// out[i] = q[i] * scale, `size` elements.
void DequantizeRow(const int8_t* q, float scale, size_t size, float* out);

}  // namespace mlac::kernels
