#pragma once
// The weights of a model, asked for by name and shape while its layers are built.
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "autograd/parameter.h"

namespace mlac {

// What a weight holds that no checkpoint has yet.
enum class Initial { kNormal, kZero, kOne };

// The tensor of that name, or nothing.
using WeightLookup = std::function<std::optional<Tensor>(const std::string& name)>;

// The scales of an I8 weight as one a row, [rows], from how a checkpoint has them: [rows, 1], [rows], or one for all. source: the file that messages
// name. Throws kUnsupported for a weight that is no matrix, kInvalidInput for scales of another shape.
Tensor RowScales(const std::string& source, const std::string& name, const Tensor& weight, const Tensor& scales);

class ParameterStore {
 public:
  // source: the file that messages name. base_prefix: "bert"; checkpoints of the bare encoder leave it out, and are found all the same,
  // and likewise the names gamma and beta that TensorFlow's checkpoints gave to the weight and bias of a LayerNorm.
  ParameterStore(WeightLookup lookup, std::string source, std::string base_prefix);
  ParameterStore(const ParameterStore&) = delete;
  ParameterStore& operator=(const ParameterStore&) = delete;

  bool Has(const std::string& name) const { return Find(name).has_value(); }
  // Throws kInvalidInput for a weight that is missing or has another shape, naming both. The same name gives the same parameter.
  // An I8 weight comes with its scales, "NAME_scale", a row each or one for all (compressed-tensors' int-quantized).
  Parameter& Get(const std::string& name, const Shape& shape);
  // A new weight: normal with this deviation under (seed, name), zero or one.
  Parameter& Make(const std::string& name, const Shape& shape, Initial initial, float deviation, uint64_t seed);

  std::deque<Parameter>& parameters() { return parameters_; }
  const std::deque<Parameter>& parameters() const { return parameters_; }
  size_t num_elements() const;

 private:
  std::optional<Tensor> Find(const std::string& name) const;
  Parameter& AddInt8(const std::string& name, Tensor value);

  WeightLookup lookup_;
  std::string source_, base_prefix_;
  std::deque<Parameter> parameters_;  // a deque: layers keep references
};

// A place in the tree of names: In("attention.self") goes down, Get("weight") asks.
class WeightScope {
 public:
  explicit WeightScope(ParameterStore& store) : store_(&store) {}

  WeightScope In(std::string_view name) const;
  // The same place, but weights are made instead of found.
  WeightScope Fresh(float deviation, uint64_t seed) const;

  bool Has(std::string_view name) const { return store_->Has(prefix_ + std::string(name)); }
  Parameter& Get(std::string_view name, const Shape& shape, Initial initial = Initial::kNormal) const;

 private:
  ParameterStore* store_;
  std::string prefix_;
  bool fresh_ = false;
  float deviation_ = 0;
  uint64_t seed_ = 0;
};

}  // namespace mlac
