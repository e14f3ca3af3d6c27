#include "train/set_metrics.h"

#include <algorithm>
#include <functional>

namespace mlac {
namespace {

struct Totals {
  std::vector<uint64_t> correct, support, predicted;
  uint64_t num_exact = 0, num_examples = 0;

  explicit Totals(size_t num_classes) : correct(num_classes), support(num_classes), predicted(num_classes) {}

  void Add(std::span<const SetCount> counts) {  // of one example
    bool exact = true;
    for (const SetCount& count : counts) {
      correct[count.label] += count.correct;
      support[count.label] += count.support;
      predicted[count.label] += count.predicted;
      exact = exact && count.correct == count.support && count.correct == count.predicted;
    }
    num_exact += exact;
    ++num_examples;
  }

  static uint64_t Sum(const std::vector<uint64_t>& values) {
    uint64_t sum = 0;
    for (const uint64_t value : values) sum += value;
    return sum;
  }
  double F1Of(size_t label) const { return Ratio(2 * correct[label], support[label] + predicted[label]); }
  double F1() const { return Ratio(2 * Sum(correct), Sum(support) + Sum(predicted)); }
  double Precision() const { return Ratio(Sum(correct), Sum(predicted)); }
  double Recall() const { return Ratio(Sum(correct), Sum(support)); }
  double ExactMatch() const { return Ratio(num_exact, num_examples); }
  double MacroF1() const {
    double sum = 0;
    size_t count = 0;
    for (size_t label = 0; label < correct.size(); ++label) {
      if (support[label] + predicted[label] == 0) continue;
      sum += F1Of(label);
      ++count;
    }
    return count == 0 ? 0 : sum / static_cast<double>(count);
  }
};

// The same figures as functions of examples; counts: rising by example.
std::vector<RowFigure> FiguresByRow(size_t num_examples, std::span<const SetCount> counts) {
  using Form = RowFigure::Form;
  const auto make = [&](const char* name) {
    return RowFigure{.name = name,
                     .form = Form::kRatio,
                     .num_units = num_examples,
                     .a = std::vector<double>(num_examples),
                     .b = std::vector<double>(num_examples)};
  };
  RowFigure f1 = make("f1"), precision = make("precision"), recall = make("recall"), exact = make("exact_match");
  RowFigure macro = {.name = "macro_f1", .form = Form::kMeanOfRatios, .num_units = num_examples, .a = {}, .b = {}};
  std::fill(exact.a.begin(), exact.a.end(), 1.0);
  std::fill(exact.b.begin(), exact.b.end(), 1.0);
  for (const SetCount& count : counts) {
    const auto correct = static_cast<double>(count.correct), support = static_cast<double>(count.support),
               predicted = static_cast<double>(count.predicted);
    f1.a[count.example] += 2 * correct;
    f1.b[count.example] += support + predicted;
    precision.a[count.example] += correct;
    precision.b[count.example] += predicted;
    recall.a[count.example] += correct;
    recall.b[count.example] += support;
    if (count.correct != count.support || count.correct != count.predicted) exact.a[count.example] = 0;
    macro.a.push_back(2 * correct);
    macro.b.push_back(support + predicted);
    macro.units.push_back(static_cast<uint32_t>(count.example));
    macro.classes.push_back(static_cast<uint32_t>(count.label));
  }
  return {std::move(f1), std::move(precision), std::move(recall), std::move(macro), std::move(exact)};
}

}  // namespace

Figures ComputeSetMetrics(size_t num_examples, std::span<const SetCount> counts, std::vector<std::string> class_names, const MetricsOptions& options) {
  std::vector<size_t> begins(num_examples + 1);  // of each example in counts
  for (const SetCount& count : counts) ++begins[count.example + 1];
  for (size_t i = 0; i < num_examples; ++i) begins[i + 1] += begins[i];
  const auto of_example = [&](size_t i) { return counts.subspan(begins[i], begins[i + 1] - begins[i]); };
  Totals totals(class_names.size());
  for (size_t i = 0; i < num_examples; ++i) totals.Add(of_example(i));

  const std::pair<Figure, double (Totals::*)() const> kFigures[] = {{{"f1", "F1"}, &Totals::F1},
                                                                    {{"precision", "precision"}, &Totals::Precision},
                                                                    {{"recall", "recall"}, &Totals::Recall},
                                                                    {{"macro_f1", "macro F1"}, &Totals::MacroF1},
                                                                    {{"exact_match", "exact match"}, &Totals::ExactMatch}};
  Figures result = {.num_examples = num_examples, .figures = {}};
  result.class_names = std::move(class_names);
  for (const auto& [figure, compute] : kFigures) {
    result.figures.push_back(figure);
    result.figures.back().value = (totals.*compute)();
  }
  for (size_t label = 0; label < totals.correct.size(); ++label) {
    const uint64_t correct = totals.correct[label], support = totals.support[label], predicted = totals.predicted[label];
    result.per_class.push_back({.precision = Ratio(correct, predicted), .recall = Ratio(correct, support), .f1 = totals.F1Of(label), .support = support,
                                .num_predicted = predicted, .num_correct = correct, .precision_interval = WilsonInterval(correct, predicted),
                                .recall_interval = WilsonInterval(correct, support), .f1_interval = {}});
  }
  if (!options.intervals || num_examples == 0) return result;
  result.by_row = FiguresByRow(num_examples, counts);
  std::vector<std::vector<double>> values(std::size(kFigures)), f1(totals.correct.size());
  const auto add = [&](std::span<const size_t> examples) {
    Totals sample(totals.correct.size());
    for (const size_t i : examples) sample.Add(of_example(i));
    for (size_t k = 0; k < values.size(); ++k) values[k].push_back((sample.*kFigures[k].second)());
    for (size_t label = 0; label < f1.size(); ++label)
      if (sample.support[label] + sample.predicted[label] > 0) f1[label].push_back(sample.F1Of(label));
  };
  ForEachResample(num_examples, add, options.check_stop);
  for (size_t k = 0; k < values.size(); ++k) result.figures[k].interval = Percentiles(values[k]);
  for (size_t label = 0; label < f1.size(); ++label) result.per_class[label].f1_interval = Percentiles(f1[label]);
  return result;
}

std::vector<SetCount> CountLabels(std::span<const float> truth, std::span<const float> logits, size_t num_labels) {
  std::vector<SetCount> counts;
  for (size_t i = 0; i < truth.size(); ++i) {
    const bool there = truth[i] > 0.5f, found = logits[i] > 0;
    if (there || found) counts.push_back({i / num_labels, i % num_labels, there && found, there, found});
  }
  return counts;
}

}  // namespace mlac
