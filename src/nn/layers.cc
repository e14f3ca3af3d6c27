#include "nn/layers.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cassert>
#include <map>

#include "autograd/embedding.h"
#include "autograd/layer_norm.h"
#include "autograd/lora.h"
#include "autograd/narrow_product.h"
#include "base/display.h"
#include "base/error.h"

namespace mlac {

kernels::Activation ActivationFromName(const std::string& name) {
  using kernels::Activation;
  static const std::map<std::string, Activation> kNames = {{"gelu", Activation::kGelu},         {"gelu_new", Activation::kGeluTanh},
                                                           {"gelu_pytorch_tanh", Activation::kGeluTanh}, {"relu", Activation::kRelu},
                                                           {"tanh", Activation::kTanh}};
  if (const auto found = kNames.find(name); found != kNames.end()) return found->second;
  std::vector<std::string> known;
  for (const auto& [key, value] : kNames) known.push_back(key);
  throw Error(ErrorCode::kUnsupported, fmt::format("config.json: hidden_act {} is not known; known are {}", Quoted(name), fmt::join(known, ", ")));
}

Linear::Linear(const WeightScope& weights, size_t inputs, size_t outputs, kernels::Activation activation)
    : Linear(weights.Get("weight", {outputs, inputs}, Initial::kNormal), weights.Get("bias", {outputs}, Initial::kZero), activation) {
  lora_ = weights.Lora(*weight_);
}

Linear::Linear(Parameter& weight, Parameter& bias, kernels::Activation activation)
    : weight_(&weight), bias_(&bias), activation_(activation), packed_(PackedOf(weight)) {}

Tensor Linear::Forward(Run& run, const Tensor& x, Reader reader) const {
  if (!HasLora(run)) return LinearForward(run, x, *weight_, bias_, activation_, *packed_, reader);
  if (reader != Reader::kAttention) return WithLora(run, x, reader);
  const Tensor y = WithLora(run, x, Reader::kAny);
  return NarrowForAttention(run, *weight_) ? AsBf16(run, y) : y;
}

AttentionInput Linear::ForAttention(Run& run, const Tensor& x) const {
  assert(activation_ == kernels::Activation::kNone);
  if (HasLora(run) || !PreparesLinear(run, *weight_)) return Forward(run, x, Reader::kAttention);
  return {x, *weight_, bias_, *packed_};
}

bool Linear::HasLora(const Run& run) const {
  if (lora_ != nullptr) return true;
  const std::span<const AdapterRows> rows = run.rows().adapters;
  return std::any_of(rows.begin(), rows.end(), [&](const AdapterRows& part) { return LoraOf(part) != nullptr; });
}

const LoraModule* Linear::LoraOf(const AdapterRows& rows) const { return rows.adapter == nullptr ? nullptr : rows.adapter->FindLora(*weight_); }

// The adapter's part is computed in f32 whatever the weight and the run are, and the activation follows both.
Tensor Linear::WithLora(Run& run, const Tensor& x, Reader reader) const {
  const Tensor floats = x.dtype() == DType::kF32 ? x : x.ToF32();
  if (lora_ != nullptr) {
    const Tensor z = LinearForward(run, x, *weight_, bias_, kernels::Activation::kNone, *packed_);
    // Only layers of the encoder learn an adapter, and their rows are tokens.
    const Tensor dropped = DropoutForward(run, floats, lora_->dropout, RowKind::kTokens);
    return ActivationForward(run, LoraForward(run, dropped, z, *lora_->a, *lora_->b, lora_->scale), activation_);
  }
  const std::span<const AdapterRows> parts = run.rows().adapters;
  const bool rounds = weight_->value.dtype() == DType::kI8 || run.dtype() == DType::kBF16;
  if (rounds && (reader == Reader::kLinear || activation_ != kernels::Activation::kNone) &&
      std::any_of(parts.begin(), parts.end(), [&](const AdapterRows& part) { return LoraOf(part) == nullptr; }))
    return PartByPart(run, floats, reader);
  const Tensor z = LinearForward(run, x, *weight_, bias_, kernels::Activation::kNone, *packed_);
  size_t begin = 0;
  for (const AdapterRows& part : parts) {
    const LoraModule* lora = LoraOf(part);
    if (lora != nullptr && part.end > begin) LoraForward(run, floats.Rows(begin, part.end), z.Rows(begin, part.end), *lora->a, *lora->b, lora->scale);
    begin = part.end;
  }
  return ActivationForward(run, z, activation_);
}

// Where some rows have no adapter here: in int8 and bf16 their activation is a part of the product, with fewer digits than one behind it, and what they
// give may be rounded. All rows have the bits that they have alone.
Tensor Linear::PartByPart(Run& run, const Tensor& x, Reader reader) const {
  Tensor y = run.NewTensor({x.dim(0), weight_->value.dim(0)});
  size_t begin = 0;
  for (const AdapterRows& part : run.rows().adapters) {
    if (part.end == begin) continue;
    const Tensor rows = x.Rows(begin, part.end);
    const LoraModule* lora = LoraOf(part);
    Tensor result = LinearForward(run, rows, *weight_, bias_, lora == nullptr ? activation_ : kernels::Activation::kNone, *packed_,
                                  lora == nullptr ? reader : Reader::kAny);
    if (lora != nullptr) result = ActivationForward(run, LoraForward(run, rows, result, *lora->a, *lora->b, lora->scale), activation_);
    const Tensor floats = result.dtype() == DType::kF32 ? result : result.ToF32();
    std::copy(floats.floats().begin(), floats.floats().end(), y.mutable_floats().begin() + static_cast<ptrdiff_t>(begin * y.dim(1)));
    begin = part.end;
  }
  return y;
}

Embedding::Embedding(const WeightScope& weights, size_t count, size_t size) : weight_(&weights.Get("weight", {count, size})) {}

Tensor Embedding::operator()(Run& run, std::span<const int32_t> ids) const { return EmbeddingForward(run, *weight_, ids); }

LayerNorm::LayerNorm(const WeightScope& weights, size_t size, float eps)
    : weight_(&weights.Get("weight", {size}, Initial::kOne)), bias_(&weights.Get("bias", {size}, Initial::kZero)), eps_(eps) {}

Tensor LayerNorm::operator()(Run& run, const Tensor& x) const { return LayerNormForward(run, x, nullptr, *weight_, *bias_, eps_); }

Tensor LayerNorm::operator()(Run& run, const Tensor& x, const Tensor& residual) const {
  return LayerNormForward(run, x, &residual, *weight_, *bias_, eps_);
}

Tensor Dropout::operator()(Run& run, const Tensor& x) const { return DropoutForward(run, x, probability_, rows_); }

std::vector<int32_t> PositionIds(const Offsets& offsets) {
  std::vector<int32_t> ids(offsets.back());
  for (size_t s = 0; s + 1 < offsets.size(); ++s)
    for (size_t t = offsets[s]; t < offsets[s + 1]; ++t) ids[t] = static_cast<int32_t>(t - offsets[s]);
  return ids;
}

}  // namespace mlac
