#include "project/draft.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/display.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "data/table.h"
#include "data/texts.h"
#include "hub/record.h"
#include "project/config.h"
#include "project/draft_ci.h"
#include "project/model_task.h"
#include "train/ranked_pairs.h"
#include "train/ranking_metrics.h"
#include "train/report_escape.h"
#include "train/text_tuples.h"

namespace mlac {
namespace {

constexpr size_t kLookedAt = 5000;  // rows
constexpr size_t kMostLabels = 1000;
constexpr size_t kHeadBytes = 1 << 16;

struct ColumnLook {
  std::string name;
  std::map<std::string, size_t> values;  // with the number of rows, of the first kMostLabels and 1
  double mean_length = 0;
};

// The first line of the file, without its end.
std::string FirstLine(const std::string& path) {
  const FileDescriptor file = OpenForReading(path);
  ByteStream stream(path);
  std::string line;
  for (int byte = stream.Get(); byte != ByteStream::kEnd && byte != '\n' && line.size() < kHeadBytes; byte = stream.Get())
    line += static_cast<char>(byte);
  if (line.ends_with('\r')) line.pop_back();
  return line;
}

std::vector<std::string> SplitHeader(const std::string& line, char delimiter) {
  std::vector<std::string> names(1);
  bool quoted = false;
  for (size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '"') {
      quoted = !quoted;
    } else if (line[i] == delimiter && !quoted) {
      names.emplace_back();
    } else {
      names.back() += line[i];
    }
  }
  return names;
}

std::vector<ColumnLook> LookAt(const std::string& path, size_t& num_rows) {
  std::vector<ColumnLook> looks;
  const std::vector<std::string> columns = ColumnsOf(path);
  for (const std::string& column : columns) looks.push_back({column, {}, 0});
  const std::unique_ptr<TableReader> reader = OpenTable(path, {.columns = columns});
  std::vector<std::string> cells;
  for (num_rows = 0; num_rows < kLookedAt && reader->Next(cells); ++num_rows)
    for (size_t c = 0; c < cells.size(); ++c) {
      const std::string value = cells[c].substr(0, 200);
      if (looks[c].values.size() <= kMostLabels || looks[c].values.contains(value)) ++looks[c].values[value];
      looks[c].mean_length += static_cast<double>(cells[c].size());
    }
  for (ColumnLook& look : looks) look.mean_length /= static_cast<double>(std::max<size_t>(num_rows, 1));
  return looks;
}

// Labels: few values, each several times, and short. Texts: the longest of the others.
void GuessColumns(const std::vector<ColumnLook>& looks, size_t num_rows, Draft& draft) {
  const ColumnLook *labels = nullptr, *texts = nullptr;
  for (const ColumnLook& look : looks) {
    if (!draft.target_column.empty() ? look.name != draft.target_column
                                     : look.values.size() < 2 || look.values.size() > std::max<size_t>(num_rows / 2, 2))
      continue;
    if (draft.target_column.empty() && look.name == draft.text_column) continue;
    if (labels == nullptr || look.mean_length < labels->mean_length) labels = &look;
  }
  for (const ColumnLook& look : looks) {
    if (&look == labels || (!draft.text_column.empty() && look.name != draft.text_column)) continue;
    if (texts == nullptr || look.mean_length > texts->mean_length) texts = &look;
  }
  std::vector<std::string> names;
  for (const ColumnLook& look : looks) names.push_back(Quoted(look.name));
  if (labels == nullptr || texts == nullptr)
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("{} of the columns {} look{} like the {}", labels == nullptr ? "none" : "no other", fmt::join(names, ", "),
                            labels == nullptr ? "s" : "s", labels == nullptr ? "labels" : "texts"),
                "--text-column and --target-column name them");
  draft.target_column = labels->name;
  draft.text_column = texts->name;
  draft.num_labels = labels->values.size();
  for (const auto& [value, count] : labels->values)
    draft.largest_share = std::max(draft.largest_share, static_cast<double>(count) / static_cast<double>(num_rows));
}

// What is particular to a task: its lines of `data` and of `gates`.
struct TaskLines {
  std::string description, rows, columns, dedupe, gates;
};

