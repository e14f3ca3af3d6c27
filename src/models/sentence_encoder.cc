#include "models/sentence_encoder.h"

#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "autograd/gather_rows.h"
#include "base/display.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "models/config.h"
#include "nn/layers.h"
#include "tensor/safetensors.h"

namespace mlac {
namespace {

using nlohmann::json;

constexpr size_t kLargestFeature = 1 << 20, kLargestConfig = size_t{1} << 20;

// A file of a module, opened by OpenBeneath: a stranger wrote modules.json, and whatever stands in the folder.
struct ModuleFile {
  std::string path;  // for messages
  FileDescriptor file;
};

ModuleFile OpenOf(const std::string& folder, const SentenceModule& module, const std::string& file) {
  const std::string name = module.path.empty() ? file : module.path + "/" + file;
  return {folder + "/" + name, OpenBeneath(folder, name)};
}

json ReadModuleConfig(const ModuleFile& file) { return ParseJson(ReadFile(file.file, file.path, kLargestConfig), file.path); }

// The modes of 1_Pooling/config.json: "pooling_mode" since version 5, one boolean a mode before.
Pooling ReadPooling(const json& config, const std::string& path) {
  const ConfigReader reader(config, path);
  static const std::map<std::string, Pooling> kModes = {{"mean", Pooling::kMean}, {"cls", Pooling::kCls}, {"max", Pooling::kMax}};
  std::vector<std::string> modes;
  if (const auto mode = config.find("pooling_mode"); mode != config.end() && mode->is_array()) {
    for (const json& name : *mode) modes.push_back(name.is_string() ? name.get<std::string>() : DumpJson(name));
  } else if (mode != config.end()) {
    modes.push_back(reader.String("pooling_mode", ""));
  } else {
    for (const auto& [field, name] : {std::pair{"pooling_mode_cls_token", "cls"}, {"pooling_mode_mean_tokens", "mean"}, {"pooling_mode_max_tokens", "max"},
                                      {"pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens"}, {"pooling_mode_weightedmean_tokens", "weightedmean"},
                                      {"pooling_mode_lasttoken", "lasttoken"}})
      if (reader.Boolean(field, false)) modes.emplace_back(name);
  }
  if (modes.size() != 1 || !kModes.contains(modes.front()))
    throw Error(ErrorCode::kUnsupported, fmt::format("{}: pooling {} is not supported; supported is one of cls, max, mean", path,
                                                     Quoted(fmt::format("{}", fmt::join(modes, " + ")))));
  return kModes.at(modes.front());
}

// The tokens of each sequence that are pooled, end to end: all of them, or those from the one of pooled_from in it on.
struct PooledTokens {
  std::vector<size_t> tokens;
  Offsets offsets = {0};
};

PooledTokens TokensToPool(const Offsets& offsets, std::span<const size_t> pooled_from) {
  PooledTokens pooled;
  for (size_t s = 0; s + 1 < offsets.size(); ++s) {
    size_t token = offsets[s];
    for (; !pooled_from.empty() && pooled_from.front() < offsets[s + 1]; pooled_from = pooled_from.subspan(1)) token = pooled_from.front();
    for (; token < offsets[s + 1]; ++token) pooled.tokens.push_back(token);
    pooled.offsets.push_back(pooled.tokens.size());
  }
  return pooled;
}

kernels::Activation ReadDenseActivation(const ConfigReader& reader) {
  using kernels::Activation;
  const std::string name = reader.String("activation_function", "torch.nn.modules.activation.Tanh");
  static const std::map<std::string, Activation> kNames = {{"Identity", Activation::kNone}, {"Tanh", Activation::kTanh}, {"ReLU", Activation::kRelu},
                                                           {"GELU", Activation::kGelu}};
  const auto found = kNames.find(name.substr(name.rfind('.') + 1));
  if (found == kNames.end())
    throw Error(ErrorCode::kUnsupported, fmt::format("{}: activation_function {} is not supported; supported are Identity, Tanh, ReLU and GELU",
                                                     reader.file(), Quoted(name)));
  return found->second;
}

}  // namespace

std::string_view Name(Pooling pooling) {
  switch (pooling) {
    case Pooling::kMean: return "mean";
    case Pooling::kCls: return "cls";
    case Pooling::kMax: return "max";
  }
  return "";
}

std::vector<SentenceModule> ParseSentenceModules(const json& list, const std::string& file) {
  if (!list.is_array()) throw Error(ErrorCode::kInvalidInput, fmt::format("{}: expected a list, found {}", file, list.type_name()));
  std::vector<SentenceModule> modules;
  for (const json& item : list) {
    const ConfigReader reader(item, file);
    const std::string type = reader.String("type", ""), name = reader.String("path", "");
    const std::string kind = type.substr(type.rfind('.') + 1);
    if (kind != "Transformer" && kind != "Pooling" && kind != "Dense" && kind != "Normalize")
      throw Error(ErrorCode::kUnsupported,
                  fmt::format("{}: module {} is not supported; supported are Transformer, Pooling, Dense and Normalize", file, Quoted(type)));
    if (name.find('/') != std::string::npos || name.find('\0') != std::string::npos || name == "." || name == "..")
      throw Error(ErrorCode::kInvalidInput, fmt::format("{}: the path {} is no plain name of a folder", file, Quoted(name)));
    modules.push_back({kind, name});
  }
  return modules;
}

std::vector<SentenceModule> ReadSentenceModules(const std::string& folder) {
  const std::string path = folder + "/modules.json";
  if (!FileExists(path)) return {};
  std::vector<SentenceModule> modules = ParseSentenceModules(ReadJsonFile(path), path);
  for (const SentenceModule& module : modules)
    if (!module.path.empty() && !LiesIn(folder + "/" + module.path, folder))
      throw Error(ErrorCode::kInvalidInput, fmt::format("{}: the path {} is a link that leads out of the folder", path, Quoted(module.path)),
                  "put a copy of the folder there");
  return modules;
}

std::string TransformerPath(const std::vector<SentenceModule>& modules) {
  std::string path;
  for (const SentenceModule& module : modules)
    if (module.kind == "Transformer" && !module.path.empty()) path = module.path;
  return path;
}

// One of pooling, dense and normalise.
class SentenceEncoder::Step {
 public:
  virtual ~Step() = default;
  virtual Tensor operator()(Run& run, const Tensor& x, const Offsets& offsets) const = 0;
};

namespace {

template <class Base>
class PoolingStep : public Base {
 public:
  explicit PoolingStep(Pooling pooling) : pooling_(pooling) {}
  Tensor operator()(Run& run, const Tensor& x, const Offsets& offsets) const override { return PoolForward(run, x, offsets, pooling_); }

