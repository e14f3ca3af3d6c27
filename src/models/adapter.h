#pragma once
// Low-rank adapters over the folder of a base model. An adapter is a folder of PEFT's; where config.json stands beside it, as mlac writes
// it, that says which head and labels it has, and its tokenizer's files replace the base's.
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "models/adapter_config.h"
#include "models/model.h"

namespace mlac {

// Whether the folder holds an adapter and no model.
bool IsAdapterFolder(const std::string& folder);

// The base's config.json with the head, labels and problem type of the adapter. Throws as ReadAdapterConfig, kInvalidInput where a
// classifier has no weights, neither in the adapter nor in the base.
nlohmann::json ReadAdaptedConfig(const std::string& folder, const std::string& adapter);

// Where the tokenizer of the two is: the adapter, or the base's folder.
std::string TokenizerFolder(const std::string& folder, const std::string& adapter);

// The encoder of a folder, for adapters to stand over. Throws as OpenModel.
std::shared_ptr<Model> OpenBase(const std::string& folder);

// The folder's own model over its encoder, which it shares with adapters.
std::unique_ptr<Model> OpenOverBase(const std::shared_ptr<Model>& base, const std::string& folder);

// The model of an adapter: its parameters() are the adapter's, all others are the base's own, which it holds and shares. base:
// OpenBase(folder). Throws kInvalidInput for a tensor that is missing, has another shape or type, or belongs to no layer, naming it;
// kUnsupported for what ReadAdapterConfig refuses. One adapter of a base is opened at a time.
std::unique_ptr<Model> OpenAdapted(const std::shared_ptr<Model>& base, const std::string& folder, const std::string& adapter);

// What to train.
struct LoraOptions {
  size_t rank = 0;   // 0: no adapter
  double alpha = 0;  // 0: twice the rank
  double dropout = 0;
  // Names of modules, as NamesModule takes them, or all-linear: every linear layer of the encoder. Empty: queries and values, PEFT's choice
  // for BERT.
  std::vector<std::string> targets = {};

  double Alpha() const { return alpha > 0 ? alpha : 2 * static_cast<double>(rank); }
};

// A new adapter: A uniform in +-1 / sqrt(inputs), as torch.nn.init.kaiming_uniform_ with a = sqrt(5), under (request.seed, name); B zero,
// so that it changes nothing yet. What of the head the base has stays, the rest is new. config: what to write beside its weights, but for
// base_model. Throws kInvalidArgument for a target that no linear layer of the encoder is called, kUnsupported for a masked language model
// without a head.
std::unique_ptr<Model> MakeAdapted(const std::shared_ptr<Model>& base, const std::string& folder, const HeadRequest& request,
                                   const LoraOptions& lora, AdapterConfig& config);

// Writes adapter_config.json and adapter_model.safetensors.
void WriteAdapter(const std::string& folder, const Model& model, const AdapterConfig& config);

// Adds scale B A of the adapter to each weight that it stands at, which is then a copy of its own; the adapter itself is left as it is, so
// that the model must be written or dropped, not run. Throws kUnsupported for an int8 weight.
void MergeAdapter(Model& model);

}  // namespace mlac
