#include "train/sentence_folder.h"

#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "models/model_folder.h"
#include "models/sentence_encoder.h"

namespace mlac {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr char kLengthsFile[] = "sentence_bert_config.json", kSettingsFile[] = "config_sentence_transformers.json";
constexpr size_t kLargestModuleFile = size_t{1} << 30;  // weights of a Dense

void Write(const std::string& path, const ordered_json& value) { WriteFileAtomically(path, DumpJson(value, 2) + "\n"); }

// The base's file, if it has one: beside its weights or beside its modules.json.
json ReadFromBase(const std::string& base, const std::string& name) {
  for (const std::string& place : {TransformerFolder(base), base}) {
    const std::string path = place + "/" + name;
    if (!FileExists(path)) continue;
    json settings = ReadJsonFile(path);
    if (!settings.is_object())
      throw Error(ErrorCode::kInvalidInput, fmt::format("{}: expected an object, found {}", path, settings.type_name()));
    return settings;
  }
  return json::object();
}

// The base's list of modules, but that the encoder stands in the folder itself.
ordered_json ModulesOf(const std::string& base) {
  ordered_json modules = ordered_json::array();
  for (const json& module : ReadJsonFile(base + "/modules.json")) {
    ordered_json entry = module;
    if (entry.value("type", "").ends_with(".Transformer")) entry["path"] = "";
    modules.push_back(std::move(entry));
  }
  return modules;
}

// The files of the modules behind the encoder, "1_Pooling/config.json". They are opened by OpenBeneath, so that a link among them brings nothing from
// elsewhere into a folder that may be published.
std::vector<std::string> FilesOfModules(const std::string& folder) {
  std::vector<std::string> files;
  for (const SentenceModule& module : ReadSentenceModules(folder)) {
    const std::string source = folder + "/" + module.path;
    // sentence-transformers 2 leaves no folder for Normalize, which has no settings.
    if (module.kind == "Transformer" || module.path.empty() || !FolderExists(source)) continue;
    for (const std::string& name : NamesIn(source))
      if (FileExists(source + "/" + name)) files.push_back(module.path + "/" + name);
  }
  return files;
}

// Names that sentence-transformers 2 and all later versions know.
ordered_json MeanOfTokens() {
  return {{{"idx", 0}, {"name", "0"}, {"path", ""}, {"type", "sentence_transformers.models.Transformer"}},
          {{"idx", 1}, {"name", "1"}, {"path", "1_Pooling"}, {"type", "sentence_transformers.models.Pooling"}}};
}

}  // namespace

void CopyModules(const std::string& from, const std::string& to) {
  for (const std::string& name : FilesOfModules(from)) {
    std::filesystem::create_directory(std::filesystem::path(to + "/" + name).parent_path());
    WriteFileAtomically(to + "/" + name, ReadFile(OpenBeneath(from, name), from + "/" + name, kLargestModuleFile));
  }
}

void CheckSentenceModules(const std::string& base) {
  for (const std::string& name : FilesOfModules(base)) OpenBeneath(base, name);
  for (const char* name : {kLengthsFile, kSettingsFile}) ReadFromBase(base, name);
}

void WriteSentenceModules(const std::string& folder, const std::string& base, size_t hidden_size, size_t max_length) {
  if (!ReadSentenceModules(base).empty()) {
    Write(folder + "/modules.json", ModulesOf(base));
    CopyModules(base, folder);
  } else {
    Write(folder + "/modules.json", MeanOfTokens());
    std::filesystem::create_directory(folder + "/1_Pooling");
    Write(folder + "/1_Pooling/config.json", {{"word_embedding_dimension", hidden_size},
                                              {"pooling_mode_cls_token", false},
                                              {"pooling_mode_mean_tokens", true},
                                              {"pooling_mode_max_tokens", false},
                                              {"pooling_mode_mean_sqrt_len_tokens", false}});
  }
  json lengths = ReadFromBase(base, kLengthsFile);
  lengths["max_seq_length"] = max_length;
  if (!lengths.contains("do_lower_case")) lengths["do_lower_case"] = false;
  Write(folder + "/" + kLengthsFile, lengths);
  json settings = ReadFromBase(base, kSettingsFile);
  if (!settings.contains("similarity_fn_name") || settings["similarity_fn_name"].is_null()) settings["similarity_fn_name"] = "cosine";
  Write(folder + "/" + kSettingsFile, settings);
}

void WriteCrossEncoderConfig(const std::string& folder) {
  const std::string path = folder + "/config.json";
  json config = ReadJsonFile(path);
  config["sentence_transformers"] = {{"activation_fn", "torch.nn.modules.activation.Sigmoid"}};
  WriteFileAtomically(path, DumpJson(config, 2) + "\n");
}

}  // namespace mlac
