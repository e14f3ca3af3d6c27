#include "project/propose_tests.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <map>

#include "base/display.h"
#include "base/error.h"
#include "base/utf8.h"
#include "project/model_tests.h"
#include "project/run_model_tests.h"
#include "project/task_models.h"
#include "project/text_changes.h"
#include "train/report_escape.h"
#include "train/report_text.h"

namespace mlac {
namespace {

constexpr size_t kProposedLabels = 20;  // that get an example
constexpr size_t kMostMixUps = 5;
constexpr size_t kLongestExample = 200;  // bytes

// A share a little below what was measured, in whole percent: a test that a model of the same quality passes again.
int Floor(double share) { return std::max(0, static_cast<int>(std::floor(100 * share + 1e-9)) - 2); }

// A number a little above what was measured.
std::string Above(double value) { return fmt::format("{:.3g}", 1.1 * value); }

bool IsQuestion(const ModelTask& task) { return task.name == "question-answering"; }

// A line of examples. more: further keys.
std::string ExampleLine(const ModelTask& task, const TextInput& input, const std::string& expect, const std::string& more = "") {
  std::string texts = fmt::format("text: {}", QuoteYaml(input.text));
  if (input.pair)
    texts = IsQuestion(task) ? fmt::format("question: {}, text: {}", QuoteYaml(input.text), QuoteYaml(*input.pair))
                             : fmt::format("{}, text_pair: {}", texts, QuoteYaml(*input.pair));
  return fmt::format("  - {{{}, expect: {}{}}}\n", texts, QuoteYaml(expect), more);
}

// Short enough to stand in a file that people read.
bool IsShort(const TextInput& input, size_t longest) {
  constexpr size_t kLongestSecond = 800;  // bytes: a context
  return !input.text.empty() && input.text.size() <= longest && (!input.pair || input.pair->size() <= kLongestSecond);
}

std::string Examples(const ModelTask& task, const std::vector<TestRow>& rows, const std::vector<Prediction>& predictions,
                     const std::vector<std::string>& labels) {
  std::string out = "# For each label the text that the model is surest of: if one of these goes wrong, something is broken.\nexamples:\n";
  size_t num_examples = 0;
  for (const std::string& label : labels) {
    std::optional<size_t> best;
    for (size_t i = 0; i < rows.size(); ++i)
      if (predictions[i].label == label && rows[i].truth.front() == label && IsShort(rows[i].input, kLongestExample) &&
          (!best || predictions[i].probability > predictions[*best].probability))
        best = i;
    if (!best || num_examples == kProposedLabels) continue;
    ++num_examples;
    out += ExampleLine(task, rows[*best].input, label);
  }
  return num_examples == 0 ? "" : out;
}

double ShareOfRight(const std::vector<TestRow>& rows, const std::vector<Prediction>& predictions, const std::vector<size_t>& which) {
  size_t num_right = 0;
  for (const size_t i : which) num_right += predictions[i].label == rows[i].truth.front();
  return static_cast<double>(num_right) / static_cast<double>(which.size());
}

// Lines for the shortest and the longest quarter of the texts. lengths: one a unit. line: of the units of one, with what says which; "" for
// none.
std::string SlicesByLength(const std::vector<size_t>& lengths,
                           const std::function<std::string(const std::string& slice, const std::vector<size_t>& units)>& line) {
  std::vector<size_t> sorted = lengths;
  std::sort(sorted.begin(), sorted.end());
  const size_t low = sorted[sorted.size() / 4], high = sorted[sorted.size() * 3 / 4];
  std::vector<size_t> short_ones, long_ones;
  for (size_t unit = 0; unit < lengths.size(); ++unit) {
    if (lengths[unit] <= low) short_ones.push_back(unit);
    if (lengths[unit] >= high) long_ones.push_back(unit);
  }
  return line(fmt::format("name: short texts, max_length: {}", low), short_ones) +
         line(fmt::format("name: long texts, min_length: {}", high), long_ones);
}

std::string LengthSlices(const std::vector<TestRow>& rows, const std::vector<Prediction>& predictions) {
  std::vector<size_t> lengths;
  for (const TestRow& row : rows) lengths.push_back(CountCodePoints(row.input.text));
  return SlicesByLength(lengths, [&](const std::string& slice, const std::vector<size_t>& units) {
    const int floor = Floor(ShareOfRight(rows, predictions, units));
    return floor > 0 ? fmt::format("  - {{{}, min: {}%}}\n", slice, floor) : "";
  });
}

std::string MixUpSlices(const std::vector<TestRow>& rows, const std::vector<Prediction>& predictions, const ModelData& data,
                        const ClassificationMetrics& metrics) {
  std::string out;
  std::vector<std::string> done;
  for (const ConfusionCell& cell : MixUps(metrics, kMostMixUps)) {
    const std::string& label = metrics.label_names[static_cast<size_t>(cell.truth)];
    if (std::find(done.begin(), done.end(), label) != done.end()) continue;
    done.push_back(label);
    std::vector<size_t> which;
    for (size_t i = 0; i < rows.size(); ++i)
      if (rows[i].truth.front() == label) which.push_back(i);
    const int floor = which.empty() ? 0 : Floor(ShareOfRight(rows, predictions, which));
    if (floor == 0) continue;  // it could not fail
    out += fmt::format("  - {{name: {}, column: {}, equals: {}, min: {}%}}  # {} of {} are taken for {}\n", QuoteYaml("label " + label),
                       QuoteYaml(data.target_column), QuoteYaml(label), floor, cell.count, which.size(),
                       Quoted(metrics.label_names[static_cast<size_t>(cell.predicted)]));
  }
  return out;
}

// within: of numbers, as it is written.
std::string Invariances(TaskModel& model, const std::vector<TestRow>& rows, const std::string& within, const std::atomic<bool>& stop) {
  std::string out;
  for (const char* change : {"typos", "case"}) {
    ThrowIfStopped(stop);
    InvarianceTest test;
    test.change = change;
    std::vector<TextInput> before, after;
    for (size_t i = 0; i < rows.size() && before.size() < test.num_rows; ++i)
      for (const std::string& text : ChangedTexts(test, rows[i].input.text, i)) {
        before.push_back(rows[i].input);
        after.push_back({text, rows[i].input.pair});
      }
    if (before.empty()) continue;
    const std::vector<Prediction> a = model.Predict(before), b = model.Predict(after);
    size_t num_same = 0;
    for (size_t i = 0; i < a.size(); ++i) num_same += SameMeaning(a[i], b[i], ParseNumber(within));
    const int floor = Floor(static_cast<double>(num_same) / static_cast<double>(a.size()));
    if (floor == 0) continue;  // it could not fail
    out += fmt::format("  - {{change: {}, rows: {}, {}min: {}%}}\n", change, test.num_rows,
                       within.empty() ? "" : fmt::format("within: {}, ", within), floor);
  }
  return out.empty() ? "" : "# Changes that must not change the answer; min is a little below what holds today.\ninvariances:\n" + out;
}

// ---- Tasks other than text-classification ----

// Rows that are answered right, the surest first, each answer once.
std::string SurestExamples(const ModelTask& task, const std::vector<TestRow>& rows, const std::vector<Prediction>& predictions) {
  constexpr size_t kMostExamples = 10;
  std::vector<size_t> right;
  for (size_t i = 0; i < rows.size(); ++i) {
    const TestRow& row = rows[i];
    if (IsShort(row.input, row.input.pair ? kLongestExample : 2 * kLongestExample) && !row.truth.empty() &&
        task.same_answer(predictions[i].label, row.truth.front()))
      right.push_back(i);
  }
  std::stable_sort(right.begin(), right.end(), [&](size_t a, size_t b) { return predictions[a].probability > predictions[b].probability; });
  std::string out;
  std::vector<std::string> seen;
  for (const size_t i : right) {
    const std::string& answer = predictions[i].label;
    if (seen.size() == kMostExamples || std::find(seen.begin(), seen.end(), answer) != seen.end()) continue;
    seen.push_back(answer);
    out += ExampleLine(task, rows[i].input, answer.empty() ? kNothing : answer);
  }
  return out.empty() ? "" : "# Answers that the model is surest of: if one of these goes wrong, something is broken.\nexamples:\n" + out;
}

// Rows whose number is met best, each number once. within: how far the model may be away, as it is written.
std::string NearestExamples(const ModelTask& task, const std::vector<TestRow>& rows, const std::vector<Prediction>& predictions,
                            const std::string& within) {
  constexpr size_t kMostExamples = 10;
  const auto error = [&](size_t i) {
    return std::fabs(ParseNumber(rows[i].truth.front()).value_or(0) - static_cast<double>(predictions[i].probability));
  };
  std::vector<size_t> right;
  for (size_t i = 0; i < rows.size(); ++i)
    if (IsShort(rows[i].input, kLongestExample) && error(i) <= ParseNumber(within).value_or(0) / 2) right.push_back(i);
  std::stable_sort(right.begin(), right.end(), [&](size_t a, size_t b) { return error(a) < error(b); });
  std::string out;
  std::vector<std::string> seen;
  for (const size_t i : right) {
    const std::string& number = rows[i].truth.front();
    if (seen.size() == kMostExamples || std::find(seen.begin(), seen.end(), number) != seen.end()) continue;
    seen.push_back(number);
    out += ExampleLine(task, rows[i].input, number, ", within: " + within);
  }
  return out.empty() ? "" : "# Numbers that the model meets best: if it misses one of these, something is broken.\nexamples:\n" + out;
}

// A query with a text that belongs to it and up to three that do not.
struct Candidates {
  std::string query, best;
  std::vector<std::string> others;
};

// Of rows of queries: a document that answers and those of the same query that do not; of pairs of texts: the second texts of the rows
// behind.
std::vector<Candidates> CandidatesOf(const ModelTask& task, const std::vector<TestRow>& rows) {
  constexpr size_t kOthers = 3;
  std::map<std::string, Candidates> by_query;
  for (size_t i = 0; i < rows.size(); ++i) {
    const TestRow& row = rows[i];
    if (!row.input.pair || row.truth.empty() || row.input.text.size() > kLongestExample) continue;
    Candidates& of = by_query[row.input.text];
    of.query = row.input.text;
    if (task.recorded_as == "text-classification") {  // a cross-encoder: the row says whether the document answers
      if (row.truth.front() == kAnswers && of.best.empty()) of.best = *row.input.pair;
      if (row.truth.front() == kAnswersNot && of.others.size() < kOthers) of.others.push_back(*row.input.pair);
      continue;
    }
    if (!of.best.empty()) continue;
    of.best = *row.input.pair;
    for (size_t k = 1; k < rows.size() && of.others.size() < kOthers; ++k) {
      const std::string& other = *rows[(i + k) % rows.size()].input.pair;
      if (std::find(row.truth.begin(), row.truth.end(), other) == row.truth.end() && other != row.input.text) of.others.push_back(other);
    }
  }
  std::vector<Candidates> candidates;
  for (auto& [query, each] : by_query)
    if (!each.best.empty() && !each.others.empty()) candidates.push_back(std::move(each));
  return candidates;
}

std::string Rankings(const ModelTask& task, TaskModel& model, const std::vector<TestRow>& rows, const std::atomic<bool>& stop) {
  constexpr size_t kMostRankings = 10, kMostTried = 200;
  struct Ranking {
    float margin;
    const Candidates* candidates;
  };
  const std::vector<Candidates> all = CandidatesOf(task, rows);
  std::vector<Ranking> right;
  for (size_t i = 0; i < std::min(all.size(), kMostTried); ++i) {
    ThrowIfStopped(stop);
    std::vector<std::string> texts = {all[i].best};
    texts.insert(texts.end(), all[i].others.begin(), all[i].others.end());
    const std::vector<float> scores = model.Scores(all[i].query, texts);
    const float margin = scores.front() - *std::max_element(scores.begin() + 1, scores.end());
    if (margin > 0) right.push_back({margin, &all[i]});
  }
  std::stable_sort(right.begin(), right.end(), [](const Ranking& a, const Ranking& b) { return a.margin > b.margin; });
  std::string out;
  for (size_t i = 0; i < std::min(right.size(), kMostRankings); ++i) {
    std::vector<std::string> others;
    for (const std::string& other : right[i].candidates->others) others.push_back(QuoteYaml(other));
    out += fmt::format("  - {{query: {}, best: {}, others: [{}]}}\n", QuoteYaml(right[i].candidates->query),
                       QuoteYaml(right[i].candidates->best), fmt::join(others, ", "));
  }
  return out.empty() ? "" : "# Queries whose text comes before others by the widest margin.\nrankings:\n" + out;
}

constexpr char kSlices[] = "# Parts of the test data, and what must hold of them.\nslices:\n";

// A line for a part of the test data; "" where nothing can be asked of it.
std::string SliceLine(const std::string& slice, const std::string& metric, double value) {
  if (LessIsBetter(metric)) return fmt::format("  - {{{}, metric: {}, max: {}}}\n", slice, metric, Above(value));
  return Floor(value) > 0 ? fmt::format("  - {{{}, metric: {}, min: {}%}}\n", slice, metric, Floor(value)) : "";
}

// The first figure, or the mean error, of short and of long texts.
std::string FigureSlices(const TaskEvaluation& evaluation, const std::vector<TestRow>& rows) {
  if (evaluation.figures.by_row.empty()) return "";
  const RowFigure* mean_error = FindByRow(evaluation.figures, "mae");
  const RowFigure& figure = mean_error != nullptr ? *mean_error : evaluation.figures.by_row.front();
  const RowFigureMeter measure(figure);
  std::vector<size_t> lengths;  // of each unit
  for (size_t unit = 0; unit < figure.num_units; ++unit) lengths.push_back(CountCodePoints(rows.at(figure.RowOf(unit)).input.text));
  return SlicesByLength(
      lengths, [&](const std::string& slice, const std::vector<size_t>& units) { return SliceLine(slice, figure.name, measure(units)); });
}

// The first figure of short and of long texts, measured on those alone.
std::string TextSlices(const ModelTask& task, const std::string& folder, const ModelData& data, size_t num_threads) {
  const std::string metric(task.figures.metrics.front());
  std::vector<size_t> lengths;
  for (const PreparedRow& row : task.read_rows(data.test, data, {}).rows) lengths.push_back(CountCodePoints(row.text));
  return SlicesByLength(lengths, [&](const std::string& slice, const std::vector<size_t>& rows) {
    return SliceLine(slice, metric, ValueOf(task.measure_rows(folder, data, rows, num_threads), metric).value());
  });
}

// The rows that have one of the labels with the lowest F1.
std::string LabelSlices(const TaskEvaluation& evaluation, const std::vector<TestRow>& rows, const ModelData& data) {
  const Figures& figures = evaluation.figures;
  std::vector<size_t> weakest;
  for (size_t label = 0; label < figures.class_names.size(); ++label)
    if (figures.per_class[label].support > 0) weakest.push_back(label);
  std::stable_sort(weakest.begin(), weakest.end(), [&](size_t a, size_t b) { return figures.per_class[a].f1 < figures.per_class[b].f1; });
  weakest.resize(std::min(weakest.size(), kMostMixUps));
  const RowFigure* f1 = FindByRow(figures, "f1");
  std::string out;
  for (const size_t label : weakest) {
    const std::string& name = figures.class_names[label];
    std::vector<size_t> with_label;
    for (size_t row = 0; row < rows.size(); ++row) {
      const std::string all = fmt::format("; {}; ", rows[row].truth.front());
      if (all.find(fmt::format("; {}; ", name)) != std::string::npos) with_label.push_back(row);
    }
    if (f1 == nullptr || with_label.empty()) continue;
    out += SliceLine(
        fmt::format("name: {}, column: {}, equals: {}", QuoteYaml("label " + name), QuoteYaml(data.target_column), QuoteYaml(name)), "f1",
        RowFigureMeter(*f1)(with_label));
  }
  return out;
}

bool Has(const ModelTask& task, std::string_view kind) {
  return std::find(task.test_kinds.begin(), task.test_kinds.end(), kind) != task.test_kinds.end();
}

}  // namespace

std::string ProposeTestsFor(const ModelTask& task, const std::string& folder, const ModelData& data, const std::string& name,
                            size_t num_threads, const std::atomic<bool>& stop) {
  const std::unique_ptr<TaskModel> model = task.open(folder, data, num_threads);
  const std::vector<TestRow> rows = task.rows(data, SIZE_MAX);
  std::string out = fmt::format(
      "# Tests of the model {}, proposed by 'mlac test {} --generate' from {} test texts. Keep what matters, add what it must know.\n",
      name, name, rows.size());
  std::vector<TextInput> inputs;
  for (const TestRow& row : rows) inputs.push_back(row.input);
  const bool answers = Has(task, "examples");
  const std::vector<Prediction> predictions = answers ? model->Predict(inputs) : std::vector<Prediction>();
  const TaskEvaluation evaluation = task.evaluate(folder, data.test, data, num_threads, stop);
  if (task.labels_texts) {
    out += Examples(task, rows, predictions, model->labels());
    out += Invariances(*model, rows, "", stop);
    const std::string slices = LengthSlices(rows, predictions) + MixUpSlices(rows, predictions, data, evaluation.metrics);
    return slices.empty() ? out : out + kSlices + slices;
  }
  const std::string within = task.gives_numbers() ? Above(ValueOf(evaluation.figures, "mae").value_or(0)) : "";
  if (answers) out += task.gives_numbers() ? NearestExamples(task, rows, predictions, within) : SurestExamples(task, rows, predictions);
  if (Has(task, "rankings")) out += Rankings(task, *model, rows, stop);
  out += Invariances(*model, rows, within, stop);
  std::string slices = task.measure_rows != nullptr ? TextSlices(task, folder, data, num_threads) : FigureSlices(evaluation, rows);
  if (task.several_labels()) slices += LabelSlices(evaluation, rows, data);
  return slices.empty() ? out : out + kSlices + slices;
}

}  // namespace mlac
