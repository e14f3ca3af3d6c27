#pragma once
// What a model answered on the test data, kept for gates and reports.
#include <optional>
#include <string>

#include "project/model_task.h"

namespace mlac {

constexpr char kPredictionsFile[] = "predictions.json";

// {"format_version", "labels", "num_unknown", "loss", "truth", "predicted"}: numbers of labels, one a row. Of a task without labels of
// texts its figures: {"format_version", "metrics" (as text), "figures", "num_examples", "loss", "class_title", "per_class", "by_row"}; of
// "by_row" b is left out where it is all ones, and what is empty.
void WritePredictions(const std::string& path, const TaskEvaluation& evaluation);
// The metrics are computed again, the loss is that of the file. Throws kInvalidInput for another form.
TaskEvaluation ReadPredictions(const std::string& path);

// Two evaluations of the same rows in the same order, with one numbering of labels.
struct PairedPredictions {
  std::vector<std::string> labels;
  std::vector<int32_t> truth, before, after;
};
PairedPredictions Pair(const TaskEvaluation& before, const TaskEvaluation& after);

// A figure of two models on the same rows, with the interval of the difference from a paired bootstrap. Nothing for the loss, for what was
// not measured, and where rows cannot be paired (CompareRowFigures).
std::optional<PairedDifference> CompareFigure(const TaskEvaluation& before, const TaskEvaluation& after, const std::string& metric);

}  // namespace mlac
