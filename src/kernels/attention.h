#pragma once
// Scaled dot-product attention of one head over one sequence: Vaswani et al. 2017, section 3.2.1, https://arxiv.org/abs/1706.03762.
//   out[i] = sum over j of softmax_j(scale q[i] k[j] + bias[j - i]) v[j]
// Order: a score is a chain over rising d; with a bias, one multiply-add of scale and bias; the row's maximum; exp; the sum in 16 lanes; out a chain
// over rising j, then times 1 / sum.
#include <cstddef>

#include "kernels/dropout.h"

namespace mlac::kernels {

struct AttentionArguments {
  const float* q = nullptr;  // [n][stride], or [num_queries][stride], the head's first column
  const float* k = nullptr;  // [n][stride], likewise v
  const float* v = nullptr;
  size_t stride = 0;
  size_t num_tokens = 0;  // n
  size_t head_dim = 0;
  float scale = 0;
  // Where only some tokens ask: their places in the sequence, rising, num_queries of them, at most n. nullptr: all n.
  const uint32_t* query_positions = nullptr;
  size_t num_queries = 0;
  // Dropout of the probabilities, or nullptr. The row of the query at place i is dropout_row + i; head h begins at block dropout_block.
  const DropoutKey* dropout = nullptr;
  uint32_t dropout_row = 0, dropout_block = 0;
  // What is added to a score by the distance from its query to its key (Shaw et al. 2018, as T5 and MPNet simplify it), or nullptr: points to the
  // bias of distance 0, in the middle of 2n - 1.
  const float* position_bias = nullptr;
};

// Floats of scratch that Attention needs, and AttentionBackward.
size_t AttentionScratchSize(size_t num_tokens, size_t head_dim);
size_t AttentionBackwardScratchSize(size_t num_tokens, size_t head_dim);

// out: [queries][out_stride], the head's first column. Queries [query_begin, query_end).
void Attention(const AttentionArguments& arguments, size_t query_begin, size_t query_end, float* out, size_t out_stride, float* scratch);

// Writes (not adds) the gradients of q, k and v, laid out as those; recomputes the probabilities. gradient_out: [queries][out_stride].
// gradient_bias: where there is a bias, laid out as that; to it are added the gradients of its diagonals, from the first query to the last; else nullptr.
void AttentionBackward(const AttentionArguments& arguments, const float* gradient_out, size_t out_stride, float* gradient_q, float* gradient_k,
                       float* gradient_v, float* gradient_bias, float* scratch);

}  // namespace mlac::kernels
