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

// min(0, min x) and max(0, max x); high is NaN where an element is NaN or infinite.
HWY_INLINE void FindRange(const float* x, size_t size, float& low, float& high) {
  Lanes lowest = Set(0.0f), highest = Set(0.0f), check = Set(0.0f);  // check: a chain of 0 x, which only NaN and infinity make other than 0
  const auto look = [&](const Lanes& value) {
    lowest = Min(lowest, value);
    highest = Max(highest, value);
    check = MulAdd(value, Set(0.0f), check);
  };
  size_t i = 0;
  for (; i + kLanes <= size; i += kLanes) look(Load(x + i));
  if (i < size) look(LoadPart(x + i, size - i));
  low = -FoldMax(Set(0.0f) - lowest);
  high = FoldSum(check) == 0.0f ? FoldMax(highest) : std::numeric_limits<float>::quiet_NaN();
}

void QuantizeRowsOf(const float* x, size_t x_stride, size_t num_rows, size_t size, uint8_t* q, float* scales, int32_t* zeros) {
  constexpr float kSteps = 254.0f;
  const size_t stride = Int8RowBytes(size);
  for (size_t r = 0; r < num_rows; ++r, x += x_stride, q += stride) {
    float low, high;
    FindRange(x, size, low, high);
    const float range = high - low;
    if (!(range >= kSmallest)) {
      scales[r] = range < kSmallest ? 0.0f : range;  // NaN stays
      zeros[r] = 128;
      std::fill_n(q, stride, uint8_t{128});
      continue;
    }
    scales[r] = range / kSteps;
    const float inverse = kSteps / range, zero = 1.0f + std::nearbyint(-low * inverse);
    zeros[r] = static_cast<int32_t>(zero);
    const Lanes factor = Set(inverse), offset = Set(zero), highest = Set(255.0f);
    const auto quantize = [&](const Lanes& value) { return Min(Round(value * factor) + offset, highest); };
    size_t i = 0;
    for (; i + kLanes <= size; i += kLanes) StoreUint8(quantize(Load(x + i)), q + i);
    for (; i < stride; i += kLanes) StoreUint8(i < size ? quantize(LoadPart(x + i, size - i)) : Set(128.0f), q + i);
  }
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
