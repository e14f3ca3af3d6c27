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

// A row whose largest element is below this counts as zero: 127 divided by it would overflow.
inline constexpr float kSmallest = 1e-35f;

// max |x|, or NaN where an element is NaN or infinite.
HWY_INLINE float LargestMagnitude(const float* x, size_t size) {
  Lanes largest = Set(0.0f), check = Set(0.0f);  // check: a chain of 0 x, which only NaN and infinity make other than 0
  const auto look = [&](const Lanes& value) {
    largest = Max(largest, Abs(value));
    check = MulAdd(value, Set(0.0f), check);
  };
  size_t i = 0;
  for (; i + kLanes <= size; i += kLanes) look(Load(x + i));
  if (i < size) look(LoadPart(x + i, size - i));
  return FoldSum(check) == 0.0f ? FoldMax(largest) : std::numeric_limits<float>::quiet_NaN();
}

void QuantizeRowsOf(const float* x, size_t x_stride, size_t num_rows, size_t size, uint8_t* q, float* scales) {
  const size_t stride = Int8RowBytes(size);
  for (size_t r = 0; r < num_rows; ++r, x += x_stride, q += stride) {
    const float largest = LargestMagnitude(x, size);
    scales[r] = largest < kSmallest ? 0.0f : largest / 127.0f;
    if (!(largest >= kSmallest)) {
      std::fill_n(q, stride, uint8_t{128});
      continue;
    }
    const Lanes inverse = Set(127.0f / largest);
    const auto quantize = [&](const Lanes& value) { return Round(value * inverse) + Set(128.0f); };
    size_t i = 0;
    for (; i + kLanes <= size; i += kLanes) StoreUint8(quantize(Load(x + i)), q + i);
    for (; i < stride; i += kLanes)
      StoreUint8(i < size ? quantize(LoadPart(x + i, size - i)) : Set(128.0f), q + i);
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

void QuantizeRows(const float* x, size_t x_stride, size_t num_rows, size_t size, uint8_t* q, float* scales) {
  HWY_DYNAMIC_DISPATCH(QuantizeRowsOf)(x, x_stride, num_rows, size, q, scales);
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
