// mlac eval: how good a trained model is on labelled texts.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>

#include "cli/command.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
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

void Execute(const CLI::App& command, EvalOptions options) {
  // Of pairs and triples, columns are recognised by their names unless they are given.
  TupleColumns& columns = options.evaluation.tuple_columns;
  if (command.count("--text-column") > 0) columns.first = options.evaluation.text_column;
  if (command.count("--target-column") > 0) columns.score = options.evaluation.target_column;
  columns.second = options.evaluation.text_pair_column;
  if (options.max_length > 0) options.evaluation.max_length = options.max_length;
  options.evaluation.dtype = options.dtype.Checked();
  const ModelFolder given = FindModel(options.evaluation.model), adapter = FindAdapter(options.evaluation.adapter);
  options.evaluation.model = given.path;
  options.evaluation.adapter = adapter.path;
  LeaveOnInterrupt();  // nothing is written before the end
  const EvaluationResult result = Evaluate(options.evaluation);
  for (const std::string& note : result.notes) fmt::print(stderr, "{}\n", note);
  if (result.num_truncated > 0)
    fmt::print(stderr, "{} of {} texts were cut to {} tokens\n", result.num_truncated, result.figures.num_examples, result.max_length);
  const std::string source = std::filesystem::path(options.evaluation.data).filename().string();
  fmt::print("{}", options.json                       ? result.metrics_json
                   : result.metrics.num_examples > 0 ? EvaluationReport(result.metrics, source, TerminalWidth(Stream::kOut))
                                                     : FiguresReport(result.figures, source));
}

}  // namespace

void AddEval(CLI::App& app) {
  auto options = std::make_shared<EvalOptions>();
  CLI::App& command = AddCommand(app, "eval", "Measure a trained model on labelled texts",
                                 "mlac eval ./topics --data test.csv\nmlac eval ./topics --data test.csv --json\nmlac eval ./squad --data dev-v2.0.json\n"
                                 "mlac eval ./search --data pairs.csv");
  command.add_option("model", options->evaluation.model, "The folder of a trained model, or NAME@ALIAS of the store")->required()->type_name("DIR");
  AddAdapterOption(command, options->evaluation.adapter);
  command
      .add_option("--data", options->evaluation.data, "Examples as the model was trained on: CSV, TSV, JSONL, folders, words with tags, SQuAD's JSON")
      ->required()
      ->type_name("FILE");
  command.add_option("--text-column", options->evaluation.text_column, "The column of texts")->type_name("NAME")->capture_default_str();
  command.add_option("--text-pair-column", options->evaluation.text_pair_column, "The column of second texts")->type_name("NAME");
  command.add_option("--target-column", options->evaluation.target_column, "The column of labels, or of numbers")->type_name("NAME")->capture_default_str();
  command.add_option("--negative-column", options->evaluation.tuple_columns.negative, "Of sentence embeddings and cross-encoders: the column of negatives")
      ->type_name("NAME");
  command.add_option("--label-separator", options->evaluation.label_separator, "What stands between several labels of a cell")
      ->type_name("TEXT")
      ->capture_default_str();
  command.add_option("--max-length", options->max_length, "Tokens a text may have, longer ones are cut; else the model's own limit")->type_name("N");
  command.add_option("--doc-stride", options->evaluation.doc_stride, "Of question-answering: tokens that windows share")->type_name("N");
  command.add_option("--max-answer-length", options->evaluation.max_answer_length, "Of question-answering: tokens an answer may have")
      ->type_name("N")
      ->check(CLI::Range(size_t{1}, size_t{1} << 20).description(""))
      ->capture_default_str();
  command.add_flag("--line-by-line", options->evaluation.line_by_line, "Of fill-mask: texts are not joined to blocks");
  AddDtypeOptions(command, options->dtype);
  AddThreadsOption(command, options->evaluation.num_threads);
  AddJsonFlag(command, options->json);
  command.callback([options, &command] { Execute(command, *options); });
}

}  // namespace mlac
