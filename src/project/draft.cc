#include "project/draft.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "base/display.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "data/table.h"
#include "data/texts.h"
#include "hub/aliases.h"
#include "hub/record.h"
#include "project/column_look.h"
#include "project/config.h"
#include "project/draft_ci.h"
#include "project/model_task.h"
#include "tensor/weight_files.h"
#include "train/fine_tune.h"
#include "train/learning_pace.h"
#include "train/ranked_pairs.h"
#include "train/ranking_metrics.h"
#include "train/report_escape.h"
#include "train/text_tuples.h"

namespace mlac {
namespace {

constexpr double kTestShare = 0.2;  // of train, where there is no file to test with

// What is particular to a task: its lines of `data`, `train` and `gates`.
struct TaskLines {
  std::string description, rows, columns, train, dedupe, gates;
};

// "5000 rows and more".
std::string RowsOf(const Draft& draft) {
  return fmt::format("{} rows{}", draft.num_rows, draft.num_rows == kLookedAtRows ? " and more" : "");
}

TaskLines LinesOfLabels(const Draft& draft) {
  const bool is_number = draft.problem_type == ProblemType::kRegression, is_set = draft.problem_type == ProblemType::kMultiLabel,
             is_pair = !draft.text_pair_column.empty();
  TaskLines lines;
  lines.description = fmt::format("gives each {} {}", is_pair ? "pair of texts" : "text",
                                  is_number ? "a number"
                                  : is_set  ? "all labels that fit, or none"
                                            : "one label");
  lines.rows = RowsOf(draft) + (is_number ? "" : fmt::format(" with {} labels", draft.num_labels));
  lines.columns = fmt::format("      text: {}    # the column of {}texts\n", QuoteYaml(draft.text_column), is_pair ? "first " : "");
  if (is_pair) lines.columns += fmt::format("      text_pair: {}    # the column of second texts\n", QuoteYaml(draft.text_pair_column));
  lines.columns +=
      fmt::format("      target: {}    # the column of {}\n", QuoteYaml(draft.target_column), is_number ? "numbers" : "labels");
  if (is_set && draft.label_separator != ",")
    lines.columns += fmt::format("      label_separator: {}    # what stands between several labels\n", QuoteYaml(draft.label_separator));
  if (is_set) lines.train = "      multi_label: true    # a text may have several labels, or none\n";
  if (is_number) lines.train = "      regression: true    # learns numbers instead of labels\n";
  lines.dedupe = is_pair ? "rows with the same two texts" : "rows with the same text";
  if (!is_number && !is_set)
    lines.gates = fmt::format(
        "      - accuracy >= {:.2f}    # better than always answering the largest label; raise it once you know what it reaches\n",
        std::min(0.95, draft.largest_share + 0.05));
  return lines;
}

TaskLines LinesOf(const DraftOptions& options, const Draft& draft) {
  if (draft.task == "text-classification") return LinesOfLabels(draft);
  TaskLines lines;
  lines.rows = fmt::format("{} rows", draft.num_rows);
  lines.dedupe = "rows that are the same";
  lines.description = draft.task == "token-classification"  ? "finds names and other entities in texts"
                      : draft.task == "question-answering"  ? "finds the part of a text that answers a question"
                      : draft.task == "fill-mask"           ? "learns the words of a field from texts without labels"
                      : draft.task == "sentence-similarity" ? "gives texts that belong together near vectors"
                                                            : "says how well a text answers a query";
  if (draft.task == "fill-mask" && TableFormatOf(options.train) != TableFormat::kTextLines)
    lines.columns = fmt::format("      text: {}    # the column of texts\n", QuoteYaml(draft.text_column));
  return lines;
}

// Whether some query has both a document that answers and one that does not: else there is no order to be right about.
bool HasOrder(const std::string& path) {
  RankedPairs pairs;
  try {
    pairs = ReadRankedPairs(path, {});
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kIo) throw;
    return true;  // the step that learns from it says what is wrong
  }
  std::map<std::string_view, std::pair<bool, bool>> seen;  // by query: that answers, that does not
  for (size_t row = 0; row < pairs.size(); ++row) {
    auto& [answers, answers_not] = seen[pairs.texts.texts[row]];
    (pairs.scores[row] >= kRelevant ? answers : answers_not) = true;
    if (answers && answers_not) return true;
  }
  return false;
}

// The figure that is compared with production: the first of the task's that the data have.
std::string FigureOf(const DraftOptions& options, const Draft& draft) {
  const std::string& measured = options.test.empty() || !FileExists(options.test) ? options.train : options.test;
  if (draft.task == "text-ranking") return HasOrder(measured) ? "ndcg_at_10" : "average_precision";
  if (draft.task != "sentence-similarity") return std::string(FindModelTask(draft.task, draft.problem_type).figures.metrics.front());
  const TupleColumns columns = FindTupleColumns(measured, {});
  return !columns.negative.empty() ? "accuracy" : columns.score.empty() ? "ndcg_at_10" : "spearman";
}

// The gate against production, with what it means.
std::string ProductionGate(const DraftOptions& options, const Draft& draft) {
  const std::string figure = FigureOf(options, draft);
  if (LessIsBetter(figure)) return fmt::format("{} <= production * 1.02    # an error no larger than that of production, by 2 %", figure);
  return fmt::format("{} >= production - 0.005    # no worse than production, by half a percentage point", figure);
}

// The base's weights, or nothing where there is no model that can be read yet.
std::optional<size_t> NumWeights(const std::string& base) {
  try {
    const WeightFiles files = WeightFiles::Open(base);
    size_t count = 0;
    for (const std::string& name : files.names()) count += NumElements(files.Find(name)->shape);
    return count;
  } catch (const Error&) {  // to plan says what is wrong with it
    return std::nullopt;
  }
}

// The lines of `train` that go by the number of steps. A base that is not there yet may be a large one.
std::string PaceLines(const DraftOptions& options, const Draft& draft) {
  const TrainingOptions usual;
  const double share = (options.test.empty() ? 1 - kTestShare : 1) * (1 - FineTuneOptions().validation_split);
  const auto num_rows = static_cast<size_t>(static_cast<double>(draft.num_rows) * share);
  const size_t steps = std::max<size_t>((num_rows + usual.batch_size - 1) / usual.batch_size, 1);
  const std::optional<size_t> num_weights = NumWeights(options.base);
  const LearningPace pace = PaceFor(steps, num_weights.value_or(std::numeric_limits<size_t>::max()));
  const std::string rate = ShownRate(pace.learning_rate);
  if (pace.num_epochs == usual.num_epochs && pace.learning_rate == usual.learning_rate)
    return fmt::format(
        "      epochs: {}    # times that each text is seen; it stops before if nothing gets better\n"
        "      lr: {}    # how far one step goes, for {} steps and more in all; shorter trainings take 1e-4 to 3e-4\n",
        pace.num_epochs, rate, kEnoughSteps);
  return fmt::format(
      "      epochs: {}    # times that each text is seen: {} step{} each, so that there are some {} in all; it stops before if nothing "
      "gets better\n"
      "      lr: {}    # how far one step goes: for so few steps 3e-4 with a model of up to 40 million weights, 1e-4 with a larger one{}\n",
      pace.num_epochs, steps, steps == 1 ? "" : "s", steps * pace.num_epochs, rate, num_weights ? "" : "; the base is not there yet");
}

std::string ProjectFileText(const DraftOptions& options, const Draft& draft) {
  const TaskLines lines = LinesOf(options, draft);
  const std::string test =
      options.test.empty()
          ? fmt::format("      split: {{test: 20%, seed: 0}}    # a fifth of the rows{} is kept for measuring and never trained on\n",
                        draft.num_labels > 0 && draft.problem_type == ProblemType::kSingleLabel ? ", of each label alike," : "")
          : fmt::format("      test: {}    # what figures, tests and gates are decided on; never trained on\n", QuoteYaml(options.test));
  return fmt::format(
      R"(# What models this repository makes, from what, and what must hold before one is published.
# 'mlac plan' says what would run and why; 'mlac apply' runs it. All keys: docs/mlac-yaml.md, or 'mlac help --mlac-yaml'.

store: .mlac    # where models, their history and results are kept. Not for git; a folder that a team shares, if CI has to see what is in production

models:
  {name}:
    task: {task}    # {does}
    base: {base}    # the model to start from: a folder in the Hugging Face layout, or NAME@ALIAS of the store
    data:
      train: {train}    # what it learns from: {rows}
{test}{columns}      dedupe: false    # true: of {dedupe} only the first stays
    train:
{pace}      seed: 0    # decides order and dropout: the same seed gives the same model, bit for bit
{learns}    # optimize: {{int8: true, max_drop: 0.5%}}    # a quarter of the size, and faster; refused if it loses more than half a percentage point
    tests: tests/{name}.yaml    # what it must know whatever the figures say; a model that fails one is not published
    gates:    # what must hold on the test data before it is published
{gates}      - {production}. There is none yet: it then passes and says so
)",
      fmt::arg("name", options.name), fmt::arg("task", draft.task), fmt::arg("does", lines.description),
      fmt::arg("base", QuoteYaml(options.base)), fmt::arg("train", QuoteYaml(options.train)), fmt::arg("rows", lines.rows),
      fmt::arg("test", test), fmt::arg("columns", lines.columns), fmt::arg("pace", PaceLines(options, draft)), fmt::arg("learns", lines.train),
      fmt::arg("dedupe", lines.dedupe), fmt::arg("gates", lines.gates), fmt::arg("production", ProductionGate(options, draft)));
}

