#include "nn/weights.h"

#include <fmt/format.h>

#include <algorithm>

#include "autograd/linear.h"
#include "base/error.h"
#include "base/random.h"

namespace mlac {
namespace {

// FNV-1a: gives each new weight a random stream of its own that its name alone decides.
uint64_t HashOfName(std::string_view name) {
  uint64_t hash = 14695981039346656037u;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return hash;
}

// "x.LayerNorm.weight" under the name that TensorFlow's checkpoints used, "" if it is no such name.
std::string OldName(const std::string& name) {
  for (const auto& [suffix, old] : {std::pair{"LayerNorm.weight", "LayerNorm.gamma"}, {"LayerNorm.bias", "LayerNorm.beta"}})
    if (name.ends_with(suffix)) return name.substr(0, name.size() - std::string_view(suffix).size()) + old;
  return "";
}

}  // namespace

bool IsOfAdapter(std::string_view name) { return name.ends_with(".lora_A.weight") || name.ends_with(".lora_B.weight"); }

bool StartsWithAny(std::string_view name, const std::vector<std::string>& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(), [&](const std::string& prefix) { return name.starts_with(prefix); });
}

Tensor RowScales(const std::string& source, const std::string& name, const Tensor& weight, const Tensor& scales) {
  if (weight.shape().size() != 2)
    throw Error(ErrorCode::kUnsupported, fmt::format("{}: tensor '{}' is I8 of shape {}; int8 weights have two dimensions", source, name,
                                                     ToString(weight.shape())));
  const size_t rows = weight.dim(0);
  const Shape& shape = scales.shape();
  const bool a_row_each = (shape.size() == 1 || (shape.size() == 2 && shape[1] == 1)) && shape[0] == rows;
  if (!a_row_each && scales.num_elements() != 1)
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: tensor '{}_scale' is {}; expected [{}, 1] for '{}' {}", source, name, ToString(shape), rows,
                                                      name, ToString(weight.shape())));
  const Tensor floats = scales.ToF32();
  Tensor each = Tensor::Uninitialized({rows});
  for (size_t r = 0; r < rows; ++r) each.mutable_floats()[r] = floats.floats()[a_row_each ? r : 0];
  return each;
}

Tensor UniformWeight(const std::string& name, const Shape& shape, float bound, uint64_t seed) {
  Tensor value = Tensor::Uninitialized(shape);
  Random random(seed, HashOfName(name));
  for (float& x : value.mutable_floats()) x = (2 * random.Uniform() - 1) * bound;
  return value;
}

ParameterStore::ParameterStore(WeightSource source, std::string name, std::string base_prefix)
    : source_(std::move(source)), name_(std::move(name)), base_prefix_(std::move(base_prefix) + ".") {}

bool ParameterStore::Has(const std::string& name) const { return Find(name).has_value() || (has_base() && source_.base->Has(name)); }

std::optional<Tensor> ParameterStore::Find(const std::string& name) const {
  const std::string bare = name.starts_with(base_prefix_) ? name.substr(base_prefix_.size()) : "";
  for (const std::string& candidate : {name, bare, OldName(name), OldName(bare)})
    if (!candidate.empty())
      if (std::optional<Tensor> found = source_.find(candidate)) return found;
  return std::nullopt;
}

Parameter& ParameterStore::Get(const std::string& name, const Shape& shape) {
  const auto check = [&](const Shape& found) {
    if (found == shape) return;
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: tensor '{}' is {}; config.json asks for {}", name_, name, ToString(found), ToString(shape)),
                "are both from the same revision?");
  };
  for (Parameter& parameter : parameters_)
    if (parameter.name == name) {
      check(parameter.value.shape());
      return parameter;
    }
  std::optional<Tensor> tensor = Find(name);
  if (!tensor && has_base()) return source_.base->Get(name, shape);
  if (!tensor)
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: tensor '{}' is missing; config.json asks for {}", name_, name, ToString(shape)),
                "are config.json and the weights from the same revision?");
  check(tensor->shape());
  const DType dtype = tensor->dtype();
  if (dtype == DType::kI8) return AddInt8(name, std::move(*tensor));
  if (dtype != DType::kF32 && dtype != DType::kF16 && dtype != DType::kBF16 && dtype != DType::kF64)
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("{}: tensor '{}' is {}; expected F32, F16, BF16 or F64, or I8 with a scale", name_, name, Name(dtype)));
  parameters_.push_back({name, dtype == DType::kF32 ? std::move(*tensor) : tensor->ToF32(), {}, false, {}});
  return parameters_.back();
}

