#include "train/text_targets.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

#include "base/display.h"
#include "base/error.h"
#include "base/nearest_name.h"
#include "train/regression_metrics.h"
#include "train/set_metrics.h"

namespace mlac {
namespace {

float ReadNumber(const LabelledTexts& texts, size_t row) {
  if (const std::optional<float> value = ParseNumberCell(texts.targets[row])) return *value;
  const std::string_view cell = WithoutSpaces(texts.targets[row]);
  throw Error(ErrorCode::kInvalidInput, fmt::format("{}: expected a number, found '{}'", texts.Place(row), Printable(texts.targets[row], 40)),
              cell.empty() ? "give the row a number, or leave such rows out with --skip-unlabelled" : DecimalCommaHint(cell));
}

}  // namespace

void CheckMaySkipUnlabelled(bool skip, ProblemType problem_type) {
  if (skip && problem_type == ProblemType::kMultiLabel)
    throw Error(ErrorCode::kInvalidArgument, "--skip-unlabelled does nothing for texts with several labels", "an empty cell there means: none of the labels");
}

Figures ToFigures(const ClassificationMetrics& metrics) {
  Figures figures = {.num_examples = metrics.num_examples,
                     .figures = {{"accuracy", "accuracy", metrics.accuracy, metrics.accuracy_interval},
                                 {"macro_f1", "macro F1", metrics.macro_f1, metrics.macro_f1_interval},
                                 {"weighted_f1", "weighted F1", metrics.weighted_f1}}};
  figures.loss = metrics.loss;
  figures.class_names = metrics.label_names;
  figures.per_class = metrics.per_class;
  return figures;
}

std::vector<std::string> SplitLabels(std::string_view cell, std::string_view separator) {
  const bool is_list = cell.find(kListSeparator) != std::string_view::npos;
  const std::string_view between = is_list ? std::string_view(kListSeparator) : separator;
  std::vector<std::string> labels;
  while (true) {
    const size_t end = between.empty() ? std::string_view::npos : cell.find(between);
    const std::string_view label = is_list ? cell.substr(0, end) : WithoutSpaces(cell.substr(0, end));
    if (!label.empty() && std::find(labels.begin(), labels.end(), label) == labels.end()) labels.emplace_back(label);
    if (end == std::string_view::npos) return labels;
    cell.remove_prefix(end + between.size());
  }
}

std::vector<std::string> ItemsOf(const std::string& cell) {
  std::vector<std::string> items;
  for (size_t begin = 0;;) {
    const size_t end = cell.find(kListSeparator, begin);
    items.push_back(cell.substr(begin, end - begin));
    if (end == std::string::npos) return items;
    begin = end + 1;
  }
}

std::vector<std::string> LabelsOf(const LabelledTexts& texts, std::string_view separator) {
  std::vector<std::string> names;
  for (const std::string& cell : texts.targets)
    for (std::string& label : SplitLabels(cell, separator)) names.push_back(std::move(label));
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  if (names.empty()) throw Error(ErrorCode::kInvalidInput, fmt::format("{}: expected labels, found none in {} rows", texts.source, texts.size()));
  SortLabelNames(names);
  return names;
}

std::vector<float> ReadTargets(const LabelledTexts& texts, ProblemType problem_type, const std::vector<std::string>& label_names,
                               std::string_view separator) {
  std::vector<float> targets;
  if (problem_type == ProblemType::kRegression)
    for (size_t row = 0; row < texts.size(); ++row) targets.push_back(ReadNumber(texts, row));
  if (problem_type != ProblemType::kMultiLabel) return targets;
  std::map<std::string, size_t, std::less<>> ids;
  for (size_t i = 0; i < label_names.size(); ++i) ids.emplace(label_names[i], i);
  targets.resize(texts.size() * label_names.size());
  for (size_t row = 0; row < texts.size(); ++row)
    for (const std::string& label : SplitLabels(texts.targets[row], separator)) {
      const auto id = ids.find(label);
      if (id == ids.end()) {
        const std::string nearest = NearestName(label, label_names);
        throw Error(ErrorCode::kInvalidInput,
                    fmt::format("{}: expected labels that stand in the training data, found '{}'", texts.Place(row), Printable(label, 40)),
                    nearest.empty() ? "" : fmt::format("did you mean '{}'?", Printable(nearest, 40)));
      }
      targets[row * label_names.size() + id->second] = 1;
    }
  return targets;
}

void MeasureSequences(std::span<const float> logits, const LabelledTokens& texts, const std::vector<std::string>& label_names,
                      ProblemType problem_type, const std::function<void()>& check_stop, ClassificationMetrics& metrics, Figures& figures,
                      std::string& metrics_json) {
  const MetricsOptions options = {.check_stop = check_stop};
  const std::vector<float> losses = LossesOf(logits, texts, label_names.size(), problem_type);
  if (problem_type == ProblemType::kSingleLabel) {
    metrics = ComputeMetrics(texts.labels, Argmax(logits, label_names.size()), losses, label_names, options);
    figures = ToFigures(metrics);
    metrics_json = MetricsJson(metrics);
    return;
  }
  if (problem_type == ProblemType::kMultiLabel) {
    figures = ComputeSetMetrics(texts.size(), CountLabels(texts.targets, logits, label_names.size()), label_names, options);
    double sum = 0;
    for (const float loss : losses) sum += static_cast<double>(loss);
    figures.loss = sum / static_cast<double>(losses.size());
  } else {
    figures = ComputeRegressionMetrics(texts.targets, logits, options);
  }
  metrics_json = FiguresJson(figures);
}

}  // namespace mlac
