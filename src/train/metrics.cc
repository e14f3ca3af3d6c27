#include "train/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>

#include "base/error.h"
#include "base/json.h"

namespace mlac {
namespace {

constexpr int kFormatVersion = 1;
constexpr double kNormalQuantile = 1.959963984540054;  // of 0.975

// 2 precision recall / (precision + recall), in whole numbers.
double F1(uint64_t num_correct, uint64_t support, uint64_t num_predicted) { return Ratio(2 * num_correct, support + num_predicted); }

// What F1 is computed from, of each label.
struct Counts {
  std::vector<uint64_t> correct, support, predicted;
  explicit Counts(size_t num_labels) : correct(num_labels), support(num_labels), predicted(num_labels) {}
  void Clear() {
    for (std::vector<uint64_t>* counts : {&correct, &support, &predicted}) std::fill(counts->begin(), counts->end(), 0);
  }
  void Add(int32_t truth, int32_t guess) {
    ++support[static_cast<size_t>(truth)];
    ++predicted[static_cast<size_t>(guess)];
    if (truth == guess) ++correct[static_cast<size_t>(truth)];
  }
  double Accuracy() const {
    uint64_t num_correct = 0, num_examples = 0;
    for (size_t label = 0; label < correct.size(); ++label) num_correct += correct[label], num_examples += support[label];
    return Ratio(num_correct, num_examples);
  }
  double WeightedF1() const {
    uint64_t num_examples = 0;
    double sum = 0;
    for (size_t label = 0; label < correct.size(); ++label) {
      sum += F1Of(label) * static_cast<double>(support[label]);
      num_examples += support[label];
    }
    return sum / static_cast<double>(num_examples);
  }
  bool Occurs(size_t label) const { return support[label] + predicted[label] > 0; }
  double F1Of(size_t label) const { return F1(correct[label], support[label], predicted[label]); }
  double MacroF1() const {
    double sum = 0;
    size_t num_occurring = 0;
    for (size_t label = 0; label < correct.size(); ++label) {
      if (!Occurs(label)) continue;
      sum += F1Of(label);
      ++num_occurring;
    }
    return sum / static_cast<double>(num_occurring);
  }
};

void Bootstrap(std::span<const int32_t> truth, std::span<const int32_t> predicted, const std::function<void()>& check_stop,
               ClassificationMetrics& metrics) {
  const size_t num_labels = metrics.per_class.size();
  std::vector<double> macro_f1;
  std::vector<std::vector<double>> f1(num_labels);
  Counts counts(num_labels);
  const auto add = [&](std::span<const size_t> examples) {
    counts.Clear();
    for (const size_t i : examples) counts.Add(truth[i], predicted[i]);
    macro_f1.push_back(counts.MacroF1());
    for (size_t label = 0; label < num_labels; ++label) {
      if (counts.Occurs(label)) f1[label].push_back(counts.F1Of(label));
    }
  };
  ForEachResample(truth.size(), add, check_stop);
  metrics.macro_f1_interval = Percentiles(macro_f1);
  for (size_t label = 0; label < num_labels; ++label) metrics.per_class[label].f1_interval = Percentiles(f1[label]);
}

std::vector<ConfusionCell> CountCells(std::span<const int32_t> truth, std::span<const int32_t> predicted) {
  std::vector<std::pair<int32_t, int32_t>> pairs(truth.size());
  for (size_t i = 0; i < truth.size(); ++i) pairs[i] = {truth[i], predicted[i]};
  std::sort(pairs.begin(), pairs.end());
  std::vector<ConfusionCell> cells;
  for (const auto& [label, guess] : pairs) {
    if (cells.empty() || cells.back().truth != label || cells.back().predicted != guess) cells.push_back({label, guess, 0});
    ++cells.back().count;
  }
  return cells;
}

void CheckLabels(std::span<const int32_t> truth, std::span<const int32_t> predicted, size_t num_labels) {
  if (truth.empty()) throw Error(ErrorCode::kInvalidArgument, "metrics: expected examples, found none");
  if (predicted.size() != truth.size())
    throw Error(ErrorCode::kInvalidArgument, fmt::format("metrics: expected {} predictions, found {}", truth.size(), predicted.size()));
  for (size_t i = 0; i < truth.size(); ++i)
    for (const int32_t label : {truth[i], predicted[i]})
      if (label < 0 || static_cast<size_t>(label) >= num_labels)
        throw Error(ErrorCode::kInvalidArgument,
                    fmt::format("metrics: example {}: expected a label from 0 to below {}, found {}", i, num_labels, label));
}

}  // namespace

ClassificationMetrics ComputeMetrics(std::span<const int32_t> truth, std::span<const int32_t> predicted, std::span<const float> losses,
                                     std::vector<std::string> label_names, const MetricsOptions& options) {
  CheckLabels(truth, predicted, label_names.size());
  if (!losses.empty() && losses.size() != truth.size())
    throw Error(ErrorCode::kInvalidArgument, fmt::format("metrics: expected {} losses or none, found {}", truth.size(), losses.size()));
  const size_t num_labels = label_names.size();
  Counts counts(num_labels);
  for (size_t i = 0; i < truth.size(); ++i) counts.Add(truth[i], predicted[i]);
  ClassificationMetrics metrics;
  metrics.label_names = std::move(label_names);
  metrics.num_examples = truth.size();
  metrics.macro_f1 = counts.MacroF1();
  uint64_t num_correct = 0;
  double weighted = 0;
  for (size_t label = 0; label < num_labels; ++label) {
    const uint64_t correct = counts.correct[label], support = counts.support[label], num_predicted = counts.predicted[label];
    num_correct += correct;
    weighted += counts.F1Of(label) * static_cast<double>(support);
    metrics.per_class.push_back({.precision = Ratio(correct, num_predicted),
                                 .recall = Ratio(correct, support),
                                 .f1 = counts.F1Of(label),
                                 .support = support,
                                 .num_predicted = num_predicted,
                                 .num_correct = correct,
                                 .precision_interval = WilsonInterval(correct, num_predicted),
                                 .recall_interval = WilsonInterval(correct, support),
                                 .f1_interval = {}});
  }
  metrics.accuracy = Ratio(num_correct, truth.size());
  metrics.accuracy_interval = WilsonInterval(num_correct, truth.size());
  metrics.weighted_f1 = weighted / static_cast<double>(truth.size());
  if (!losses.empty()) {
    double sum = 0;
    for (const float loss : losses) sum += static_cast<double>(loss);
    metrics.loss = sum / static_cast<double>(losses.size());
  }
  metrics.confusion = CountCells(truth, predicted);
  if (options.intervals) Bootstrap(truth, predicted, options.check_stop, metrics);
  return metrics;
}

PairedDifference ComparePredictions(std::span<const int32_t> truth, std::span<const int32_t> before, std::span<const int32_t> after, size_t num_labels,
                                    const std::string& metric) {
  double (Counts::*figure)() const = metric == "accuracy"      ? &Counts::Accuracy
                                     : metric == "macro_f1"    ? &Counts::MacroF1
                                     : metric == "weighted_f1" ? &Counts::WeightedF1
                                                               : nullptr;
  if (figure == nullptr)
    throw Error(ErrorCode::kInvalidArgument, fmt::format("metric '{}' is not known; known are accuracy, macro_f1, weighted_f1", metric));
  CheckLabels(truth, before, num_labels);
  CheckLabels(truth, after, num_labels);
  Counts counts_before(num_labels), counts_after(num_labels);
  for (size_t i = 0; i < truth.size(); ++i) counts_before.Add(truth[i], before[i]), counts_after.Add(truth[i], after[i]);
  PairedDifference result = {(counts_before.*figure)(), (counts_after.*figure)(), {}};
  std::vector<double> differences;
  ForEachResample(truth.size(), [&](std::span<const size_t> examples) {
    counts_before.Clear();
    counts_after.Clear();
    for (const size_t i : examples) {
      counts_before.Add(truth[i], before[i]);
      counts_after.Add(truth[i], after[i]);
    }
    differences.push_back((counts_after.*figure)() - (counts_before.*figure)());
  });
  result.interval = Percentiles(differences);
  return result;
}

Interval WilsonInterval(uint64_t num_successes, uint64_t num_trials) {
  if (num_trials == 0) return {};
  const double n = static_cast<double>(num_trials), p = static_cast<double>(num_successes) / n, z = kNormalQuantile;
  const double scale = 1 + z * z / n, centre = (p + z * z / (2 * n)) / scale;
  const double half = z * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / scale;
  // At the ends the bounds are 0 and 1; rounding must not say otherwise.
  return {num_successes == 0 ? 0.0 : std::max(0.0, centre - half), num_successes == num_trials ? 1.0 : std::min(1.0, centre + half)};
}

std::string JsonNumber(double value) {
  if (!std::isfinite(value)) return "null";
  char buffer[32];
  std::string text(buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

LargestClass FindLargestClass(const ClassificationMetrics& metrics) {
  size_t largest = 0;
  for (size_t label = 1; label < metrics.per_class.size(); ++label) {
    if (metrics.per_class[label].support > metrics.per_class[largest].support) largest = label;
  }
  return {largest, Ratio(metrics.per_class[largest].support, metrics.num_examples)};
}

std::string JsonInterval(const Interval& interval) { return fmt::format("[{}, {}]", JsonNumber(interval.low), JsonNumber(interval.high)); }

void AppendPerClassJson(std::string& out, const std::string& class_name, const ClassMetrics& metrics, bool is_first) {
  out += is_first ? "\n    " : ",\n    ";
  AppendJsonString(out, class_name);
  fmt::format_to(std::back_inserter(out), ": {{\"precision\": {}, \"recall\": {}, \"f1\": {}, \"support\": {}, ", JsonNumber(metrics.precision),
                 JsonNumber(metrics.recall), JsonNumber(metrics.f1), metrics.support);
  fmt::format_to(std::back_inserter(out), "\"precision_interval\": {}, \"recall_interval\": {}, \"f1_interval\": {}}}",
                 JsonInterval(metrics.precision_interval), JsonInterval(metrics.recall_interval), JsonInterval(metrics.f1_interval));
}

std::string MetricsJson(const ClassificationMetrics& metrics) {
  std::string out;
  const auto write = std::back_inserter(out);
  fmt::format_to(write, "{{\n  \"format_version\": {},\n  \"accuracy\": {},\n  \"macro_f1\": {},\n  \"weighted_f1\": {},\n", kFormatVersion,
                 JsonNumber(metrics.accuracy), JsonNumber(metrics.macro_f1), JsonNumber(metrics.weighted_f1));
  fmt::format_to(write, "  \"loss\": {},\n  \"num_examples\": {},\n", metrics.loss ? JsonNumber(*metrics.loss) : "null", metrics.num_examples);
  fmt::format_to(write, "  \"accuracy_interval\": {},\n  \"macro_f1_interval\": {},\n  \"per_class\": {{", JsonInterval(metrics.accuracy_interval),
                 JsonInterval(metrics.macro_f1_interval));
  for (size_t label = 0; label < metrics.per_class.size(); ++label)
    AppendPerClassJson(out, metrics.label_names[label], metrics.per_class[label], label == 0);
  out += "\n  },\n  \"confusion\": [";
  for (size_t i = 0; i < metrics.confusion.size(); ++i) {
    const ConfusionCell& cell = metrics.confusion[i];
    out += i == 0 ? "\n    {\"truth\": " : ",\n    {\"truth\": ";
    AppendJsonString(out, metrics.label_names[static_cast<size_t>(cell.truth)]);
    out += ", \"predicted\": ";
    AppendJsonString(out, metrics.label_names[static_cast<size_t>(cell.predicted)]);
    fmt::format_to(write, ", \"count\": {}}}", cell.count);
  }
  out += "\n  ]\n}\n";
  return out;
}

}  // namespace mlac
