#include "optimize/merged_folder.h"

#include <filesystem>
#include <memory>

#include "models/adapter.h"
#include "models/model_folder.h"
#include "optimize/carried_files.h"
#include "train/model_folder_writer.h"

namespace mlac {

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
    CopyFiles(model_folder, out);
    if (inner_out != out) CopyFiles(inner, inner_out);
    CopyModules(model_folder, out);
  }
  WriteModelFolder(inner_out, *model, inner, LabelNamesOf(model_folder, adapter), ProblemTypeNameOf(model_folder, adapter),
                   /*max_length=*/0);
  WriteTokenizer(inner_out, TokenizerFolder(model_folder, adapter), /*max_length=*/0);
  return summary;
}

}  // namespace mlac
