#include "train/model_folder_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>

#include "base/display.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "models/adapter.h"
#include "tensor/safetensors.h"
#include "tensor/weight_files.h"

namespace mlac {
namespace {

using nlohmann::json;

constexpr size_t kLargestTokenizerFile = size_t{256} << 20;

// The dense layer over the first token that BERT and MPNet come with: an encoder alone has no use for it, but transformers looks for it.
void AddPooler(const std::string& source, std::vector<NamedTensor>& tensors) {
  const std::string family = tensors.front().name.substr(0, tensors.front().name.find('.') + 1);  // "bert."
  const WeightFiles files = WeightFiles::Open(source);
  for (const char* name : {"pooler.dense.weight", "pooler.dense.bias"})
    for (const std::string& stored : {family + name, std::string(name)}) {
      if (files.Find(stored) == nullptr) continue;
      tensors.push_back({family + name, files.Get(stored).ToF32()});
      break;  // a file may have both
    }
}

void WriteWeights(const std::string& folder, const Model& model, const std::string& source) {
  std::vector<NamedTensor> tensors;
  std::set<const Parameter*> of_adapter;
  for (const LoraModule& module : model.parameters().loras()) of_adapter.insert({module.a, module.b});
  for (const Parameter* parameter : model.parameters().All())
    if (!of_adapter.contains(parameter)) tensors.push_back({parameter->name, parameter->value});
  if (model.head() == Head::kNone) AddPooler(source, tensors);
  WriteSafetensors(folder + "/model.safetensors", tensors, {{"format", "pt"}});  // transformers asks for this entry
}

// "Bert" of "BertModel", "BertForMaskedLM"; the family's own spelling of its name.
std::string FamilyName(const json& config) {
  const auto found = config.find("architectures");
  const bool named = found != config.end() && found->is_array() && !found->empty() && found->front().is_string();
  static const std::map<std::string, std::string> kModels = {{"distilbert", "DistilBertModel"}, {"electra", "ElectraModel"}, {"mpnet", "MPNetModel"}};
  const auto by_type = kModels.find(config.value("model_type", ""));
  const std::string architecture = named ? found->front().get<std::string>() : by_type != kModels.end() ? by_type->second : "BertModel";
  for (const char* suffix : {"For", "Model"})
    if (const size_t end = architecture.find(suffix); end != std::string::npos) return architecture.substr(0, end);
  return architecture;
}

const char* HeadName(Head head) {
  switch (head) {
    case Head::kSequenceClassification: return "ForSequenceClassification";
    case Head::kTokenClassification: return "ForTokenClassification";
    case Head::kQuestionAnswering: return "ForQuestionAnswering";
    case Head::kMaskedLanguageModel: return "ForMaskedLM";
    case Head::kNone: break;
  }
  return "Model";
}

void WriteConfig(const std::string& folder, const std::string& source, const Model& model, const std::vector<std::string>& label_names,
                 const std::string& problem_type) {
  json config = ReadJsonFile(source + "/config.json");
  config["architectures"] = {FamilyName(config) + HeadName(model.head())};
  config.erase("problem_type");
  if (!problem_type.empty()) config["problem_type"] = problem_type;
  json id2label = json::object(), label2id = json::object();
  for (size_t i = 0; i < label_names.size(); ++i) {
    id2label[fmt::format("{}", i)] = label_names[i];
    label2id[label_names[i]] = i;
  }
  for (const char* field : {"id2label", "label2id"}) config.erase(field);
  if (!label_names.empty()) {
    config["id2label"] = id2label;
    config["label2id"] = label2id;
  }
  // Where the weights came from may be a path, and their type is F32 now, whatever it was.
  for (const char* field : {"_name_or_path", "torch_dtype", "num_labels", "quantization_config"}) config.erase(field);
  config["dtype"] = "float32";
  WriteFileAtomically(folder + "/config.json", DumpJson(config, 2) + "\n");
}

}  // namespace

void WriteTokenizer(const std::string& folder, const std::string& source, size_t max_length) {
  for (const char* name : {"tokenizer.json", "vocab.txt", "special_tokens_map.json", "added_tokens.json"})
    if (const std::string path = source + "/" + name; FileExists(path))
      WriteFileAtomically(folder + "/" + name, ReadFile(path, kLargestTokenizerFile));
  const std::string path = source + "/tokenizer_config.json";
  json config = FileExists(path) ? ReadJsonFile(path) : json::object();
  if (max_length > 0) config["model_max_length"] = max_length;
  for (const char* field : {"name_or_path", "_name_or_path"}) config.erase(field);
  WriteFileAtomically(folder + "/tokenizer_config.json", DumpJson(config, 2) + "\n");
}

void WriteModelFolder(const std::string& folder, const Model& model, const std::string& source, const std::vector<std::string>& label_names,
                      const std::string& problem_type, size_t max_length, const AdapterConfig* adapter) {
  if (adapter != nullptr)
    WriteAdapter(folder, model, *adapter);
  else
    WriteWeights(folder, model, source);
  WriteConfig(folder, source, model, label_names, problem_type);
  WriteTokenizer(folder, source, max_length);
}

void CheckReplaceable(const std::string& folder) {
  if (!FolderExists(folder)) return;  // what is a file is refused by what replaces it
  constexpr std::array<std::string_view, 9> kOfModels = {"adapter_config.json", "checkpoint",        "config.json",
                                                         "metrics.json",        "model.safetensors", "modules.json",
                                                         "optimization.json",   "training.json",     "vocab.txt"};
  const std::vector<std::string> names = NamesIn(folder);
  const auto is_of_model = [&](const std::string& name) { return std::find(kOfModels.begin(), kOfModels.end(), name) != kOfModels.end(); };
  if (names.empty() || std::any_of(names.begin(), names.end(), is_of_model)) return;
  throw Error(ErrorCode::kAlreadyExists,
              fmt::format("{}: is no model, so --overwrite does not replace it: it holds {}", folder, Quoted(names.front())),
              "choose another --out, or remove the folder yourself");
}

}  // namespace mlac
