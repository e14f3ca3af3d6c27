#pragma once
// Matrix products over the threads of a run.
#include "autograd/run.h"
#include "kernels/gemm.h"

namespace mlac {

// C of `num_rows` rows, cut by rows where there are many, else by columns: an element is computed whole by one thread.
void ParallelGemm(Run& run, const kernels::GemmArguments& arguments, size_t num_rows);

// C = A B, or C + A B where it accumulates, of whole tensors: a: [M, K]; packed_b: [K, N], packed; c: [M, N], owned.
void Multiply(Run& run, const Tensor& a, const Tensor& packed_b, Tensor& c, bool accumulate = false);

// ParallelGemm from B as it lies in memory, packed panel by panel as it is used, cut by columns.
void ParallelGemmUnpacked(Run& run, const kernels::GemmArguments& arguments, const float* b, size_t stride, kernels::Layout layout, size_t num_rows);

// B packed for one product; the tensor is dropped behind it.
Tensor PackForGemm(Run& run, const float* b, size_t stride, kernels::Layout layout, size_t num_k, size_t num_columns);

// A W: how the gradient of y = x W^T flows back to x. a: [T, N]; weight: [N, K] f32. Returns [T, K].
Tensor TimesWeight(Run& run, const Tensor& a, const Tensor& weight);

}  // namespace mlac
