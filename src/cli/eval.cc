// mlac eval: how good a trained model is on labelled texts.
#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "cli/command.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/number_options.h"
#include "cli/store_access.h"
#include "cli/terminal.h"
#include "models/model_folder.h"
#include "train/fine_tune.h"
#include "train/report_text.h"

namespace mlac {
namespace {

// What was given; all else is as the model was trained.
struct EvalOptions {
  std::string model, adapter, data;
  std::optional<std::string> text_column, text_pair_column, target_column, negative_column, label_separator;
  std::optional<size_t> max_length, doc_stride, max_answer_length;
  bool line_by_line = false, skip_unlabelled = false, json = false;
  size_t num_threads = 1;
  DtypeOptions dtype;
};

// An option of this command that measuring a model of one of these tasks looks at.
struct ReadingOption {
  const char* name;
  std::string_view tasks;
};
constexpr ReadingOption kReadingOptions[] = {
    {"--text-column", "text-classification token-classification fill-mask sentence-similarity text-ranking"},
    {"--text-pair-column", "text-classification sentence-similarity text-ranking"},
    {"--target-column", "text-classification token-classification sentence-similarity text-ranking"},
    {"--negative-column", "sentence-similarity text-ranking"},
    {"--label-separator", "text-classification"},
    {"--skip-unlabelled", "text-classification"},
    {"--doc-stride", "question-answering"},
    {"--max-answer-length", "question-answering"},
    {"--line-by-line", "fill-mask"},
};

void CheckOptionsFit(Command command, std::string_view task) {
  for (const ReadingOption& option : kReadingOptions)
    if (command.Given(option.name) && option.tasks.find(task) == std::string_view::npos)
      throw UsageError(fmt::format("eval: {} does nothing for a model of {}", option.name, task));
}

EvaluationOptions Resolve(Command command, const EvalOptions& given, const std::string& model, const std::string& adapter) {
  EvaluationOptions options = EvaluationAsTrained(model, adapter, given.data);
  const auto take = [](const auto& from, auto& to) {
    if (from) to = *from;
  };
  if (given.target_column) options.tuple_columns.negative.clear();  // scored pairs are asked for, not triples
  if (given.negative_column) options.tuple_columns.score.clear();
  take(given.text_column, options.text_column);
  take(given.text_column, options.tuple_columns.first);
  take(given.text_column, options.tag_columns.words);
  if (command.Given("--text-pair-column")) options.text_pair_column = given.text_pair_column.value_or("");  // "" leaves it without one
  take(given.text_pair_column, options.tuple_columns.second);
  take(given.target_column, options.target_column);
  take(given.target_column, options.tuple_columns.score);
  take(given.target_column, options.tag_columns.tags);
  take(given.negative_column, options.tuple_columns.negative);
  take(given.label_separator, options.label_separator);
  if (given.max_length) {  // how much windows share belongs to how long they are
    options.max_length = given.max_length;
    options.doc_stride.reset();
  }
  take(given.doc_stride, options.doc_stride);
  take(given.max_answer_length, options.max_answer_length);
  options.line_by_line = options.line_by_line || given.line_by_line;
  options.skip_unlabelled = given.skip_unlabelled;
  options.num_threads = given.num_threads;
  options.dtype = given.dtype.Checked();
  return options;
}

constexpr size_t kWidthElsewhere = 160;  // columns of the report in a file or a log of CI: room for long labels

void Execute(Command command, const EvalOptions& options) {
  const ModelFolder given = FindModel(options.model), adapter = FindAdapter(options.adapter);
  EvaluationOptions evaluation = Resolve(command, options, given.path, adapter.path);
  evaluation.on_task = [command](std::string_view task) { CheckOptionsFit(command, task); };
  LeaveOnInterrupt();  // nothing is written before the end
  const EvaluationResult result = Evaluate(evaluation);
  for (const std::string& note : result.notes) fmt::print(stderr, "{}\n", note);
  if (result.num_truncated > 0)
    fmt::print(stderr, "{} of {} texts were cut to {} tokens\n", result.num_truncated, result.figures.num_examples, result.max_length);
  const std::string source = std::filesystem::path(options.data).filename().string();
  fmt::print("{}", options.json ? result.metrics_json
                   : result.metrics.num_examples > 0
                       ? EvaluationReport(result.metrics, source, IsTerminal(Stream::kOut) ? TerminalWidth(Stream::kOut) : kWidthElsewhere)
                       : FiguresReport(result.figures, source));
  if (!options.json && ProblemTypeNameOf(given.path, adapter.path) == "multi_label_classification")
    fmt::print("\nA label counts where its score is above 0.5.\n");
}

}  // namespace

void AddEval(Command app) {
  auto options = std::make_shared<EvalOptions>();
  const Command command = app.AddCommand("eval", "Measure a trained model on labelled texts",
                                         "mlac eval ./topics --data test.csv\nmlac eval ./topics --data test.csv --json\n"
                                         "mlac eval ./squad --data dev-v2.0.json\nmlac eval ./search --data pairs.csv");
  command.AddOption("model,-m,--model", options->model, kModelHelp).Required().Type("DIR");
  AddAdapterOption(command, options->adapter);
  command
      .AddOption("--data", options->data, "Examples as the model was trained on: CSV, TSV, JSONL, folders, words with tags, SQuAD's JSON")
      .Required()
      .Type("FILE");
  command.AddOption("--text-column", options->text_column, "The column of texts; else as the model was trained, else text").Type("NAME");
  command.AddOption("--text-pair-column", options->text_pair_column, "The column of second texts; else as the model was trained")
      .Type("NAME");
  command
      .AddOption("--target-column", options->target_column,
                 "The column of labels, tags or numbers; else as the model was trained, else label")
      .Type("NAME");
  command.AddOption("--negative-column", options->negative_column, "Of sentence embeddings and cross-encoders: the column of negatives")
      .Type("NAME");
  command
      .AddOption("--label-separator", options->label_separator,
                 "What stands between several labels of a cell; else as trained, else a comma")
      .Type("TEXT");
  command.AddFlag("--skip-unlabelled", options->skip_unlabelled, "Leave out rows without a label instead of refusing the file");
  const Option max_length = command.AddOption("--max-length", options->max_length,
                                              "Tokens a text, a window or a block may have; else as the model was trained, else its own limit");
  WholeNumber(max_length.Type("N"), 1);
  const Option doc_stride =
      command.AddOption("--doc-stride", options->doc_stride, "Of question-answering: tokens that windows share; else as trained; 0: none");
  WholeNumber(doc_stride.Type("N"), 0);
  const Option answer = command.AddOption("--max-answer-length", options->max_answer_length,
                                          "Of question-answering: tokens an answer may have; else as trained, else 30");
  WholeNumber(answer.Type("N"), 1, 1 << 20);
  command.AddFlag("--line-by-line", options->line_by_line, "Of fill-mask: texts are not joined to blocks, as where it was trained so");
  AddDtypeOptions(command, options->dtype);
  AddThreadsOption(command, options->num_threads);
  AddJsonFlag(command, options->json);
  command.OnRun([options, command] { Execute(command, *options); });
}

}  // namespace mlac
