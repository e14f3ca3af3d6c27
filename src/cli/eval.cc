// mlac eval: how good a trained model is on labelled texts.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>

#include "cli/command.h"
#include "cli/commands.h"
#include "cli/store_access.h"
#include "cli/terminal.h"
#include "train/fine_tune.h"
#include "train/report_text.h"

namespace mlac {
namespace {

struct EvalOptions {
  EvaluationOptions evaluation;
  size_t max_length = 0;
  DtypeOptions dtype;
  bool json = false;
};

std::string FileName(const std::string& path) { return std::filesystem::path(path).filename().string(); }

void Execute(EvalOptions options) {
  if (options.max_length > 0) options.evaluation.max_length = options.max_length;
  options.evaluation.dtype = options.dtype.Checked();
  const ModelFolder given = FindModel(options.evaluation.model);
  options.evaluation.model = given.path;
  const EvaluationResult result = EvaluateClassifier(options.evaluation);
  for (const std::string& note : result.notes) fmt::print(stderr, "{}\n", note);
  if (result.num_truncated > 0)
    fmt::print(stderr, "{} of {} texts were cut to {} tokens\n", result.num_truncated, result.metrics.num_examples, result.max_length);
  fmt::print("{}", options.json ? MetricsJson(result.metrics)
                               : EvaluationReport(result.metrics, FileName(options.evaluation.data), TerminalWidth(Stream::kOut)));
}

}  // namespace

void AddEval(CLI::App& app) {
  auto options = std::make_shared<EvalOptions>();
  CLI::App& command = AddCommand(app, "eval", "Measure a trained model on labelled texts",
                                 "mlac eval ./topics --data test.csv\nmlac eval ./topics --data test.csv --json");
  command.add_option("model", options->evaluation.model, "The folder of a trained model, or NAME@ALIAS of the store")->required()->type_name("DIR");
  command.add_option("--data", options->evaluation.data, "Labelled texts: CSV, TSV, JSONL, or a folder with a folder of texts for each label")
      ->required()
      ->type_name("FILE");
  command.add_option("--text-column", options->evaluation.text_column, "The column of texts")->type_name("NAME")->capture_default_str();
  command.add_option("--target-column", options->evaluation.target_column, "The column of labels")->type_name("NAME")->capture_default_str();
  command.add_option("--max-length", options->max_length, "Tokens a text may have, longer ones are cut; else the model's own limit")->type_name("N");
  AddDtypeOptions(command, options->dtype);
  AddThreadsOption(command, options->evaluation.num_threads);
  AddJsonFlag(command, options->json);
  command.callback([options] { Execute(*options); });
}

}  // namespace mlac
