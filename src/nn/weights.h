#pragma once
// The weights of a model, asked for by name and shape while its layers are built.
#include <concepts>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "autograd/parameter.h"

namespace mlac {

// What a weight holds that no checkpoint has yet.
enum class Initial { kNormal, kZero, kOne };

// The tensor of that name, or nothing.
using WeightLookup = std::function<std::optional<Tensor>(const std::string& name)>;

// Whether a parameter of this name is a part of an adapter: "NAME.lora_A.weight", "NAME.lora_B.weight".
bool IsOfAdapter(std::string_view name);
// Whether the name begins with one of these, as those of a head do (ModelTraits::head_prefixes).
bool StartsWithAny(std::string_view name, const std::vector<std::string>& prefixes);

// What an adapter adds to a linear layer W [N, K]: scale B A (autograd/lora.h).
struct LoraWeights {
  Tensor a, b;  // [rank, K] and [N, rank], f32
  float scale = 1;
  float dropout = 0;  // of what A reads, where the run drops at all
};
// module: "bert.encoder.layer.0.attention.self.query"; bare: the same without the family's "bert.", which is not there in a model of the encoder alone,
// or ""; weight: the shape of its W. Nothing where the adapter leaves it alone.
using LoraLookup = std::function<std::optional<LoraWeights>(const std::string& module, const std::string& bare, const Shape& weight)>;

// The same in a model.
struct LoraModule {
  std::string name;  // of the layer
  Parameter* weight;
  Parameter *a, *b;  // NAME.lora_A.weight and NAME.lora_B.weight
  float scale, dropout;
};

class ParameterStore;

// Where the weights of a model come from.
struct WeightSource {
  template <typename Find>
    requires std::convertible_to<Find, WeightLookup>
  WeightSource(Find lookup) : find(std::move(lookup)) {}  // NOLINT: a lookup alone is a source

  WeightLookup find;
  LoraLookup lora = nullptr;
  // Asked for what `find` has not: the weights, and what is packed of them, are shared with the models that it belongs to.
  std::shared_ptr<ParameterStore> base = nullptr;
};

// A new weight of numbers uniform in [-bound, bound), under (seed, name).
Tensor UniformWeight(const std::string& name, const Shape& shape, float bound, uint64_t seed);

// The scales of an I8 weight as one a row, [rows], from how a checkpoint has them: [rows, 1], [rows], or one for all. source: the file that messages
// name. Throws kUnsupported for a weight that is no matrix, kInvalidInput for scales of another shape.
Tensor RowScales(const std::string& source, const std::string& name, const Tensor& weight, const Tensor& scales);

class ParameterStore {
 public:
  // name: the file that messages name. base_prefix: "bert"; checkpoints of the bare encoder leave it out, and are found all the same,
  // and likewise the names gamma and beta that TensorFlow's checkpoints gave to the weight and bias of a LayerNorm.
  ParameterStore(WeightSource source, std::string name, std::string base_prefix);
  ParameterStore(const ParameterStore&) = delete;
  ParameterStore& operator=(const ParameterStore&) = delete;

  bool Has(const std::string& name) const;
  // Throws kInvalidInput for a weight that is missing or has another shape, naming both. The same name gives the same parameter.
  // An I8 weight comes with its scales, "NAME_scale", a row each or one for all (compressed-tensors' int-quantized).
  Parameter& Get(const std::string& name, const Shape& shape);
  // A new weight: normal with this deviation under (seed, name), zero or one.
  Parameter& Make(const std::string& name, const Shape& shape, Initial initial, float deviation, uint64_t seed);
  // What the adapter adds to the layer `module`, whose weight is this; null where it adds nothing.
  const LoraModule* AddLora(const std::string& module, Parameter& weight);

  // Its own: of a model with an adapter, those that the base has not.
  std::deque<Parameter>& parameters() { return parameters_; }
  const std::deque<Parameter>& parameters() const { return parameters_; }
  const std::deque<LoraModule>& loras() const { return loras_; }
  // What the adapter adds to the layer of this weight; null: nothing.
  const LoraModule* FindLora(const Parameter& weight) const;
  bool has_base() const { return source_.base != nullptr; }
  // The base's and its own.
  std::vector<const Parameter*> All() const;
  size_t num_elements() const;  // of all

 private:
  std::optional<Tensor> Find(const std::string& name) const;
  Parameter& AddInt8(const std::string& name, Tensor value);

  WeightSource source_;
  std::string name_, base_prefix_;
  std::deque<Parameter> parameters_;  // deques: layers keep references
  std::deque<LoraModule> loras_;
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
  // What an adapter adds to the linear layer here.
  const LoraModule* Lora(Parameter& weight) const;

 private:
  ParameterStore* store_;
  std::string prefix_;
  bool fresh_ = false;
  float deviation_ = 0;
  uint64_t seed_ = 0;
};

}  // namespace mlac
