#pragma once
// Element-wise work on long vectors, sums of columns, and the optimiser's step.
#include <cstddef>

namespace mlac::kernels {

// out[i] = a[i] + b[i]; out may be a or b.
void Add(const float* a, const float* b, float* out, size_t count);
// out[i] = in[i] * factor; out may be in.
void Scale(const float* in, float factor, float* out, size_t count);

// The sum of x[i] y[i] in 16 lanes, folded: lane l adds the elements with i % 16 == l, rising.
float Dot(const float* x, const float* y, size_t count);

// out[j] = out[j] + rows[0][j] + rows[1][j] + ..., one after the other, for columns [column_begin, column_end).
void AddRows(const float* rows, size_t num_rows, size_t num_columns, float* out, size_t column_begin, size_t column_end);

// AdamW: Loshchilov and Hutter 2017, https://arxiv.org/abs/1711.05101, in the form of torch.optim.AdamW.
struct AdamWStep {
  float beta1, rest1;  // beta and 1 - beta, each rounded from double
  float beta2, rest2;
  float eps;
  float decay;                    // 1 - learning rate x weight decay
  float step_size;                // learning rate / (1 - beta1^t)
  float inverse_root_correction;  // 1 / sqrt(1 - beta2^t)
  float gradient_scale;           // clipping: every gradient times this
};
void AdamW(const AdamWStep& step, const float* gradient, float* parameter, float* moment1, float* moment2, size_t count);

}  // namespace mlac::kernels
