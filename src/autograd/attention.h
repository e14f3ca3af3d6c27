#pragma once
// Multi-head attention within each sequence of a ragged batch, one entry on the tape.
#include <optional>

#include "autograd/linear.h"
#include "autograd/run.h"
#include "tensor/token_batch.h"

namespace mlac {

// Queries, keys or values: rows that are there, or the linear layer of inference that gives them, which attention may compute head by head.
class AttentionInput {
 public:
  AttentionInput(Tensor rows) : rows_(std::move(rows)) {}  // NOLINT(google-explicit-constructor): the usual case
  // A layer that PreparesLinear, for Reader::kAttention.
  AttentionInput(const Tensor& x, const Parameter& weight, const Parameter* bias, PackedWeight& packed) : layer_(Layer{x, &weight, bias, &packed}) {}

  bool is_computed() const { return !layer_.has_value(); }
  const Parameter& weight() const { return *layer_->weight; }  // of a layer
  size_t num_rows() const { return is_computed() ? rows_.dim(0) : layer_->x.dim(0); }
  size_t size() const { return is_computed() ? rows_.dim(1) : layer_->weight->value.dim(0); }
  // Whether the rows are or will be bf16.
  bool is_narrow(const Run& run) const { return is_computed() ? rows_.dtype() == DType::kBF16 : NarrowForAttention(run, *layer_->weight); }

  Tensor Rows(Run& run) const { return is_computed() ? rows_ : Computed(run, Prepare(run)); }
  LinearProduct Prepare(Run& run) const;  // of a layer

 private:
  struct Layer {
    Tensor x;
    const Parameter* weight;
    const Parameter* bias;
    PackedWeight* packed;
  };
  Tensor rows_;
  std::optional<Layer> layer_;
};

// Heads that a thread takes together from queries, keys and values that are not computed to their part of the result; 0 where all are computed first. So it
// goes with few rows, whose products are cut by columns as attention is by heads, where the heads keep all threads busy: a thread hears of its work once and
// not four times.
size_t HeadsAtOnce(const Run& run, const AttentionInput& q, const AttentionInput& k, const AttentionInput& v, size_t num_heads);

// q, k, v: [T, num_heads * head_dim]. Where they come in bf16, in inference, so are the products (kernels/bf16_attention.h), and the result may be bf16 for the
// linear layer that reads it. Returns [T, num_heads * head_dim]; scores are divided by sqrt(head_dim). Where the run has token rows
// (autograd/wanted_rows.h), q and the result have those rows alone.
// dropout: of the probabilities, where the run drops at all. position_bias: what RelativePositionBias (relative_position_bias.h) made for at least the
// longest sequence, added to the scores, or nullptr.
Tensor AttentionForward(Run& run, const AttentionInput& q, const AttentionInput& k, const AttentionInput& v, const Offsets& offsets, size_t num_heads,
                        float dropout, const Tensor* position_bias = nullptr);

}  // namespace mlac
