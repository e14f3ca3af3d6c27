#pragma once
// What linear layers in int8 and bf16 share: rows rounded for a product.
#include <cstddef>
#include <functional>
#include <memory>

#include "autograd/run.h"
#include "kernels/bf16_gemm.h"

namespace mlac {

// Rows that a thread rounds at least: less is done before another thread has heard of it.
inline constexpr size_t kRoundGrain = 32;

// Rows of an A with `rows` rows: AMX reads whole tiles.
size_t WholeTiles(size_t rows);

// x, [rows, size] f32, rounded into out: [WholeTiles(rows), Bf16RowSize(size)].
void RoundRows(Run& run, const Tensor& x, Tensor& out);

// x, f32, rounded to bf16 and f32 again: where there are no bf16 instructions, f32 products of such numbers stand in. Returns x's shape.
Tensor RoundedFloats(Run& run, const Tensor& x);

// x, f32, as bf16 of its shape.
Tensor AsBf16(Run& run, const Tensor& x);

// As RoundRows, made once for all products of x.
std::shared_ptr<const NarrowRows> RoundedInput(Run& run, const Tensor& x);

}  // namespace mlac
