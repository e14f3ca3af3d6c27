#pragma once
// Softmax and its cross-entropy with class labels.
#include <cstddef>
#include <cstdint>

namespace mlac::kernels {

// The natural logarithm, within 1e-15, from basic arithmetic alone: the same on every machine. x > 0 and normal.
double Log(double x);

// e to the power of x, within 1e-15 of it relative to it, likewise; infinity above 709, 0 below -708.
double Exp(double x);

// probabilities[r] = softmax(logits[r]), rows of num_classes. May be in place.
void Softmax(const float* logits, size_t num_rows, size_t num_classes, float* probabilities);

// losses[r] = -log softmax(logits[r])[labels[r]]. If gradient is not nullptr: gradient[r] = (softmax(logits[r]) - onehot(labels[r])) * scales[r].
void CrossEntropy(const float* logits, const int32_t* labels, size_t num_rows, size_t num_classes, double* losses, const float* scales,
                  float* gradient);

}  // namespace mlac::kernels