 private:
  Pooling pooling_;
};

template <class Base>
class NormalizeStep : public Base {
 public:
  Tensor operator()(Run& run, const Tensor& x, const Offsets&) const override { return NormalizeForward(run, x); }
};

// A linear layer over the sentence's vector, with weights of its own.
template <class Base>
class DenseStep : public Base {
 public:
  DenseStep(const std::string& folder, const SentenceModule& module, size_t inputs) {
    const ModuleFile config_file = OpenOf(folder, module, "config.json");
    const json config = ReadModuleConfig(config_file);
    const ConfigReader reader(config, config_file.path);
    if (const size_t expected = reader.Integer("in_features", 1, kLargestFeature); expected != inputs)
      throw Error(ErrorCode::kInvalidInput, fmt::format("{}: in_features is {}; the module before it gives {}", config_file.path, expected, inputs));
    outputs_ = reader.Integer("out_features", 1, kLargestFeature);
    ModuleFile weights = OpenOf(folder, module, "model.safetensors");
    const auto file = std::make_shared<const SafetensorsFile>(std::make_shared<const MappedFile>(std::move(weights.file), weights.path));
    store_ = std::make_unique<ParameterStore>(
        [file](const std::string& name) { return file->Find(name) == nullptr ? std::nullopt : std::optional(file->Get(name)); }, weights.path, "linear");
    const WeightScope scope = WeightScope(*store_).In("linear");
    Parameter& bias = reader.Boolean("bias", true) ? scope.Get("bias", {outputs_}) : scope.Fresh(0, 0).Get("bias", {outputs_}, Initial::kZero);
    linear_.emplace(scope.Get("weight", {outputs_, inputs}), bias, ReadDenseActivation(reader));
  }

