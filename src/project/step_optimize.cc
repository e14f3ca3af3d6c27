// optimize: the trained model in int8, refused if it loses more than it may. Output: the folder "model".
#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "optimize/int8_folder.h"
#include "project/predictions.h"
#include "project/step.h"

namespace mlac {
namespace {

StepDescription DescribeOptimize(const StepScope& scope) {
  StepDescription step = {{scope.Step("train"), scope.Parameter("optimize.int8", "true")}, {}};
  if (const auto& max_drop = scope.model.optimize.max_drop) {
    for (StepInput& input : scope.TestData()) step.inputs.push_back(std::move(input));
    for (StepInput& column : scope.Columns()) step.inputs.push_back(std::move(column));
    step.inputs.push_back(scope.Parameter("optimize.max_drop", fmt::format("{}", *max_drop)));
    if (!scope.model.optimize.metric.empty()) step.inputs.push_back(scope.Parameter("optimize.metric", scope.model.optimize.metric));
  }
  return step;
}

struct Change {
  double before = 0, after = 0;
  std::optional<Interval> interval;  // of the difference, where rows can be paired
};

Change ChangeOf(const TaskEvaluation& before, const TaskEvaluation& after, const std::string& metric) {
  const std::optional<PairedDifference> paired = CompareFigure(before, after, metric);
  const auto value = [&](const Figures& figures) {
    if (const std::optional<double> found = ValueOf(figures, metric)) return *found;
    std::vector<std::string> names;
    for (const Figure& figure : figures.figures) names.push_back(figure.name);
    throw Error(ErrorCode::kInvalidInput, fmt::format("optimize.metric: {} is not measured on these test data", metric),
                KnownNames(metric, names));
  };
  return {value(before.figures), value(after.figures), paired ? std::optional(paired->interval) : std::nullopt};
}

// What max_drop looks at: what mlac.yaml names, else the first of the task's that these data have and that rises where a model gets better.
std::string MetricOf(const ModelConfig& model, const Figures& figures) {
  if (!model.optimize.metric.empty()) return model.optimize.metric;
  for (const std::string_view name : TaskOf(model).figures.metrics)
    if (std::string metric(name); !LessIsBetter(name) && ValueOf(figures, metric)) return metric;
  throw Error(ErrorCode::kInvalidInput, fmt::format("{}: optimize.max_drop: these test data have no figure to look at", model.name));
}

void ExecuteOptimize(StepRun& run) {
  const std::string before = run.OutputOf("train") + "/model", after = run.output + "/model";
  std::filesystem::create_directory(after);
  const Int8Summary summary = WriteInt8Folder(before, after);
  nlohmann::ordered_json result = {{"bytes_before", summary.bytes_before}, {"bytes_after", summary.bytes_after}};
  run.summary = fmt::format("weights of {:.1f} MB instead of {:.1f} MB", static_cast<double>(summary.bytes_after) / 1e6,
                            static_cast<double>(summary.bytes_before) / 1e6);
  if (const auto& max_drop = run.model.optimize.max_drop) {
    const ModelData data = run.Data();
    const TaskEvaluation first = TaskOf(run.model).evaluate(before, data.test, data, run.num_threads, run.stop);
    const TaskEvaluation second = TaskOf(run.model).evaluate(after, data.test, data, run.num_threads, run.stop);
    const std::string metric = MetricOf(run.model, first.figures);
    const Change change = ChangeOf(first, second, metric);
    const double drop = 100 * (change.before - change.after);
    result["metric"] = {{"name", metric}, {"before", change.before}, {"after", change.after}};
    if (change.interval) result["metric"]["difference_interval"] = {change.interval->low, change.interval->high};
    std::string said = fmt::format("{} {:.4f} instead of {:.4f}", metric, change.after, change.before);
    if (change.interval) said += fmt::format(" (95 % of the difference: {:+.4f} to {:+.4f})", change.interval->low, change.interval->high);
    run.summary += "; " + said;
    // A drop of exactly the bound is not above it, whatever binary fractions make of the difference.
    if (drop > *max_drop + 1e-9)
      run.refusal = fmt::format("{}: a drop of {:.2f} percentage points; optimize.max_drop allows {}", said, drop, *max_drop);
  }
  run.result = DumpJson(result);
}

}  // namespace

const StepKind kOptimizeStep = {"optimize", "makes the trained model smaller and faster, and refuses what loses too much",
                                false,      [](const ModelConfig& model) { return model.optimize.int8; },
                                DescribeOptimize,   ExecuteOptimize};

}  // namespace mlac
