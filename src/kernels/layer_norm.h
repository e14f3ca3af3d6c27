#pragma once
// Layer normalisation: Ba, Kiros and Hinton 2016, https://arxiv.org/abs/1607.06450. y = (x - mean) / sqrt(variance + eps) * gamma + beta
// over the features of a row.
#include <cstddef>

namespace mlac::kernels {

struct LayerNormArguments {
  const float* x = nullptr;         // [rows, size]
  const float* residual = nullptr;  // [rows, size] or nullptr: added to x first
  const float* gamma = nullptr;     // [size]
  const float* beta = nullptr;      // [size]
  float eps = 0;
  size_t size = 0;
  float* sum = nullptr;    // [rows, size] or nullptr: x + residual, for the backward pass
  float* stats = nullptr;  // [rows, 2] or nullptr: mean and 1 / sqrt(variance + eps)
  float* y = nullptr;      // [rows, size]; may be x
};

// Order: the sum in 16 lanes, folded; then the squared differences likewise.
void LayerNorm(const LayerNormArguments& arguments, size_t row_begin, size_t row_end);

// From the gradient of y to that of x (and of the residual, the same). sum, stats: as the forward pass left them.
void LayerNormBackward(const float* sum, const float* stats, const float* gamma, const float* gradient_y, size_t size, float* gradient_x,
                       size_t row_begin, size_t row_end);

// Adds the gradients of gamma and beta over all rows, rising, for the columns [column_begin, column_end).
void LayerNormBackwardParameters(const float* sum, const float* stats, const float* gradient_y, size_t size, size_t num_rows, float* gradient_gamma,
                                 float* gradient_beta, size_t column_begin, size_t column_end);

}  // namespace mlac::kernels