Parameter& ParameterStore::AddInt8(const std::string& name, Tensor value) {
  const std::string scale_name = name + "_scale";
  const std::optional<Tensor> found = Find(scale_name);
  if (!found) throw Error(ErrorCode::kInvalidInput, fmt::format("{}: tensor '{}' is I8, but there is no '{}'", name_, name, scale_name));
  Tensor scale = RowScales(name_, name, value, *found);
  parameters_.push_back({name, std::move(value), {}, false, std::move(scale)});
  return parameters_.back();
}

Parameter& ParameterStore::Make(const std::string& name, const Shape& shape, Initial initial, float deviation, uint64_t seed) {
  Tensor value = Tensor::Zeros(shape);
  if (initial != Initial::kZero) {
    Random random(seed, HashOfName(name));
    for (float& x : value.mutable_floats()) x = initial == Initial::kOne ? 1.0f : random.Normal() * deviation;
  }
  parameters_.push_back({name, std::move(value), {}, false, {}});
  return parameters_.back();
}

const LoraModule* ParameterStore::AddLora(const std::string& module, Parameter& weight) {
  if (!source_.lora) return nullptr;
  const std::string bare = module.starts_with(base_prefix_) ? module.substr(base_prefix_.size()) : "";
  std::optional<LoraWeights> found = source_.lora(module, bare, weight.value.shape());
  if (!found) return nullptr;
  const auto add = [&](const char* part, Tensor value) {
    parameters_.push_back({fmt::format("{}.{}.weight", module, part), std::move(value), {}, false, {}});
    parameters_.back().packed = PackedOf(parameters_.back());
    return &parameters_.back();
  };
  Parameter *a = add("lora_A", std::move(found->a)), *b = add("lora_B", std::move(found->b));
  loras_.push_back({module, &weight, a, b, found->scale, found->dropout});
  return &loras_.back();
}

const LoraModule* ParameterStore::FindLora(const Parameter& weight) const {
  const auto found = std::find_if(loras_.begin(), loras_.end(), [&](const LoraModule& module) { return module.weight == &weight; });
  return found == loras_.end() ? nullptr : &*found;
}

std::vector<const Parameter*> ParameterStore::All() const {
  std::vector<const Parameter*> all;
  if (has_base()) all = source_.base->All();
  for (const Parameter& parameter : parameters_) all.push_back(&parameter);
  return all;
}

size_t ParameterStore::num_elements() const {
  size_t sum = 0;
  for (const Parameter* parameter : All()) sum += parameter->value.num_elements();
  return sum;
}

WeightScope WeightScope::In(std::string_view name) const {
  WeightScope scope = *this;
  scope.prefix_ += name;
  scope.prefix_ += '.';
  return scope;
}

WeightScope WeightScope::Fresh(float deviation, uint64_t seed) const {
  WeightScope scope = *this;
  scope.fresh_ = true;
  scope.deviation_ = deviation;
  scope.seed_ = seed;
  return scope;
}

Parameter& WeightScope::Get(std::string_view name, const Shape& shape, Initial initial) const {
  const std::string full_name = prefix_ + std::string(name);
  return fresh_ ? store_->Make(full_name, shape, initial, deviation_, seed_) : store_->Get(full_name, shape);
}

const LoraModule* WeightScope::Lora(Parameter& weight) const { return store_->AddLora(prefix_.substr(0, prefix_.size() - 1), weight); }

}  // namespace mlac
