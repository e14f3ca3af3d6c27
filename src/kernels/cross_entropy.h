#pragma once
// Softmax and its cross-entropy with class labels.
#include <cstddef>
#include <cstdint>

namespace mlac::kernels {

// probabilities[r] = softmax(logits[r]), rows of num_classes. May be in place.
void Softmax(const float* logits, size_t num_rows, size_t num_classes, float* probabilities);

// losses[r] = -log softmax(logits[r])[labels[r]], NaN where a logit of the row is NaN or +infinity. labels: each in [0, num_classes). If gradient is not
// nullptr: gradient[r] = (softmax(logits[r]) - onehot(labels[r])) * scales[r].
void CrossEntropy(const float* logits, const int32_t* labels, size_t num_rows, size_t num_classes, double* losses, const float* scales,
                  float* gradient);

}  // namespace mlac::kernels