// The lists that a task has beside invariances.
std::string TestExamples(const Draft& draft) {
  const std::string& task = draft.task;
  if (task == "question-answering")
    return "# Questions with the answer that they must get:\n# examples:\n#   - {question: \"...\", text: \"...\", expect: \"...\"}\n";
  if (task == "sentence-similarity" || task == "text-ranking")
    return "# Queries with what must be found before others:\n# rankings:\n#   - {query: \"...\", best: \"...\", others: [\"...\", "
           "\"...\"]}\n";
  const bool is_number = draft.problem_type == ProblemType::kRegression, is_set = draft.problem_type == ProblemType::kMultiLabel;
  const char* what = task == "token-classification" ? "entities"
                     : task == "fill-mask"          ? "word in the place of [MASK]"
                     : is_number                    ? "number"
                     : is_set                       ? "labels"
                                                    : "label";
  return fmt::format("# Texts with the {} that they must get:\n# examples:\n#   - {{text: \"...\"{}, expect: {}}}\n", what,
                     draft.text_pair_column.empty() ? "" : ", text_pair: \"...\"",
                     is_number ? "3.5, within: 0.5"
                     : is_set  ? "[\"...\", \"...\"]"
                               : "\"...\"");
}

std::string TestFileText(const DraftOptions& options, const Draft& draft) {
  return fmt::format(
      R"(# What the model {name} must know, whatever its figures are. 'mlac test {name}' runs this file; so does 'mlac apply' before it publishes.
# Once there is a model, published or not, 'mlac test {name} --generate' proposes tests from what it answers.

# As it stands it tests nothing, so that it does not hold up a first model: what a model reaches is known once there is one.

# Changes that must not change the {answer}:
# invariances:
#   - {{change: typos, rows: 100{within}, min: 70%}}    # two letters of a word change places: of 100 texts, 70 must keep their {answer}
#   - {{change: case, rows: 100{within}, min: 70%}}    # all in lower case, all in upper case

{examples}
# Parts of the test data, and what must be right of them:
# slices:
#   - {{name: short texts, max_length: 40, min: 60%}}
)",
      fmt::arg("name", options.name),
      fmt::arg("answer", draft.problem_type == ProblemType::kRegression ? "number"
                         : draft.num_labels > 0                         ? "label"
                                                                        : "answer"),
      fmt::arg("within", draft.problem_type == ProblemType::kRegression ? ", within: 0.5" : ""), fmt::arg("examples", TestExamples(draft)));
}