  size_t outputs() const { return outputs_; }
  Tensor operator()(Run& run, const Tensor& x, const Offsets&) const override { return (*linear_)(run, x); }

 private:
  size_t outputs_ = 0;
  std::unique_ptr<ParameterStore> store_;
  std::optional<Linear> linear_;
};

}  // namespace

SentenceEncoder::SentenceEncoder(const std::string& folder, const Model& model) : embedding_size_(model.hidden_size()) {
  bool pools = false;
  for (const SentenceModule& module : ReadSentenceModules(folder)) {
    if (module.kind == "Pooling") {
      if (pools) throw Error(ErrorCode::kUnsupported, fmt::format("{}/modules.json: more than one Pooling is not supported", folder));
      const ModuleFile file = OpenOf(folder, module, "config.json");
      const json config = ReadModuleConfig(file);
      pooling_ = ReadPooling(config, file.path);
      pools_prompt_ = ConfigReader(config, file.path).Boolean("include_prompt", true);
      pools_first_ = steps_.empty();
      steps_.push_back(std::make_unique<PoolingStep<Step>>(pooling_));
      pools = true;
    } else if (module.kind == "Dense") {
      if (!pools) throw Error(ErrorCode::kUnsupported, fmt::format("{}/modules.json: Dense before Pooling is not supported", folder));
      auto dense = std::make_unique<DenseStep<Step>>(folder, module, embedding_size_);
      embedding_size_ = dense->outputs();
      steps_.push_back(std::move(dense));
    } else if (module.kind == "Normalize") {
      normalizes_ = true;
      steps_.push_back(std::make_unique<NormalizeStep<Step>>());
    }
  }
  if (!pools) steps_.insert(steps_.begin(), std::make_unique<PoolingStep<Step>>(pooling_));
}

SentenceEncoder::~SentenceEncoder() = default;

Tensor SentenceEncoder::operator()(Run& run, const Model& model, const TokenBatch& batch, bool normalize,
                                   std::span<const size_t> pooled_from) const {
  if (!pooled_from.empty()) return (*this)(run, model.Encode(run, batch), batch.offsets, normalize, pooled_from);
  if (pooling_ == Pooling::kCls && pools_first_) return RunSteps(run, model.SequenceFeatures(run, batch), batch.offsets, 1, normalize);
  return RunSteps(run, model.Encode(run, batch), batch.offsets, 0, normalize);
}

Tensor SentenceEncoder::operator()(Run& run, const Tensor& hidden_states, const Offsets& offsets, bool normalize,
                                   std::span<const size_t> pooled_from) const {
  if (!pooled_from.empty()) {  // what stands before the pooling works on each token by itself
    const PooledTokens pooled = TokensToPool(offsets, pooled_from);
    return RunSteps(run, GatherRows(run, hidden_states, pooled.tokens), pooled.offsets, 0, normalize);
  }
  return RunSteps(run, hidden_states, offsets, 0, normalize);
}

Tensor SentenceEncoder::RunSteps(Run& run, Tensor x, const Offsets& offsets, size_t first, bool normalize) const {
  const bool leaves_out_last = !normalize && dynamic_cast<const NormalizeStep<Step>*>(steps_.back().get()) != nullptr;
  for (size_t i = first; i + (leaves_out_last ? 1 : 0) < steps_.size(); ++i) x = (*steps_[i])(run, x, offsets);
  return x;
}

}  // namespace mlac