TaskLines LinesOfLabels(const Draft& draft) {
  return {.description = "gives each text one label",
          .rows = fmt::format("{} rows{} with {} labels", draft.num_rows, draft.num_rows == kLookedAt ? " and more" : "", draft.num_labels),
          .columns = fmt::format("      text: {}    # the column of texts\n      target: {}    # the column of labels\n",
                                 QuoteYaml(draft.text_column), QuoteYaml(draft.target_column)),
          .dedupe = "rows with the same text",
          .gates = fmt::format(
              "      - accuracy >= {:.2f}    # better than always answering the largest label; raise it once you know what it reaches\n",
              std::min(0.95, draft.largest_share + 0.05))};
}

TaskLines LinesOf(const DraftOptions& options, const Draft& draft) {
  if (draft.task == "text-classification") return LinesOfLabels(draft);
  TaskLines lines = {
      .description = {}, .rows = fmt::format("{} rows", draft.num_rows), .columns = {}, .dedupe = "rows that are the same", .gates = {}};
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
std::string FigureOf(const DraftOptions& options, const std::string& task) {
  const std::string& measured = options.test.empty() || !FileExists(options.test) ? options.train : options.test;
  if (task == "text-ranking") return HasOrder(measured) ? "ndcg_at_10" : "average_precision";
  if (task != "sentence-similarity") return std::string(FindModelTask(task).figures.metrics.front());
  const TupleColumns columns = FindTupleColumns(measured, {});
  return columns.score.empty() || !columns.negative.empty() ? "ndcg_at_10" : "spearman";
}

std::string ProjectFileText(const DraftOptions& options, const Draft& draft) {
  const TaskLines lines = LinesOf(options, draft);
  const std::string test =
      options.test.empty()
          ? fmt::format("      split: {{test: 20%, seed: 0}}    # a fifth of the rows{} is kept for measuring and never trained on\n",
                        draft.num_labels > 0 ? ", of each label alike," : "")
          : fmt::format("      test: {}    # what figures, tests and gates are decided on; never trained on\n", QuoteYaml(options.test));
  return fmt::format(
      R"(# What models this repository makes, from what, and what must hold before one is published.
# 'mlac plan' says what would run and why; 'mlac apply' runs it. All keys: docs/mlac-yaml.md, or 'mlac help --mlac-yaml'.

store: .mlac    # where models, their history and results are kept. Not for git; a folder that a team shares, if CI has to see what is in production

models:
  {name}:
    task: {task}    # {does}
    base: {base}    # the model to start from: a folder in the Hugging Face layout
    data:
      train: {train}    # what it learns from: {rows}
{test}{columns}      dedupe: false    # true: of {dedupe} only the first stays
    train:
      epochs: 3    # times that each text is seen; it stops before if nothing gets better
      lr: 5e-5    # how far one step goes; up to 1e-4 for little data
      seed: 0    # decides order and dropout: the same seed gives the same model, bit for bit
    # optimize: {{int8: true, max_drop: 0.5%}}    # a quarter of the size, and faster; refused if it loses more than half a percentage point
    tests: tests/{name}.yaml    # what it must know whatever the figures say; a model that fails one is not published
    gates:    # what must hold on the test data before it is published
{gates}      - {figure} >= production - 0.005    # no worse than production, by half a percentage point. There is none yet: it then passes and says so
)",
      fmt::arg("name", options.name), fmt::arg("task", draft.task), fmt::arg("does", lines.description),
      fmt::arg("base", QuoteYaml(options.base)), fmt::arg("train", QuoteYaml(options.train)), fmt::arg("rows", lines.rows),
      fmt::arg("test", test), fmt::arg("columns", lines.columns), fmt::arg("dedupe", lines.dedupe), fmt::arg("gates", lines.gates),
      fmt::arg("figure", FigureOf(options, draft.task)));
}

// The lists that a task has beside invariances.
std::string TestExamples(const std::string& task) {
  if (task == "question-answering")
    return "# Questions with the answer that they must get:\n# examples:\n#   - {question: \"...\", text: \"...\", expect: \"...\"}\n";
  if (task == "sentence-similarity" || task == "text-ranking")
    return "# Queries with what must be found before others:\n# rankings:\n#   - {query: \"...\", best: \"...\", others: [\"...\", "
           "\"...\"]}\n";
  const char* what = task == "token-classification" ? "entities" : task == "fill-mask" ? "word in the place of [MASK]" : "label";
  return fmt::format("# Texts with the {} that they must get:\n# examples:\n#   - {{text: \"...\", expect: \"...\"}}\n", what);
}

