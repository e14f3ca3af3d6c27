#include "models/adapter.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "autograd/gemm_parallel.h"
#include "base/display.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/nearest_name.h"
#include "models/model_folder.h"
#include "models/registry.h"
#include "tensor/safetensors.h"

namespace mlac {
namespace {

using nlohmann::json;

constexpr std::string_view kKeyPrefix = "base_model.model.", kLoraA = ".lora_A.weight", kLoraB = ".lora_B.weight";
// PEFT lists both for every classifier, whichever it has.
constexpr const char* kClassifierNames[] = {"classifier", "score"};
// What models call the projections that PEFT adapts in BERT.
constexpr const char* kQueriesAndValues[] = {"query", "value", "q_lin", "v_lin", "q", "v"};

bool IsFloat(const TensorInfo& info) {
  return info.dtype &&
         (*info.dtype == DType::kF32 || *info.dtype == DType::kF16 || *info.dtype == DType::kBF16 || *info.dtype == DType::kF64);
}

// "bert.pooler.dense" of "bert.pooler.dense.weight".
std::string ModuleOf(const std::string& name) { return name.substr(0, name.rfind('.')); }

// The tensors of an adapter by their place in the model, and which of them the model asked for.
class AdapterWeights {
 public:
  AdapterWeights(const std::string& folder, AdapterConfig config) : config_(std::move(config)), file_(Open(folder)) {
    for (const TensorInfo& info : file_.tensors()) Add(info);
    for (const std::string& module : config_.modules_to_save) CheckSaved(module);
  }

  const std::string& name() const { return file_.name(); }

  // A weight of modules_to_save.
  std::optional<Tensor> FindSaved(const std::string& name) {
    if (!saved_.contains(name)) return std::nullopt;
    used_.insert(name);
    return file_.Get(KeyOf(name));
  }

  std::optional<LoraWeights> FindLora(const std::string& module, const std::string& bare, const Shape& weight) {
    for (const std::string& name : {module, bare})
      if (!name.empty() && (lora_.contains(name + std::string(kLoraA)) || lora_.contains(name + std::string(kLoraB))))
        return Get(name, weight);
    if (config_.is_complete && config_.Targets(module) && !IsSaved(module))
      RefuseMissing(module + std::string(kLoraA), "target_modules names it");
    return std::nullopt;
  }

  // modules_to_save is of whole layers, so an adapter with the bias of a layer of the base's has lost the weight.
  void CheckBiases(const ParameterStore& base) const {
    constexpr std::string_view kBias = ".bias";
    for (const std::string& name : saved_) {
      if (!name.ends_with(kBias)) continue;
      const std::string weight = ModuleOf(name) + ".weight";
      if (!saved_.contains(weight) && base.Has(weight)) RefuseMissing(weight, "the bias of its layer is there");
    }
  }

  // What no layer has asked for is of another model. head: a model without one never builds a pooler.
  void CheckAllUsed(Head head) const {
    for (const std::set<std::string>* names : {&lora_, &saved_})
      for (const std::string& name : *names) {
        if (used_.contains(name) || (head == Head::kNone && name.find("pooler.") != std::string::npos)) continue;
        throw Error(ErrorCode::kInvalidInput,
                    fmt::format("{}: tensor {} belongs to no layer of the model", file_.name(), Quoted(KeyOf(name))),
                    "was the adapter made for this base?");
      }
  }

  // How many labels the classifier among the saved modules has.
  std::optional<size_t> NumLabels() const {
    for (const std::string& name : saved_)
      if (NamesModule("classifier.weight", name) || NamesModule("classifier.out_proj.weight", name))
        return file_.Find(KeyOf(name))->shape.at(0);
    return std::nullopt;
  }

 private:
  static SafetensorsFile Open(const std::string& folder) {
    const std::string path = folder + "/" + kAdapterWeightsFile;
    if (!FileExists(path) && FileExists(folder + "/adapter_model.bin"))
      throw Error(ErrorCode::kUnsupported,
                  fmt::format("{}: has its weights in adapter_model.bin, a pickle, which can run code; mlac reads safetensors", folder),
                  "convert it once with PEFT: PeftModel.from_pretrained(BASE, FOLDER).save_pretrained(FOLDER)");
    return SafetensorsFile(std::make_shared<const MappedFile>(path));
  }

