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
#include "hub/record.h"
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

constexpr size_t kLookedAt = 5000;  // rows
constexpr size_t kMostLabels = 1000;
constexpr size_t kHeadBytes = 1 << 16;
constexpr double kTestShare = 0.2;  // of train, where there is no file to test with

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
{pace}      seed: 0    # decides order and dropout: the same seed gives the same model, bit for bit
    # optimize: {{int8: true, max_drop: 0.5%}}    # a quarter of the size, and faster; refused if it loses more than half a percentage point
    tests: tests/{name}.yaml    # what it must know whatever the figures say; a model that fails one is not published
    gates:    # what must hold on the test data before it is published
{gates}      - {figure} >= production - 0.005    # no worse than production, by half a percentage point. There is none yet: it then passes and says so
)",
      fmt::arg("name", options.name), fmt::arg("task", draft.task), fmt::arg("does", lines.description),
      fmt::arg("base", QuoteYaml(options.base)), fmt::arg("train", QuoteYaml(options.train)), fmt::arg("rows", lines.rows),
      fmt::arg("test", test), fmt::arg("pace", PaceLines(options, draft)), fmt::arg("columns", lines.columns),
      fmt::arg("dedupe", lines.dedupe), fmt::arg("gates", lines.gates), fmt::arg("figure", FigureOf(options, draft.task)));
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

constexpr char kGithub[] = R"(# Plans on a pull request, applies on the main branch and posts the comparison with production.
name: models
on:
  pull_request:
  push:
    branches: [main]
defaults:
  run: {shell: bash}    # which stops at a failure on the left of a pipe, too
concurrency:
  group: models-${{ github.ref }}
jobs:
  models:
    runs-on: ubuntu-latest    # mlac must be installed there, and the store of mlac.yaml must be one that keeps between runs
    permissions: {contents: read, pull-requests: write}
    env: {GH_TOKEN: "${{ github.token }}"}
    steps:
      - uses: actions/checkout@v4
      - name: Plan
        run: mlac plan | tee plan.txt
      - name: Show the plan
        if: github.event_name == 'pull_request'
        run: gh pr comment "$NUMBER" --body-file plan.txt
        env: {NUMBER: "${{ github.event.pull_request.number }}"}
      - name: Apply
        if: github.event_name == 'push'
        run: mlac apply --markdown comparison.md
      - name: Post the comparison
        if: github.event_name == 'push' && !cancelled()
        run: |
          [ -s comparison.md ] || exit 0    # nothing was published, and nothing refused
          cat comparison.md >> "$GITHUB_STEP_SUMMARY"
          number=$(gh pr list --state merged --search "$GITHUB_SHA" --json number --jq '.[0].number // empty')
          [ -z "$number" ] || gh pr comment "$number" --body-file comparison.md
)";

constexpr char kGitlab[] =
    R"(# Plans on a merge request, applies on the main branch and keeps the comparison with production. mlac must be installed on the runner, and the
# store of mlac.yaml must be one that keeps between runs.
plan:
  rules: [{if: $CI_PIPELINE_SOURCE == "merge_request_event"}]
  script:
    - mlac plan > plan.txt
    - cat plan.txt
  artifacts: {paths: [plan.txt], expose_as: plan}    # a link in the merge request
apply:
  rules: [{if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH}]
  script:
    - mlac apply --markdown comparison.md
  artifacts: {paths: [comparison.md], when: always}
  resource_group: models    # one at a time
)";

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
  if (options.ci == "github") draft.files[".github/workflows/models.yaml"] = kGithub;
  if (options.ci == "gitlab") draft.files[".gitlab-ci.yml"] = kGitlab;
  return draft;
}

}  // namespace mlac
