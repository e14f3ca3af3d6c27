// mlac merge: a model and its adapter as one model.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/store_access.h"
#include "optimize/carried_files.h"
#include "optimize/merged_card.h"
#include "optimize/merged_folder.h"
#include "train/model_folder_writer.h"
#include "train/report_card.h"
#include "train/report_escape.h"

namespace mlac {
namespace {

struct MergeOptions {
  std::string model, adapter, out;
  bool overwrite = false, json = false;
};

void Execute(const MergeOptions& options) {
  const ModelFolder model = FindModel(options.model), adapter = FindAdapter(options.adapter);
  for (const auto& [name, path] : {std::pair{"--model", model.path}, {"--adapter", adapter.path}})
    if (options.overwrite && LiesIn(path, options.out))
      throw Error(ErrorCode::kInvalidArgument, fmt::format("{}: {} {} lies in it and would be replaced with it", options.out, name, path),
                  "choose another --out");
  if (options.overwrite) CheckReplaceable(options.out);
  StagedFolder staged(options.out, options.overwrite);
  const MergeSummary summary = WriteMergedFolder(model.path, adapter.path, staged.path());
  CopyTrainingRecord(adapter.path, staged.path());
  const std::string base_name = CardName(model), adapter_name = CardName(adapter);
  WriteFileAtomically(staged.path() + "/" + kModelCardFile,
                      MergedCardMarkdown({.merged = staged.path(),
                                          .base = model.path,
                                          .adapter = adapter.path,
                                          .base_name = base_name,
                                          .adapter_name = adapter_name,
                                          .command = fmt::format("mlac merge -m {} --adapter {} --out OUT", ShellQuoted(base_name), ShellQuoted(adapter_name)),
                                          .summary = summary}));
  staged.Commit();
  if (!options.json) {
    fmt::print("{}: the adapter of rank {} is merged into {} layers\n", options.out, summary.rank, summary.num_layers);
    return;
  }
  const nlohmann::ordered_json result = {{"out", options.out},
                                         {"model", options.model},
                                         {"adapter", options.adapter},
                                         {"rank", summary.rank},
                                         {"alpha", summary.alpha},
                                         {"num_layers", summary.num_layers},
                                         {"num_parameters", summary.num_parameters}};
  fmt::print("{}\n", DumpJson(result, 2));
}

}  // namespace

void AddMerge(Command app) {
  auto options = std::make_shared<MergeOptions>();
  const Command command = app.AddCommand("merge", "Make one model of a model and its adapter",
                                         "mlac merge -m ./all-MiniLM-L6-v2 --adapter ./topics-lora --out ./topics");
  AddModelOption(command, options->model);
  AddAdapterOption(command, options->adapter);
  command.FindOption("--adapter").Required();
  command.AddOption("--out", options->out, "The folder that is written").Required().Type("DIR");
  command.AddFlag("--overwrite", options->overwrite, kOverwriteHelp);
  AddJsonFlag(command, options->json);
  command.OnRun([options] { Execute(*options); });
}

}  // namespace mlac