  static std::string KeyOf(const std::string& name) { return std::string(kKeyPrefix) + name; }

  void Add(const TensorInfo& info) {
    const auto refuse = [&](ErrorCode code, const std::string& what) {
      throw Error(code, fmt::format("{}: tensor {} {}", file_.name(), Quoted(info.name), what));
    };
    if (!info.name.starts_with(kKeyPrefix)) refuse(ErrorCode::kInvalidInput, fmt::format("has no name that begins with '{}'", kKeyPrefix));
    if (!IsFloat(info)) refuse(ErrorCode::kInvalidInput, fmt::format("is {}; expected F32, F16 or BF16", info.dtype_name));
    const std::string name = info.name.substr(kKeyPrefix.size());
    if (name.ends_with(kLoraA) || name.ends_with(kLoraB)) {
      lora_.insert(name);
    } else if (name.find(".lora_") != std::string::npos) {
      refuse(ErrorCode::kUnsupported, "is not supported; supported are lora_A and lora_B of linear layers");
    } else if (!IsSaved(ModuleOf(name))) {
      refuse(ErrorCode::kInvalidInput,
             fmt::format("is neither lora_A nor lora_B, and modules_to_save of {} does not name it", kAdapterConfigFile));
    } else if (info.shape.empty()) {
      refuse(ErrorCode::kInvalidInput, "is a single number; expected a weight or a bias");
    } else {
      saved_.insert(name);
    }
  }

  // As PEFT: the end of the module's name, or of that of one that it stands in.
  bool IsSaved(std::string module) const {
    for (;;) {
      for (const std::string& name : config_.modules_to_save)
        if (module.ends_with(name)) return true;
      const size_t dot = module.rfind('.');
      if (dot == std::string::npos) return false;
      module.resize(dot);
    }
  }

  void CheckSaved(const std::string& module) const {
    const auto has = [&](const std::string& name) {
      return std::any_of(saved_.begin(), saved_.end(), [&](const std::string& saved) {
        return saved.starts_with(name + ".") || saved.find("." + name + ".") != std::string::npos;
      });
    };
    const bool is_classifier =
        std::any_of(std::begin(kClassifierNames), std::end(kClassifierNames), [&](const char* name) { return module == name; });
    if (has(module) || (is_classifier && std::any_of(std::begin(kClassifierNames), std::end(kClassifierNames), has))) return;
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: there is no tensor of {}, which modules_to_save of {} names", file_.name(),
                                                      Quoted(module), kAdapterConfigFile));
  }

  [[noreturn]] void RefuseMissing(const std::string& name, const std::string& who) const {
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: tensor '{}' is missing; {}", file_.name(), KeyOf(name), who));
  }

  LoraWeights Get(const std::string& module, const Shape& weight) {
    const size_t rank = config_.RankOf(module);
    const auto get = [&](std::string_view part, const Shape& shape) {
      const std::string name = module + std::string(part);
      if (!lora_.contains(name)) RefuseMissing(name, "its other half is there");
      const Tensor tensor = file_.Get(KeyOf(name));
      if (tensor.shape() != shape)
        throw Error(ErrorCode::kInvalidInput,
                    fmt::format("{}: tensor '{}' is {}; {} and the base ask for {}", file_.name(), KeyOf(name), ToString(tensor.shape()),
                                kAdapterConfigFile, ToString(shape)),
                    "was the adapter made for this base?");
      used_.insert(name);
      return tensor.dtype() == DType::kF32 ? tensor : tensor.ToF32();
    };
    return {.a = get(kLoraA, {rank, weight[1]}),
            .b = get(kLoraB, {weight[0], rank}),
            .scale = config_.ScaleOf(module),
            .dropout = static_cast<float>(config_.dropout)};
  }

  const AdapterConfig config_;
  const SafetensorsFile file_;
  std::set<std::string> lora_, saved_, used_;  // names without kKeyPrefix
};

