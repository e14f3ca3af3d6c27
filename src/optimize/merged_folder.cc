#include "optimize/merged_folder.h"

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/json.h"
#include "models/adapter.h"
#include "models/model_folder.h"
#include "optimize/carried_files.h"
#include "train/model_folder_writer.h"
#include "train/report_card.h"
#include "train/sentence_folder.h"

namespace mlac {
namespace {

// What the adapter's config.json says to sentence-transformers of the head that it brings: the function that makes a score of a cross-encoder's logit.
void CarryOverSettings(const std::string& adapter, const std::string& out) {
  constexpr const char* kKey = "sentence_transformers";
  if (!FileExists(adapter + "/config.json")) return;
  const nlohmann::json trained = ReadJsonFile(adapter + "/config.json");
  if (!trained.is_object() || !trained.contains(kKey)) return;
  nlohmann::json config = ReadJsonFile(out + "/config.json");
  config[kKey] = trained[kKey];
  WriteFileAtomically(out + "/config.json", DumpJson(config, 2) + "\n");
}

}  // namespace

MergeSummary WriteMergedFolder(const std::string& model_folder, const std::string& adapter, const std::string& out) {
  const std::unique_ptr<Model> model = OpenAdapted(OpenBase(model_folder), model_folder, adapter);
  const AdapterConfig config = ReadAdapterConfig(adapter);
  MergeSummary summary = {.num_layers = model->parameters().loras().size(), .rank = config.rank, .alpha = config.alpha};
  for (const Parameter& parameter : model->parameters().parameters()) summary.num_parameters += parameter.value.num_elements();
  MergeAdapter(*model);

  const std::string inner = TransformerFolder(model_folder);
  std::string inner_out = out;
  if (model->head() == Head::kNone) {
    inner_out += inner.substr(model_folder.size());
    if (inner_out != out) std::filesystem::create_directory(inner_out);
    CopyFiles(model_folder, out, kModelCardFile);  // which says what the base is
    if (inner_out != out) CopyFiles(inner, inner_out, kModelCardFile);
    CopyModules(model_folder, out);
  }
  WriteModelFolder(inner_out, *model, inner, LabelNamesOf(model_folder, adapter), ProblemTypeNameOf(model_folder, adapter),
                   /*max_length=*/0);
  CarryOverSettings(adapter, inner_out);
  WriteTokenizer(inner_out, TokenizerFolder(model_folder, adapter), /*max_length=*/0);
  return summary;
}

}  // namespace mlac