std::string TestFileText(const DraftOptions& options, const Draft& draft) {
  return fmt::format(
      R"(# What the model {name} must know, whatever its figures are. 'mlac test {name}' runs this file; so does 'mlac apply' before it publishes.
# Once there is a model, published or not, 'mlac test {name} --generate' proposes tests from what it answers.

# As it stands it tests nothing, so that it does not hold up a first model: what a model reaches is known once there is one.

# Changes that must not change the {answer}:
# invariances:
#   - {{change: typos, rows: 100, min: 70%}}    # two letters of a word change places: of 100 texts, 70 must keep their {answer}
#   - {{change: case, rows: 100, min: 70%}}    # all in lower case, all in upper case

{examples}
# Parts of the test data, and what must be right of them:
# slices:
#   - {{name: short texts, max_length: 40, min: 60%}}
)",
      fmt::arg("name", options.name), fmt::arg("answer", draft.num_labels > 0 ? "label" : "answer"),
      fmt::arg("examples", TestExamples(draft.task)));
}

void AddPipeline(const std::string& ci, const CiParts& parts, Draft& draft) {
  draft.files[CiPath(ci)] = CiText(ci, parts);
  draft.ci_needs = CiNeeds(ci, parts);
}

}  // namespace

std::vector<std::string> ColumnsOf(const std::string& path) {
  const TableFormat format = TableFormatOf(path);
  const std::string line = FirstLine(path);
  if (format == TableFormat::kTextLines) return {"text"};
  if (format == TableFormat::kJsonLines) {
    const nlohmann::json row = ParseJson(line, path);
    std::vector<std::string> names;
    if (row.is_object())
      for (const auto& [name, value] : row.items())
        if (value.is_string() || value.is_number()) names.push_back(name);
    return names;
  }
  const auto count = [&](char c) { return std::count(line.begin(), line.end(), c); };
  char delimiter = format == TableFormat::kTsv ? '\t' : ',';
  for (const char candidate : {';', '\t'})
    if (format == TableFormat::kCsv && count(candidate) > count(delimiter)) delimiter = candidate;
  return SplitHeader(line, delimiter);
}

std::string GuessTask(const std::string& path) {
  const auto ends = [&](std::initializer_list<std::string_view> endings) {
    return std::any_of(endings.begin(), endings.end(), [&](std::string_view ending) { return path.ends_with(ending); });
  };
  if (FolderExists(path)) return "text-classification";
  if (ends({".conll", ".iob", ".bio"})) return "token-classification";
  if (ends({".json"})) return "question-answering";
  if (ends({".txt"})) return "fill-mask";
  std::vector<std::string> names = ColumnsOf(path);
  if (TableFormatOf(path) == TableFormat::kJsonLines) {
    names.clear();  // lists, too
    const nlohmann::json row = ParseJson(FirstLine(path), path);
    if (row.is_object())
      for (const auto& [name, value] : row.items()) names.push_back(name);
  }
  const auto has = [&](std::string_view name) { return std::find(names.begin(), names.end(), name) != names.end(); };
  if ((has("tokens") && has("tags")) || (has("text") && (has("entities") || has("spans")))) return "token-classification";
  if (has("question") && has("context")) return "question-answering";
  if (has("query") && (has("document") || has("documents") || has("passage"))) return "text-ranking";
  if ((has("anchor") && has("positive")) || (has("sentence1") && has("sentence2") && has("score"))) return "sentence-similarity";
  return "text-classification";
}

Draft DraftPipeline(const ProjectConfig& project, const std::string& ci) {
  CiParts parts = {.store = project.store, .bases = {}, .models = {}};
  for (const ModelConfig& model : project.models) {
    if (std::find(parts.bases.begin(), parts.bases.end(), model.base) == parts.bases.end()) parts.bases.push_back(model.base);
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
                 .num_rows = 0,
                 .num_labels = 0,
                 .largest_share = 0,
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
    const std::vector<ColumnLook> looks = LookAt(options.train, draft.num_rows);
    GuessColumns(looks, draft.num_rows, draft);
  }
  draft.files["mlac.yaml"] = ProjectFileText(options, draft);
  draft.files[fmt::format("tests/{}.yaml", options.name)] = TestFileText(options, draft);
  if (!options.ci.empty()) AddPipeline(options.ci, {.bases = {options.base}, .models = {options.name}}, draft);
  return draft;
}

}  // namespace mlac