// What an adapter without config.json says of its head: PEFT's kind of task, and the labels of the classifier that it holds.
void SetHead(json& config, const std::string& folder, const std::string& adapter, const AdapterConfig& adapter_config) {
  static const std::map<std::string, const char*> kArchitectures = {{"SEQ_CLS", "ForSequenceClassification"},
                                                                    {"TOKEN_CLS", "ForTokenClassification"},
                                                                    {"QUESTION_ANS", "ForQuestionAnswering"},
                                                                    {"FEATURE_EXTRACTION", "Model"}};
  const auto architecture = kArchitectures.find(adapter_config.task_type);
  if (architecture == kArchitectures.end()) return;  // the base's head
  const std::string file = folder + "/config.json";
  const HeadRequest before = HeadOf(config, file);
  config["architectures"] = {architecture->second};
  if (!adapter_config.task_type.ends_with("_CLS")) return;
  const HeadRequest after = HeadOf(config, file);
  const std::optional<size_t> num_labels = AdapterWeights(adapter, adapter_config).NumLabels();
  if (!num_labels && before.head != after.head)
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: task_type is {}, but there is no classifier, neither in the adapter nor in {}",
                                                      adapter, adapter_config.task_type, folder));
  if (!num_labels || *num_labels == after.num_labels) return;
  for (const char* field : {"id2label", "label2id"}) config.erase(field);
  config["num_labels"] = *num_labels;
}

std::shared_ptr<ParameterStore> StoreOf(const std::shared_ptr<Model>& base) { return {base, &base->parameters()}; }

// The last part of a name: "query".
std::string LastPart(const std::string& module) { return module.substr(module.rfind('.') + 1); }

// The linear layers that a model asked an adapter for.
struct AskedModules {
  std::vector<std::string> of_encoder, of_head;
};

bool IsAmong(const std::vector<std::string>& targets, const std::string& module) {
  return std::any_of(targets.begin(), targets.end(), [&](const std::string& target) { return NamesModule(target, module); });
}

bool IsAnyNamed(const std::string& target, const std::vector<std::string>& modules) {
  return std::any_of(modules.begin(), modules.end(), [&](const std::string& module) { return NamesModule(target, module); });
}

LoraWeights NewLora(const std::string& module, const Shape& weight, const LoraOptions& lora, uint64_t seed) {
  const float bound = 1.0f / std::sqrt(static_cast<float>(weight[1]));
  return {.a = UniformWeight(module + std::string(kLoraA), {lora.rank, weight[1]}, bound, seed),
          .b = Tensor::Zeros({weight[0], lora.rank}),
          .scale = static_cast<float>(lora.Alpha() / static_cast<double>(lora.rank)),
          .dropout = static_cast<float>(lora.dropout)};
}

// Throws for the first target that none of the modules is called.
void CheckTargets(const std::vector<std::string>& targets, const std::vector<std::string>& modules) {
  for (const std::string& target : targets) {
    if (target == kAllLinear || IsAnyNamed(target, modules)) continue;
    std::set<std::string> known = {kAllLinear};
    for (const std::string& module : modules) known.insert(LastPart(module));
    const std::vector<std::string> names(known.begin(), known.end());
    const std::string nearest = DidYouMean(target, names);
    throw Error(ErrorCode::kInvalidArgument, fmt::format("--lora-targets: no linear layer of the encoder is called '{}'", target),
                nearest.empty() ? fmt::format("known are {}", fmt::join(names, ", ")) : nearest);
  }
}

const char* TaskTypeOf(Head head) {
  switch (head) {
    case Head::kSequenceClassification:
      return "SEQ_CLS";
    case Head::kTokenClassification:
      return "TOKEN_CLS";
    case Head::kQuestionAnswering:
      return "QUESTION_ANS";
    case Head::kNone:
      return "FEATURE_EXTRACTION";
    case Head::kMaskedLanguageModel:
      break;  // PEFT has no name for it
  }
  return "";
}

