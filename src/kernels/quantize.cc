#include "kernels/quantize.h"

#include <algorithm>
#include <cmath>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/quantize.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlac::kernels {
namespace HWY_NAMESPACE {

// A row whose largest element is below this counts as zero: 254 divided by it could overflow.
inline constexpr float kSmallest = 1e-35f;

// low[r] = min(0, min x) and high[r] = max(0, max x) of rows x + r * stride; high is NaN where an element is NaN or infinite. Rows together, because each
// waits for its own chains.
template <size_t kRows>
HWY_INLINE void FindRanges(const float* x, size_t stride, size_t size, float* low, float* high) {
  Lanes lowest[kRows], highest[kRows], check[kRows];  // check: a chain of 0 x, which only NaN and infinity make other than 0
  for (size_t r = 0; r < kRows; ++r) lowest[r] = highest[r] = check[r] = Set(0.0f);
  for (size_t i = 0; i < size; i += kLanes) {
#pragma GCC unroll 4
    for (size_t r = 0; r < kRows; ++r) {
      const Lanes value = LoadColumns(x + r * stride, i, size);
      lowest[r] = Min(lowest[r], value);
      highest[r] = Max(highest[r], value);
      check[r] = MulAdd(value, Set(0.0f), check[r]);
    }
  }
  for (size_t r = 0; r < kRows; ++r) {
    low[r] = -FoldMax(Set(0.0f) - lowest[r]);
    high[r] = FoldSum(check[r]) == 0.0f ? FoldMax(highest[r]) : std::numeric_limits<float>::quiet_NaN();
  }
}

HWY_INLINE void QuantizeRow(const float* x, size_t size, float low, float high, uint8_t* q, float& scale, int32_t& zero) {
  constexpr float kSteps = 254.0f;
  const size_t stride = Int8RowBytes(size);
  const float range = high - low;
  if (!(range >= kSmallest)) {
    scale = range < kSmallest ? 0.0f : range;  // NaN stays
    zero = 128;
    std::fill_n(q, stride, uint8_t{128});
    return;
  }
  scale = range / kSteps;
  const float inverse = kSteps / range, offset = 1.0f + std::nearbyint(-low * inverse);
  zero = static_cast<int32_t>(offset);
  const Lanes factor = Set(inverse);
  for (size_t i = 0; i < stride; i += kLanes) StoreRoundedUint8(LoadColumns(x, i, size) * factor, zero, q + i);
}

template <size_t kRows>
HWY_INLINE void QuantizeRowsTogether(const float* x, size_t x_stride, size_t size, uint8_t* q, float* scales, int32_t* zeros) {
  float low[kRows], high[kRows];
  FindRanges<kRows>(x, x_stride, size, low, high);
  for (size_t r = 0; r < kRows; ++r) QuantizeRow(x + r * x_stride, size, low[r], high[r], q + r * Int8RowBytes(size), scales[r], zeros[r]);
}

void QuantizeRowsOf(const float* x, size_t x_stride, size_t num_rows, size_t size, uint8_t* q, float* scales, int32_t* zeros) {
  constexpr size_t kTogether = 4;
  const size_t stride = Int8RowBytes(size);
  size_t r = 0;
  for (; r + kTogether <= num_rows; r += kTogether) QuantizeRowsTogether<kTogether>(x + r * x_stride, x_stride, size, q + r * stride, scales + r, zeros + r);
  for (; r < num_rows; ++r) QuantizeRowsTogether<1>(x + r * x_stride, x_stride, size, q + r * stride, scales + r, zeros + r);
}

void DequantizeRowOf(const int8_t* q, float scale, size_t size, float* out) {
  const Lanes factor = Set(scale);
  size_t i = 0;
  for (; i + kLanes <= size; i += kLanes) Store(LoadInt8(q + i) * factor, out + i);
  for (; i < size; ++i) out[i] = static_cast<float>(q[i]) * scale;
}

}  // namespace HWY_NAMESPACE
}  // namespace mlac::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlac::kernels {

HWY_EXPORT(QuantizeRowsOf);
HWY_EXPORT(DequantizeRowOf);

size_t Int8RowBytes(size_t num_k) { return (num_k + 63) / 64 * 64; }

void QuantizeRows(const float* x, size_t x_stride, size_t num_rows, size_t size, uint8_t* q, float* scales, int32_t* zeros) {
  HWY_DYNAMIC_DISPATCH(QuantizeRowsOf)(x, x_stride, num_rows, size, q, scales, zeros);
}

void DequantizeRow(const int8_t* q, float scale, size_t size, float* out) { HWY_DYNAMIC_DISPATCH(DequantizeRowOf)(q, scale, size, out); }

void QuantizeWeightRows(const float* x, size_t num_rows, size_t size, int8_t* q, float* scales) {
  for (size_t r = 0; r < num_rows; ++r) {
    float largest = 0;
    for (size_t i = 0; i < size; ++i) largest = std::max(largest, std::fabs(x[r * size + i]));
    scales[r] = largest / 127.0f;
    for (size_t i = 0; i < size; ++i) {
      const float scaled = scales[r] > 0 ? std::nearbyint(x[r * size + i] / scales[r]) : 0.0f;
      q[r * size + i] = static_cast<int8_t>(std::clamp(scaled, -127.0f, 127.0f));
    }
  }
}

}  // namespace mlac::kernels
#endif
