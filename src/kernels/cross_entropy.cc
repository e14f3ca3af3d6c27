#include "kernels/cross_entropy.h"

#include <algorithm>
#include <cassert>
#include <vector>

#include "kernels/double_math.h"

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
    assert(labels[r] >= 0 && static_cast<size_t>(labels[r]) < num_classes);
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
