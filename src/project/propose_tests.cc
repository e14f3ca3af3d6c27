#include "project/propose_tests.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "base/display.h"
#include "base/error.h"
#include "data/texts.h"
#include "project/model_tests.h"
#include "project/text_changes.h"
#include "train/report_escape.h"
#include "train/report_text.h"

namespace mlac {
namespace {

constexpr size_t kMostLabels = 20;  // that get an example
constexpr size_t kMostMixUps = 5;
constexpr size_t kLongestExample = 200;  // bytes

// A share a little below what was measured, in whole percent: a test that a model of the same quality passes again.
int Floor(double share) { return std::max(0, static_cast<int>(std::floor(100 * share + 1e-9)) - 2); }

std::string Examples(const LabelledTexts& rows, const std::vector<Prediction>& predictions, const std::vector<std::string>& labels) {
  std::string out = "# For each label the text that the model is surest of: if one of these goes wrong, something is broken.\nexamples:\n";
  size_t num_examples = 0;
  for (const std::string& label : labels) {
    std::optional<size_t> best;
    for (size_t i = 0; i < rows.size(); ++i)
      if (predictions[i].label == label && rows.label_names[static_cast<size_t>(rows.labels[i])] == label &&
          rows.texts[i].size() <= kLongestExample && !rows.texts[i].empty() &&
          (!best || predictions[i].probability > predictions[*best].probability))
        best = i;
    if (!best || num_examples == kMostLabels) continue;
    ++num_examples;
    out += fmt::format("  - {{text: {}, expect: {}}}\n", QuoteYaml(rows.texts[*best]), QuoteYaml(label));
  }
  return num_examples == 0 ? "" : out;
}

double ShareOfRight(const LabelledTexts& rows, const std::vector<Prediction>& predictions, const std::vector<size_t>& which) {
  size_t num_right = 0;
  for (const size_t i : which) num_right += predictions[i].label == rows.label_names[static_cast<size_t>(rows.labels[i])];
  return static_cast<double>(num_right) / static_cast<double>(which.size());
}

size_t LengthOf(const std::string& text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string LengthSlices(const LabelledTexts& rows, const std::vector<Prediction>& predictions) {
  std::vector<size_t> lengths;
  for (const std::string& text : rows.texts) lengths.push_back(LengthOf(text));
  std::vector<size_t> sorted = lengths;
  std::sort(sorted.begin(), sorted.end());
  const size_t low = sorted[sorted.size() / 4], high = sorted[sorted.size() * 3 / 4];
  std::string out;
  const auto add = [&](const char* name, const char* key, size_t bound, auto in) {
    std::vector<size_t> which;
    for (size_t i = 0; i < rows.size(); ++i)
      if (in(lengths[i])) which.push_back(i);
    if (!which.empty())
      out += fmt::format("  - {{name: {}, {}: {}, min: {}%}}\n", name, key, bound, Floor(ShareOfRight(rows, predictions, which)));
  };
  add("short texts", "max_length", low, [&](size_t length) { return length <= low; });
  add("long texts", "min_length", high, [&](size_t length) { return length >= high; });
  return out;
}

std::string MixUpSlices(const LabelledTexts& rows, const std::vector<Prediction>& predictions, const ModelData& data,
                        const ClassificationMetrics& metrics) {
  std::string out;
  std::vector<std::string> done;
  for (const ConfusionCell& cell : MixUps(metrics, kMostMixUps)) {
    const std::string& label = metrics.label_names[static_cast<size_t>(cell.truth)];
    if (std::find(done.begin(), done.end(), label) != done.end()) continue;
    done.push_back(label);
    std::vector<size_t> which;
    for (size_t i = 0; i < rows.size(); ++i)
      if (rows.label_names[static_cast<size_t>(rows.labels[i])] == label) which.push_back(i);
    if (which.empty()) continue;
    out += fmt::format("  - {{name: {}, column: {}, equals: {}, min: {}%}}  # {} of {} are taken for {}\n", QuoteYaml("label " + label),
                       QuoteYaml(data.target_column), QuoteYaml(label), Floor(ShareOfRight(rows, predictions, which)), cell.count,
                       which.size(), Quoted(metrics.label_names[static_cast<size_t>(cell.predicted)]));
  }
  return out;
}

std::string Invariances(TaskModel& model, const LabelledTexts& rows, const std::atomic<bool>& stop) {
  std::string out = "# Changes that must not change the label; min is a little below what holds today.\ninvariances:\n";
  for (const char* change : {"typos", "case"}) {
    ThrowIfStopped(stop);
    InvarianceTest test;
    test.change = change;
    std::vector<std::string> before, after;
    for (size_t i = 0; i < rows.size() && before.size() < test.num_rows; ++i)
      for (const std::string& text : ChangedTexts(test, rows.texts[i], i)) {
        before.push_back(rows.texts[i]);
        after.push_back(text);
      }
    if (before.empty()) continue;
    const std::vector<Prediction> a = model.Predict(before), b = model.Predict(after);
    size_t num_same = 0;
    for (size_t i = 0; i < a.size(); ++i) num_same += a[i].label == b[i].label;
    out += fmt::format("  - {{change: {}, rows: {}, min: {}%}}\n", change, test.num_rows,
                       Floor(static_cast<double>(num_same) / static_cast<double>(a.size())));
  }
  return out;
}

}  // namespace

std::string ProposeTestsFor(const ModelTask& task, const std::string& folder, const ModelData& data, const std::string& name,
                            size_t num_threads, const std::atomic<bool>& stop) {
  if (!task.labels_texts)
    throw Error(ErrorCode::kUnsupported, fmt::format("tests of a model for {} are not proposed", task.name),
                fmt::format("write {}: docs/mlac-yaml.md has their keys", fmt::join(task.test_kinds, ", ")));
  const TaskEvaluation evaluation = task.evaluate(folder, data.test, data, num_threads, stop);
  const std::unique_ptr<TaskModel> model = task.open(folder, num_threads);
  const LabelledTexts rows = ReadLabelledTexts(data.test, {.text_column = data.text_column, .label_column = data.target_column});
  const std::vector<Prediction> predictions = model->Predict(rows.texts);
  std::string out = fmt::format(
      "# Tests of the model {}, proposed by 'mlac test {} --generate' from {} test texts. Keep what matters, add what it must know.\n",
      name, name, rows.size());
  out += Examples(rows, predictions, model->labels());
  out += Invariances(*model, rows, stop);
  out += "# Parts of the test data, and what must be right of them.\nslices:\n";
  out += LengthSlices(rows, predictions);
  out += MixUpSlices(rows, predictions, data, evaluation.metrics);
  return out;
}

}  // namespace mlac
