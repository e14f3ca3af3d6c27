#pragma once
// What linear layers in int8 and bf16 share: rows rounded for a product, and the product cut over the threads.
#include <cstddef>
#include <functional>

#include "autograd/run.h"
#include "kernels/bf16_gemm.h"

namespace mlac {

// Rows that a thread rounds at least: less is done before another thread has heard of it.
inline constexpr size_t kRoundGrain = 32;

// Rows of an A with `rows` rows: AMX reads whole tiles.
size_t WholeTiles(size_t rows);

// Calls product(row_begin, row_end, panel_begin, panel_end) for parts of C. Threads take rows where there are many, else columns, so that
// each streams its part of the weight alone.
void CutProduct(Run& run, size_t rows, size_t panels, const std::function<void(size_t, size_t, size_t, size_t)>& product);

// x, [rows, size] f32, rounded into out: [WholeTiles(rows), Bf16RowSize(size)].
void RoundRows(Run& run, const Tensor& x, Tensor& out);

// x, f32, rounded to bf16 and f32 again: where there are no bf16 instructions, f32 products of such numbers stand in. Returns x's shape.
Tensor RoundedFloats(Run& run, const Tensor& x);

// x, f32, as bf16 of its shape.
Tensor AsBf16(Run& run, const Tensor& x);

// As RoundRows, kept by the run until other rows are asked for.
const kernels::Bf16* RoundedInput(Run& run, const Tensor& x);

}  // namespace mlac
