#pragma once
// Matrix products over the threads of a run.
#include <functional>

#include "autograd/run.h"
#include "kernels/gemm.h"

namespace mlac {

// kernels::Gemm by one thread of the run. Where rows of A would push each other out of L1, and there are columns enough to pay for it, from a copy.
void GemmOnThread(Run& run, size_t thread, const kernels::GemmArguments& arguments, size_t row_begin, size_t row_end, size_t panel_begin, size_t panel_end);

// Gives each thread its part of a product of num_rows rows and num_panels panels: rows where each has rows_per_thread at least, else panels. An element is
// computed whole by one thread.
void ForRowsOrPanels(Run& run, size_t num_rows, size_t rows_per_thread, size_t num_panels,
                     const std::function<void(size_t thread, size_t row_begin, size_t row_end, size_t panel_begin, size_t panel_end)>& body);

// C of `num_rows` rows, cut as ForRowsOrPanels does.
void ParallelGemm(Run& run, const kernels::GemmArguments& arguments, size_t num_rows);

// C = A B, or C + A B where it accumulates, of whole tensors: a: [M, K]; packed_b: [K, N], packed; c: [M, N], owned.
void Multiply(Run& run, const Tensor& a, const Tensor& packed_b, Tensor& c, bool accumulate = false);

// B packed for one product; the tensor is dropped behind it.
Tensor PackForGemm(Run& run, const float* b, size_t stride, kernels::Layout layout, size_t num_k, size_t num_columns);

// Whether panels can be shared out with no thread waiting long: evenly, or enough of them.
bool CutsIntoPanelsEvenly(const Run& run, size_t num_columns);

// Whether a B that is used once is better packed a few panels at a time, by the thread that computes them (kernels::GemmUnpacked), than as a whole before the
// product: a training step of MiniLM, 16x64, takes 1 to 2 % less. Not where rows of A are copied first (RowsCollide): a copy should serve all panels.
bool PacksPanelsInTurn(const Run& run, size_t num_k, size_t num_columns);

// A W: how the gradient of y = x W^T flows back to x. a: [T, N]; weight: [N, K] f32. Returns [T, K].
Tensor TimesWeight(Run& run, const Tensor& a, const Tensor& weight);

}  // namespace mlac
