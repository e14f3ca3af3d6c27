#pragma once
// How well a classifier with one label a text does, and how sure that is.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "train/bootstrap.h"

namespace mlac {

struct ClassMetrics {
  double precision = 0, recall = 0, f1 = 0;                  // 0 where the denominator is 0
  uint64_t support = 0, num_predicted = 0, num_correct = 0;  // examples that are of the label, that were given it, both
  Interval precision_interval, recall_interval, f1_interval;
};

// One cell of the confusion matrix that is not 0.
struct ConfusionCell {
  int32_t truth = 0, predicted = 0;
  uint64_t count = 0;
};

struct ClassificationMetrics {
  double accuracy = 0;
  double macro_f1 = 0;         // mean over the labels that occur in truth or prediction
  double weighted_f1 = 0;      // mean weighted by support
  std::optional<double> loss;  // mean of the examples' losses
  uint64_t num_examples = 0;
  Interval accuracy_interval, macro_f1_interval;
  std::vector<std::string> label_names;
  std::vector<ClassMetrics> per_class;   // one a label
  std::vector<ConfusionCell> confusion;  // by truth, then predicted
};

struct MetricsOptions {
  // Off where only the figures are needed: the bootstrap costs 1,000 draws an example.
  bool intervals = true;
  // Called now and then by what takes long, from the calling thread: what it throws ends the measuring. nullptr: nothing is called.
  std::function<void()> check_stop = nullptr;
};

// truth, predicted: indices into label_names, one an example. losses: one an example, or none. The figures are those of scikit-learn's
// accuracy_score and f1_score; intervals are Wilson's for accuracy, precision and recall, and percentiles of 1,000 bootstrap samples
// for F1 (of the samples where the label occurs). Arithmetic and square roots in a fixed order: the same bits on every machine.
// Throws kInvalidArgument for no examples, spans of different lengths and labels without a name.
ClassificationMetrics ComputeMetrics(std::span<const int32_t> truth, std::span<const int32_t> predicted, std::span<const float> losses,
                                     std::vector<std::string> label_names, const MetricsOptions& options = {});

// A figure of two sets of predictions for the same examples. interval: of after - before.
struct PairedDifference {
  double before = 0, after = 0;
  Interval interval;
};
// metric: "accuracy", "macro_f1" or "weighted_f1". The interval is of 1,000 bootstrap samples, each drawn once for both, so that what is hard
// in a sample is hard for both. Throws as ComputeMetrics, and kInvalidArgument for another metric.
PairedDifference ComparePredictions(std::span<const int32_t> truth, std::span<const int32_t> before, std::span<const int32_t> after, size_t num_labels,
                                    const std::string& metric);

// Wilson's score interval at 95 %: Wilson 1927, https://doi.org/10.1080/01621459.1927.10502953.
Interval WilsonInterval(uint64_t num_successes, uint64_t num_trials);

// A share, or a mean: 0 where the whole is 0.
inline double Ratio(double part, double whole) { return whole > 0 ? part / whole : 0.0; }

// The shortest decimal that reads back as value, always with a point or an exponent; "null" for NaN and infinities.
std::string JsonNumber(double value);

// As a list: "[0.25, 0.75]".
std::string JsonInterval(const Interval& interval);

// A member of the object per_class of metrics.json, on a line of its own: precision, recall, f1, support and the intervals of the first three.
void AppendPerClassJson(std::string& out, const std::string& class_name, const ClassMetrics& metrics, bool is_first);

// The label with most examples, the first of equals: the share that always answering it would get right.
struct LargestClass {
  size_t label = 0;
  double share = 0;
};
LargestClass FindLargestClass(const ClassificationMetrics& metrics);

// metrics.json, and what `mlac eval --json` prints: format_version, accuracy, macro_f1, weighted_f1, loss (null if not known),
// num_examples, accuracy_interval, macro_f1_interval as [low, high], per_class by label with precision, recall, f1, support and
// their intervals, confusion as a list of {truth, predicted, count}. Numbers are the shortest that read back as the same double.
std::string MetricsJson(const ClassificationMetrics& metrics);

}  // namespace mlac
