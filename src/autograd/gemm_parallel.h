#pragma once
// Matrix products over the threads of a run.
#include "autograd/run.h"
#include "kernels/gemm.h"

namespace mlac {

// kernels::Gemm by one thread of the run. Where rows of A would push each other out of L1, and there are columns enough to pay for it, from a copy.
void GemmOnThread(Run& run, size_t thread, const kernels::GemmArguments& arguments, size_t row_begin, size_t row_end, size_t panel_begin, size_t panel_end);

// C of `num_rows` rows, cut by rows where there are many, else by columns: an element is computed whole by one thread.
void ParallelGemm(Run& run, const kernels::GemmArguments& arguments, size_t num_rows);

// C = A B, or C + A B where it accumulates, of whole tensors: a: [M, K]; packed_b: [K, N], packed; c: [M, N], owned.
void Multiply(Run& run, const Tensor& a, const Tensor& packed_b, Tensor& c, bool accumulate = false);

// B packed for one product; the tensor is dropped behind it.
Tensor PackForGemm(Run& run, const float* b, size_t stride, kernels::Layout layout, size_t num_k, size_t num_columns);

// A W: how the gradient of y = x W^T flows back to x. a: [T, N]; weight: [N, K] f32. Returns [T, K].
Tensor TimesWeight(Run& run, const Tensor& a, const Tensor& weight);

}  // namespace mlac
