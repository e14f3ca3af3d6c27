// The softmax of rows in 16 lanes: for the attentions (attention-inl.h) and cross_entropy.cc.
#if defined(MLAC_KERNELS_SOFTMAX_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MLAC_KERNELS_SOFTMAX_INL_H_
#undef MLAC_KERNELS_SOFTMAX_INL_H_
#else
#define MLAC_KERNELS_SOFTMAX_INL_H_
#endif

#include "kernels/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlac::kernels {
namespace HWY_NAMESPACE {

inline constexpr float kLowest = -3e38f;  // below every score; what absent lanes hold for the maximum

// In kRows rows of `count` scores, `stride` apart: x becomes exp((x - maximum) * scale), sums[r] their sum: lane l of 16 adds the elements
// with i % 16 == l, rising, then the lanes fold. Rows run together because each waits for its own chain; no row's order changes by it.
template <size_t kRows>
HWY_INLINE void ExpRows(float* rows, size_t stride, size_t count, float scale, float* sums, float* maxima = nullptr) {
  const size_t whole = count / kLanes * kLanes, tail = count - whole;
  Lanes maximum[kRows], sum[kRows];
  for (size_t r = 0; r < kRows; ++r) maximum[r] = Set(kLowest), sum[r] = Set(0.0f);
  for (size_t i = 0; i < whole; i += kLanes)
    for (size_t r = 0; r < kRows; ++r) maximum[r] = Max(maximum[r], Load(rows + r * stride + i));
  for (size_t r = 0; r < kRows; ++r) {
    if (tail > 0) maximum[r] = Max(maximum[r], LoadPart(rows + r * stride + whole, tail, kLowest));
    const float value = FoldMax(maximum[r]);
    if (maxima != nullptr) maxima[r] = value;
    maximum[r] = Set(value);
  }
  const Lanes scales = Set(scale);
  for (size_t i = 0; i < whole; i += kLanes)
    for (size_t r = 0; r < kRows; ++r) {
      float* x = rows + r * stride + i;
      const Lanes e = Exp((Load(x) - maximum[r]) * scales);
      Store(e, x);
      sum[r] = sum[r] + e;
    }
  for (size_t r = 0; r < kRows; ++r) {
    if (tail > 0) {
      float* x = rows + r * stride + whole;
      StorePart(Exp((LoadPart(x, tail, kLowest) - maximum[r]) * scales), x, tail);
      sum[r] = sum[r] + LoadPart(x, tail);  // absent lanes add 0, not exp(-87)
    }
    sums[r] = FoldSum(sum[r]);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace mlac::kernels
HWY_AFTER_NAMESPACE();

#endif
