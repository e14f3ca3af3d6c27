#pragma once
// Layers shared by the families of models. A layer finds its weights in its constructor; calling it runs the forward pass, and records it
// where the run has a tape.
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "autograd/attention.h"
#include "autograd/elementwise.h"
#include "autograd/linear.h"
#include "autograd/recompute.h"
#include "autograd/run.h"
#include "kernels/activation.h"
#include "nn/weights.h"
#include "tensor/token_batch.h"

namespace mlac {

// The activation that config.json calls hidden_act. Throws kUnsupported with the known names.
kernels::Activation ActivationFromName(const std::string& name);

// [rows, inputs] to [rows, outputs]: activation(x W^T + b), weights "weight" [outputs, inputs] and "bias" [outputs]; with an adapter that has this
// layer, activation(x W^T + b + scale (x A^T) B^T); where the run says which adapters its rows have, each row with its own.
class Linear {
 public:
  Linear(const WeightScope& weights, size_t inputs, size_t outputs, kernels::Activation activation = kernels::Activation::kNone);
  // Over a weight that something else owns (tied embeddings).
  Linear(Parameter& weight, Parameter& bias, kernels::Activation activation = kernels::Activation::kNone);

  Tensor operator()(Run& run, const Tensor& x) const { return Forward(run, x, Reader::kAny); }
  // The same for another Linear, or for attention, to read (autograd/linear.h, Reader).
  Tensor ForNextLinear(Run& run, const Tensor& x) const { return Forward(run, x, Reader::kLinear); }
  AttentionInput ForAttention(Run& run, const Tensor& x) const;

 private:
  Parameter* weight_;
  Parameter* bias_;
  kernels::Activation activation_;
  std::shared_ptr<PackedWeight> packed_;  // the weight's own: models over one base share it
  const LoraModule* lora_ = nullptr;

  Tensor Forward(Run& run, const Tensor& x, Reader reader) const;
  bool HasLora(const Run& run) const;
  const LoraModule* LoraOf(const AdapterRows& rows) const;  // null: these rows have none here
  Tensor WithLora(Run& run, const Tensor& x, Reader reader) const;
  Tensor PartByPart(Run& run, const Tensor& x, Reader reader) const;
};

// Ids to rows of "weight" [count, size].
class Embedding {
 public:
  Embedding(const WeightScope& weights, size_t count, size_t size);

  Tensor operator()(Run& run, std::span<const int32_t> ids) const;
  Parameter& weight() const { return *weight_; }

 private:
  Parameter* weight_;
};

// LayerNorm(x + residual) over the last dimension.
class LayerNorm {
 public:
  LayerNorm(const WeightScope& weights, size_t size, float eps);

  Tensor operator()(Run& run, const Tensor& x) const;
  Tensor operator()(Run& run, const Tensor& x, const Tensor& residual) const;

 private:
  Parameter* weight_;
  Parameter* bias_;
  float eps_;
};

// Drops elements where the run drops at all.
class Dropout {
 public:
  explicit Dropout(float probability, RowKind rows = RowKind::kTokens) : probability_(probability), rows_(rows) {}
  Tensor operator()(Run& run, const Tensor& x) const;

 private:
  float probability_;
  RowKind rows_;
};

// 0, 1, 2, ... again in every sequence: the offsets alone give the positions.
std::vector<int32_t> PositionIds(const Offsets& offsets);

// The layers of an encoder one after the other, [T, H] to [T, H]: layer(run, hidden_states, more..., rows); the last one gives the wanted rows alone
// (autograd/wanted_rows.h), the others all. With gradient checkpointing each is a section.
template <typename Layer, typename... More>
Tensor RunLayers(Run& run, const std::vector<Layer>& layers, Tensor hidden_states, const TokenRows& wanted, const More&... more) {
  for (const Layer& layer : layers) {
    const TokenRows rows = &layer == &layers.back() ? wanted : nullptr;
    hidden_states = !run.recomputes() ? layer(run, hidden_states, more..., rows)
                                      : Recomputed(run, [&layer, hidden_states, more..., rows](Run& run) { return layer(run, hidden_states, more..., rows); });
  }
  return hidden_states;
}

}  // namespace mlac
