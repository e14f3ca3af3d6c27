#include "kernels/cross_entropy.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cross_entropy.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/softmax-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlac::kernels {
namespace HWY_NAMESPACE {

// Leaves softmax(row) in row, and its maximum and the sum of exponentials.
void SoftmaxRowOf(float* row, size_t count, float* maximum, float* sum) {
  ExpRows<1>(row, count, count, 1.0f, sum, maximum);
  const Lanes total = Set(*sum);
  ForEach(row, row, count, [&](const Lanes& x) { return x / total; });
}

}  // namespace HWY_NAMESPACE
}  // namespace mlac::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlac::kernels {

HWY_EXPORT(SoftmaxRowOf);

// x = m 2^e with m in [sqrt(1/2), sqrt(2)); log m = 2 artanh(z), z = (m - 1) / (m + 1), |z| < 0.172: eleven terms of its series reach 1e-17.
double Log(double x) {
  const uint64_t bits = std::bit_cast<uint64_t>(x);
  int64_t exponent = static_cast<int64_t>(bits >> 52 & 2047) - 1023;
  double m = std::bit_cast<double>((bits & 0xFFFFFFFFFFFFF) | uint64_t{1023} << 52);
  if (m > 1.4142135623730951) {
    m *= 0.5;
    ++exponent;
  }
  const double z = (m - 1.0) / (m + 1.0), square = z * z;
  double series = 0;
  for (int k = 21; k >= 1; k -= 2) series = series * square + 1.0 / k;
  return static_cast<double>(exponent) * 0.6931471805599453 + 2.0 * z * series;
}

// x = k log 2 + r, |r| < 0.35; of the series of e^r 16 terms reach 1e-20. log 2 in two parts, so that k log 2 is exact enough.
double Exp(double x) {
  if (x > 709) return std::numeric_limits<double>::infinity();
  if (x < -708) return 0;
  const double k = std::floor(x * 1.4426950408889634 + 0.5), r = (x - k * 0.693147180369123816490) - k * 1.90821492927058770002e-10;
  double series = 1;
  for (int n = 16; n >= 1; --n) series = 1.0 + series * r / n;
  return std::ldexp(series, static_cast<int>(k));
}

void Softmax(const float* logits, size_t num_rows, size_t num_classes, float* probabilities) {
  for (size_t r = 0; r < num_rows; ++r) {
    float* row = probabilities + r * num_classes;
    if (probabilities != logits) std::copy_n(logits + r * num_classes, num_classes, row);
    float maximum, sum;
    HWY_DYNAMIC_DISPATCH(SoftmaxRowOf)(row, num_classes, &maximum, &sum);
  }
}

void CrossEntropy(const float* logits, const int32_t* labels, size_t num_rows, size_t num_classes, double* losses, const float* scales,
                  float* gradient) {
  std::vector<float> row(num_classes);
  for (size_t r = 0; r < num_rows; ++r) {
    const float* x = logits + r * num_classes;
    std::copy_n(x, num_classes, row.data());
    float maximum, sum;
    HWY_DYNAMIC_DISPATCH(SoftmaxRowOf)(row.data(), num_classes, &maximum, &sum);
    losses[r] = Log(static_cast<double>(sum)) - (static_cast<double>(x[labels[r]]) - static_cast<double>(maximum));
    if (gradient == nullptr) continue;
    for (size_t j = 0; j < num_classes; ++j)
      gradient[r * num_classes + j] = (row[j] - (static_cast<size_t>(labels[r]) == j ? 1.0f : 0.0f)) * scales[r];
  }
}

}  // namespace mlac::kernels
#endif
