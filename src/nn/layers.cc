#include "nn/layers.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>

#include "autograd/embedding.h"
#include "autograd/layer_norm.h"
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
  throw Error(ErrorCode::kUnsupported, fmt::format("config.json: hidden_act '{}' is not known; known are {}", name, fmt::join(known, ", ")));
}

Linear::Linear(const WeightScope& weights, size_t inputs, size_t outputs, kernels::Activation activation)
    : Linear(weights.Get("weight", {outputs, inputs}, Initial::kNormal), weights.Get("bias", {outputs}, Initial::kZero), activation) {}

Linear::Linear(Parameter& weight, Parameter& bias, kernels::Activation activation)
    : weight_(&weight), bias_(&bias), activation_(activation), packed_(std::make_unique<PackedWeight>()) {}

Tensor Linear::operator()(Run& run, const Tensor& x) const { return LinearForward(run, x, *weight_, bias_, activation_, *packed_); }

Tensor Linear::ForNextLinear(Run& run, const Tensor& x) const {
  return LinearForward(run, x, *weight_, bias_, activation_, *packed_, /*narrow=*/true);
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