// "pooler" of "bert.pooler.dense.weight", "classifier" of "classifier.out_proj.weight": the module below the model, or below its encoder.
std::string SavedModuleOf(const std::string& name, const std::vector<std::string>& head_prefixes) {
  const bool in_encoder = std::any_of(head_prefixes.begin(), head_prefixes.end(), [&](const std::string& prefix) {
    return name.starts_with(prefix) && prefix.find('.') + 1 < prefix.size();
  });
  const size_t begin = in_encoder ? name.find('.') + 1 : 0;
  return name.substr(begin, name.find('.', begin) - begin);
}

}  // namespace

bool IsAdapterFolder(const std::string& folder) {
  return FileExists(folder + "/" + kAdapterConfigFile) && !FileExists(folder + "/model.safetensors") &&
         !FileExists(folder + "/model.safetensors.index.json");
}

json ReadAdaptedConfig(const std::string& folder, const std::string& adapter) {
  const AdapterConfig adapter_config = ReadAdapterConfig(adapter);
  const std::string inner = TransformerFolder(folder);
  json config = ReadJsonFile(inner + "/config.json");
  if (!config.is_object()) throw Error(ErrorCode::kInvalidInput, fmt::format("{}/config.json: expected an object", inner));
  if (!FileExists(adapter + "/config.json")) {
    SetHead(config, inner, adapter, adapter_config);
    return config;
  }
  const json own = ReadJsonFile(adapter + "/config.json");
  if (!own.is_object()) throw Error(ErrorCode::kInvalidInput, fmt::format("{}/config.json: expected an object", adapter));
  for (const char* field : {"architectures", "id2label", "label2id", "num_labels", "problem_type"}) {
    config.erase(field);
    if (const auto found = own.find(field); found != own.end()) config[field] = *found;
  }
  return config;
}

std::string TokenizerFolder(const std::string& folder, const std::string& adapter) {
  const bool has_own = !adapter.empty() && (FileExists(adapter + "/tokenizer.json") || FileExists(adapter + "/vocab.txt"));
  return has_own ? adapter : TransformerFolder(folder);
}

std::shared_ptr<Model> OpenBase(const std::string& folder) { return OpenModel(folder, HeadRequest{}); }

std::unique_ptr<Model> OpenOverBase(const std::shared_ptr<Model>& base, const std::string& folder) {
  const std::string inner = TransformerFolder(folder), file = inner + "/config.json";
  const json config = ReadJsonFile(file);
  WeightSource source = [](const std::string&) -> std::optional<Tensor> { return std::nullopt; };
  source.base = StoreOf(base);
  return MakeModel(config, file, std::move(source), inner + "/model.safetensors", HeadOf(config, file));
}

std::unique_ptr<Model> OpenAdapted(const std::shared_ptr<Model>& base, const std::string& folder, const std::string& adapter) {
  const json config = ReadAdaptedConfig(folder, adapter);
  const std::string file = TransformerFolder(folder) + "/config.json";
  const HeadRequest head = HeadOf(config, file);
  const auto weights = std::make_shared<AdapterWeights>(adapter, ReadAdapterConfig(adapter));
  weights->CheckBiases(base->parameters());
  WeightSource source = [weights](const std::string& name) { return weights->FindSaved(name); };
  source.lora = [weights](const std::string& module, const std::string& bare, const Shape& weight) {
    return weights->FindLora(module, bare, weight);
  };
  source.base = StoreOf(base);
  std::unique_ptr<Model> model = MakeModel(config, file, std::move(source), weights->name(), head);
  weights->CheckAllUsed(head.head);
  if (model->parameters().loras().empty())
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: expected tensors that end in lora_A.weight, found none", weights->name()));
  return model;
}