void AddPipeline(const std::string& ci, const CiParts& parts, Draft& draft) {
  draft.files[CiPath(ci)] = CiText(ci, parts);
  draft.ci_needs = CiNeeds(ci, parts);
}

// Whether all numbers of the column are on a scale, not a few that stand for labels.
bool HoldsScores(const std::string& path, std::string_view name) {
  size_t num_rows = 0;
  for (const ColumnLook& look : LookAtColumns(path, num_rows))
    if (look.name == name) return look.num_numbers == num_rows && look.has_fractions;
  return false;
}

std::string GuessTaskOfTable(const std::string& path) {
  const bool is_json = TableFormatOf(path) == TableFormat::kJsonLines;
  // Of JSON objects and lists of them, too.
  const std::vector<std::string> names = TableFormatOf(path) == TableFormat::kTextLines ? ColumnsOf(path) : ColumnNames(path);
  const auto has = [&](std::string_view name) { return std::find(names.begin(), names.end(), name) != names.end(); };
  if ((has("tokens") && has("tags")) || (has("text") && (has("entities") || has("spans")))) return "token-classification";
  const bool has_answers = has("answers") || has("answer") || has("answer_start") || has("is_impossible");
  if (has("question") && has("context") && !is_json && has_answers)
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("{}: answers in a context are read from JSON Lines or SQuAD's JSON, not from a table", path),
                "{\"question\": \"...\", \"context\": \"...\", \"answers\": {\"text\": [\"...\"], \"answer_start\": [4]}}");
  if (has("question") && has("context") && is_json && (has_answers || !has("label"))) return "question-answering";
  const bool has_negative = has("negative") || has("negatives");
  if (has("query") && (has("document") || has("documents") || has("passage") || (has("positive") && has_negative))) return "text-ranking";
  if ((has("anchor") || has("query")) && has("positive")) return "sentence-similarity";
  if (has("sentence1") && has("sentence2") && (has("score") || has("similarity") || (has("label") && HoldsScores(path, "label"))))
    return "sentence-similarity";
  return "text-classification";
}

