#include "models/model_folder.h"

#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string_view>

#include "autograd/embedding.h"
#include "base/display.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "models/adapter.h"
#include "models/config.h"
#include "models/quantization.h"
#include "models/sentence_encoder.h"
#include "tensor/weight_files.h"

namespace mlac {
namespace {

nlohmann::json ReadConfig(const std::string& transformer_folder) { return ReadJsonFile(transformer_folder + "/config.json"); }

// Its base is another folder, and a name that a file gives is not opened: a stranger wrote it.
[[noreturn]] void RefuseAdapter(const std::string& folder) {
  const std::string base = ReadAdapterConfig(folder).base_model;
  throw Error(ErrorCode::kInvalidArgument, fmt::format("{}: is an adapter, not a model", folder),
              fmt::format("give the model that it was made for, and it as --adapter{}", base.empty() ? "" : ": its writer called that model " + Quoted(base)));
}

// What to do where nothing of that name is there. OWNER/NAME, in a folder where there is no OWNER, is probably the name of a model on the
// Hub.
std::string HintForMissingFolder(const std::string& folder, const std::string& usual) {
  const size_t slash = folder.find('/');
  constexpr std::string_view kName = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/";
  if (slash == std::string::npos || slash == 0 || slash + 1 == folder.size() || folder.find('/', slash + 1) != std::string::npos ||
      folder[0] == '.' || folder.find_first_not_of(kName) != std::string::npos || FolderExists(folder.substr(0, slash)))
    return usual;
  return fmt::format("a model of the Hub is downloaded once: hf download {} --local-dir {}", folder, folder.substr(slash + 1));
}

// The weights of a folder, mapped; int8 weights with f32 activations as f32. config: its config.json, whose name is file.
WeightSource OpenWeights(const std::string& inner, const nlohmann::json& config, const std::string& file) {
  const bool weight_only = ReadQuantization(config, file) == Quantization::kInt8WeightOnly;
  const auto files = std::make_shared<const WeightFiles>(WeightFiles::Open(inner));
  const std::string source = inner + "/model.safetensors";
  return [files, weight_only, source](const std::string& name) -> std::optional<Tensor> {
    if (files->Find(name) == nullptr) return std::nullopt;
    Tensor tensor = files->Get(name);
    if (!weight_only || tensor.dtype() != DType::kI8 || files->Find(ScaleName(name)) == nullptr) return tensor;
    return Dequantized(tensor, RowScales(source, name, tensor, files->Get(ScaleName(name))));
  };
}

}  // namespace

std::string TransformerFolder(const std::string& folder) {
  constexpr const char* kHint = "a model is a folder with config.json and model.safetensors";
  if (FileExists(folder)) throw Error(ErrorCode::kInvalidArgument, fmt::format("{}: is a file, expected a folder", folder), kHint);
  if (!FolderExists(folder))
    throw Error(ErrorCode::kNotFound, fmt::format("{}: there is no such folder", folder), HintForMissingFolder(folder, kHint));
  const std::string path = TransformerPath(ReadSentenceModules(folder)), inner = path.empty() ? folder : folder + "/" + path;
  if (inner == folder && IsAdapterFolder(folder)) RefuseAdapter(folder);
  if (FileExists(inner + "/config.json")) return inner;
  const bool interrupted = FolderExists(inner + "/checkpoint");
  throw Error(ErrorCode::kNotFound,
              interrupted ? fmt::format("{}: there is no config.json, but the checkpoint of a training that has not finished", inner)
                          : fmt::format("{}: there is no config.json", inner),
              interrupted ? "the same `mlac train` with --resume finishes it" : kHint);
}

std::unique_ptr<Model> OpenModel(const std::string& folder, const std::optional<HeadRequest>& request) {
  const std::string inner = TransformerFolder(folder), file = inner + "/config.json";
  const nlohmann::json config = ReadConfig(inner);
  const HeadRequest head = request ? *request : HeadOf(config, file);
  CheckModelType(config, file);  // before weights are looked for
  return MakeModel(config, file, OpenWeights(inner, config, file), inner + "/model.safetensors", head);
}

std::string ProblemTypeNameOf(const std::string& folder, const std::string& adapter) {
  const std::string inner = TransformerFolder(folder), file = inner + "/config.json";
  const nlohmann::json config = adapter.empty() ? ReadConfig(inner) : ReadAdaptedConfig(folder, adapter);
  const std::string name = ConfigReader(config, file).String("problem_type", "");
  for (const char* known : {"", "single_label_classification", "multi_label_classification", "regression"})
    if (name == known) return name;
  throw Error(ErrorCode::kInvalidInput, fmt::format("{}: problem_type is {}; expected single_label_classification, multi_label_classification or regression",
                                                    file, Quoted(name)));
}

bool IsCrossEncoder(const std::string& folder, const std::string& adapter) {
  const std::string inner = TransformerFolder(folder), file = inner + "/config.json";
  const nlohmann::json config = adapter.empty() ? ReadConfig(inner) : ReadAdaptedConfig(folder, adapter);
  return HeadOf(config, file).head == Head::kSequenceClassification && LabelNamesOf(folder, adapter).size() == 1 &&
         ProblemTypeNameOf(folder, adapter).empty();
}

std::vector<std::string> LabelNamesOf(const std::string& folder, const std::string& adapter) {
  const std::string inner = TransformerFolder(folder), file = inner + "/config.json";
  const nlohmann::json config = adapter.empty() ? ReadConfig(inner) : ReadAdaptedConfig(folder, adapter);
  const Head head = HeadOf(config, file).head;
  if (head != Head::kSequenceClassification && head != Head::kTokenClassification) return {};
  return ConfigReader(config, file).LabelNames();
}

}  // namespace mlac