std::unique_ptr<Model> MakeAdapted(const std::shared_ptr<Model>& base, const std::string& folder, const HeadRequest& request,
                                   const LoraOptions& lora, AdapterConfig& config) {
  const std::string inner = TransformerFolder(folder), file = inner + "/config.json";
  std::vector<std::string> targets = lora.targets;
  if (targets.empty()) targets.assign(std::begin(kQueriesAndValues), std::end(kQueriesAndValues));
  const bool all = std::find(targets.begin(), targets.end(), kAllLinear) != targets.end();
  const auto asked = std::make_shared<AskedModules>();
  WeightSource source = [](const std::string&) -> std::optional<Tensor> { return std::nullopt; };
  source.base = StoreOf(base);
  source.lora = [asked, heads = base->head_prefixes(), targets, all, lora, seed = request.seed](
                    const std::string& module, const std::string&, const Shape& weight) -> std::optional<LoraWeights> {
    const bool in_head = StartsWithAny(module + ".", heads);
    (in_head ? asked->of_head : asked->of_encoder).push_back(module);
    if (in_head || !(all || IsAmong(targets, module))) return std::nullopt;
    return NewLora(module, weight, lora, seed);
  };
  HeadRequest fresh = request;
  fresh.fresh = true;
  std::unique_ptr<Model> model = MakeModel(ReadJsonFile(file), file, std::move(source), inner + "/model.safetensors", fresh);
  if (!lora.targets.empty()) CheckTargets(lora.targets, asked->of_encoder);

  config = {.rank = lora.rank, .alpha = lora.Alpha(), .dropout = lora.dropout, .task_type = TaskTypeOf(request.head)};
  std::set<std::string> saved;
  for (const Parameter& parameter : model->parameters().parameters())
    if (!parameter.name.ends_with(kLoraA) && !parameter.name.ends_with(kLoraB))
      saved.insert(SavedModuleOf(parameter.name, base->head_prefixes()));
  config.modules_to_save.assign(saved.begin(), saved.end());
  if (request.head == Head::kMaskedLanguageModel && !saved.empty())
    throw Error(ErrorCode::kUnsupported, fmt::format("{}: has no head of a masked language model, and an adapter cannot hold one", folder),
                "train without --lora");
  for (const std::string& target : targets)
    if (IsAnyNamed(target, asked->of_encoder)) config.targets.push_back(target);
  // PEFT would adapt layers of the head as well where they have the name of a target: then the layers are named in full.
  const bool is_ambiguous =
      all || std::any_of(asked->of_head.begin(), asked->of_head.end(), [&](const std::string& module) { return config.Targets(module); });
  if (is_ambiguous) {
    config.targets.clear();
    for (const LoraModule& module : model->parameters().loras())
      config.targets.push_back(request.head == Head::kNone ? module.name.substr(module.name.find('.') + 1) : module.name);
  }
  return model;
}

void WriteAdapter(const std::string& folder, const Model& model, const AdapterConfig& config) {
  std::vector<NamedTensor> tensors;
  for (const Parameter& parameter : model.parameters().parameters()) {
    // PEFT wraps a model of the encoder alone where there is no head, which has no "bert." in its names.
    const std::string name = model.head() == Head::kNone ? parameter.name.substr(parameter.name.find('.') + 1) : parameter.name;
    tensors.push_back({std::string(kKeyPrefix) + name, parameter.value});
  }
  WriteSafetensors(folder + "/" + kAdapterWeightsFile, tensors, {{"format", "pt"}});
  WriteFileAtomically(folder + "/" + kAdapterConfigFile, AdapterConfigJson(config));
}

void MergeAdapter(Model& model) {
  Run run;
  for (const LoraModule& module : model.parameters().loras()) {
    Parameter& weight = *module.weight;
    if (weight.value.dtype() != DType::kF32)
      throw Error(ErrorCode::kUnsupported, fmt::format("'{}' of the base is int8, which nothing can be merged into", weight.name),
                  "merge into the model that it was made from, and optimise the result");
    weight.value = Tensor::FromValues(weight.value.shape(), weight.value.floats());
    Tensor b = Tensor::FromValues(module.b->value.shape(), module.b->value.floats());
    for (float& x : b.mutable_floats()) x *= module.scale;
    const size_t inputs = weight.value.dim(1), rank = b.dim(1);
    const Tensor a = PackForGemm(run, module.a->value.floats().data(), inputs, kernels::Layout::kRows, rank, inputs);
    Multiply(run, b, a, weight.value, /*accumulate=*/true);
  }
}

}  // namespace mlac