bool IsListOfTexts(const nlohmann::json& value) {
  return value.is_array() && std::all_of(value.begin(), value.end(), [](const nlohmann::json& item) { return item.is_string(); });
}

}  // namespace

std::vector<std::string> ColumnsOf(const std::string& path) {
  const TableFormat format = TableFormatOf(path);
  if (format == TableFormat::kTextLines) return {"text"};
  std::vector<std::string> names;
  if (format != TableFormat::kJsonLines) {
    names = ColumnNames(path);
    std::erase(names, "");  // of spreadsheets, whose empty columns have no name
    return names;
  }
  const nlohmann::json row = ParseJson(FirstJsonLine(path), path);
  if (row.is_object())
    for (const auto& [name, value] : row.items())
      if (value.is_primitive() ? !value.is_null() : IsListOfTexts(value)) names.push_back(name);
  return names;
}

std::string GuessTask(const std::string& path) {
  const auto ends = [&](std::initializer_list<std::string_view> endings) {
    return std::any_of(endings.begin(), endings.end(), [&](std::string_view ending) { return path.ends_with(ending); });
  };
  if (FolderExists(path)) return "text-classification";
  if (ends({".conll", ".iob", ".bio"})) return "token-classification";
  if (ends({".json"})) return "question-answering";
  if (ends({".txt"})) return "fill-mask";
  return GuessTaskOfTable(path);
}

Draft DraftPipeline(const ProjectConfig& project, const std::string& ci) {
  CiParts parts = {.store = project.store, .bases = {}, .models = {}};
  for (const ModelConfig& model : project.models) {
    const bool is_folder = model.base_model.empty() && !IsReference(model.base);
    if (is_folder && std::find(parts.bases.begin(), parts.bases.end(), model.base) == parts.bases.end()) parts.bases.push_back(model.base);
    parts.models.push_back(model.name);
  }
  Draft draft;
  AddPipeline(ci, parts, draft);
  return draft;
}

Draft DraftProject(const DraftOptions& options) {
  CheckArtefactName(options.name);
  Draft draft = {.task = options.task.empty() ? GuessTask(options.train) : std::string(FindModelTask(options.task).name),
                 .text_column = options.text_column,
                 .target_column = options.target_column,
                 .files = {}};
  if (draft.task != "text-classification") {
    if (draft.text_column.empty()) draft.text_column = "text";
    draft.num_rows = FindModelTask(draft.task)
                         .read_rows(options.train, {.train = {}, .validation = {}, .test = {}, .text_column = draft.text_column}, {})
                         .rows.size();
  } else if (FolderExists(options.train)) {
    const LabelledTexts texts = ReadLabelledTexts(options.train, {});
    draft.text_column = "text";
    draft.target_column = "label";
    draft.num_rows = texts.size();
    draft.num_labels = texts.label_names.size();
    std::vector<size_t> counts(texts.label_names.size());
    for (const int32_t label : texts.labels) ++counts[static_cast<size_t>(label)];
    draft.largest_share = static_cast<double>(*std::max_element(counts.begin(), counts.end())) / static_cast<double>(texts.size());
  } else {
    const std::vector<ColumnLook> looks = LookAtColumns(options.train, draft.num_rows);
    LabelColumns found = GuessLabelColumns(looks, draft.num_rows, options.text_column, options.text_pair_column, options.target_column);
    draft.text_column = std::move(found.text);
    draft.text_pair_column = std::move(found.text_pair);
    draft.target_column = std::move(found.target);
    draft.problem_type = found.problem_type;
    draft.label_separator = std::move(found.label_separator);
    draft.num_labels = found.num_labels;
    draft.largest_share = found.largest_share;
  }
  draft.files["mlac.yaml"] = ProjectFileText(options, draft);
  draft.files[fmt::format("tests/{}.yaml", options.name)] = TestFileText(options, draft);
  if (!options.ci.empty()) {
    CiParts parts = {.bases = {}, .models = {options.name}};
    if (!IsReference(options.base)) parts.bases.push_back(options.base);
    AddPipeline(options.ci, parts, draft);
  }
  return draft;
}

}  // namespace mlac
