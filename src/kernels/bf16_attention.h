#pragma once
// Attention as attention.h has it, of operands rounded to bf16, with f32 sums: for models in int8 and in bf16. Every instruction set gives the same bits,
// those of AMX's tdpbf16ps, which the others compute with f32 multiply-adds.
// Order: elements go in steps of 32. In each step the even ones make a chain of multiply-adds and the odd ones another, both from 0, rising, and their
// sum is added to what the steps before gave. So is a score over head_dim, and an output over the keys. exp has a relative error of 8e-5; probabilities
// are rounded before they meet the values, but summed, in 16 lanes, as they were.
// AMX takes denormals for 0, other units do not: so that no sum can come near them, queries, keys and values below 2^-50 count as 0, and no probability is
// below 2^-31 of the greatest one of its row.
#include <cstddef>
#include <cstdint>

#include "kernels/bf16_gemm.h"

namespace mlac::kernels {

// Of heads whose columns lie side by side: together they are faster than one by one.
struct Bf16AttentionArguments {
  const Bf16* q = nullptr;  // [n][stride], or [num_queries][stride], the first head's first column
  const Bf16* k = nullptr;  // [n][stride], likewise v
  const Bf16* v = nullptr;
  size_t stride = 0;
  size_t num_heads = 1;
  size_t num_tokens = 0;  // n
  size_t head_dim = 0;
  float scale = 0;
  // As in AttentionArguments.
  const uint32_t* query_positions = nullptr;
  size_t num_queries = 0;
  const float* position_bias = nullptr;  // of the first head
  size_t position_bias_stride = 0;       // from head to head
  // [queries][out_stride], the first head's first column; one of the two.
  float* out = nullptr;
  Bf16* out_bf16 = nullptr;
  size_t out_stride = 0;
};

// Floats of scratch that Bf16Attention needs.
size_t Bf16AttentionScratchSize(size_t num_tokens, size_t head_dim);

// scratch: aligned to 64 bytes.
void Bf16Attention(const Bf16AttentionArguments& arguments, float* scratch);

}  // namespace mlac::kernels
