#pragma once
// Multi-head attention within each sequence of a ragged batch, one entry on the tape.
#include "autograd/run.h"
#include "tensor/token_batch.h"

namespace mlac {

// q, k, v: [T, num_heads * head_dim]. Where they come in bf16, in inference, so are the products (kernels/bf16_attention.h), and the result may be bf16 for the
// linear layer that reads it. Returns [T, num_heads * head_dim]; scores are divided by sqrt(head_dim). Where the run has token rows
// (autograd/wanted_rows.h), q and the result have those rows alone.
// dropout: of the probabilities, where the run drops at all. position_bias: what RelativePositionBias (relative_position_bias.h) made for at least the
// longest sequence, added to the scores, or nullptr.
Tensor AttentionForward(Run& run, const Tensor& q, const Tensor& k, const Tensor& v, const Offsets& offsets, size_t num_heads, float dropout,
                        const Tensor* position_bias = nullptr);

}  // namespace mlac
