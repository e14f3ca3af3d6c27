// evaluate: the figures of the model on the test data. Output: metrics.json, confusion-matrix.svg and predictions.json.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "project/predictions.h"
#include "project/step.h"
#include "train/report_card.h"
#include "train/report_svg.h"

namespace mlac {
namespace {

StepDescription Describe(const StepScope& scope) {
  StepDescription step = {{scope.Model()}, {}};
  for (StepInput& input : scope.TestData()) step.inputs.push_back(std::move(input));
  for (StepInput& column : scope.Columns()) step.inputs.push_back(std::move(column));
  return step;
}

void Execute(StepRun& run) {
  const ModelData data = run.Data();
  const TaskEvaluation evaluation = TaskOf(run.model).evaluate(run.ModelFolder(), data.test, data, run.num_threads, run.stop);
  const ClassificationMetrics& metrics = evaluation.metrics;
  if (evaluation.num_unknown > 0)
    run.observer.OnNote(fmt::format("{} test texts have a label that is not in the training data: the model cannot get them right",
                                    evaluation.num_unknown));
  WriteFileAtomically(run.output + "/" + kMetricsFile, MetricsJson(metrics));
  WriteFileAtomically(run.output + "/" + kConfusionMatrixFile, ConfusionMatrixSvg(metrics));
  WritePredictions(run.output + "/" + kPredictionsFile, evaluation);
  run.result =
      nlohmann::json({{"accuracy", metrics.accuracy}, {"macro_f1", metrics.macro_f1}, {"num_examples", metrics.num_examples}}).dump();
  run.summary = fmt::format("accuracy {:.4f}, macro-F1 {:.4f} on {} test texts", metrics.accuracy, metrics.macro_f1, metrics.num_examples);
}

}  // namespace

const StepKind kEvaluateStep = {"evaluate", "measures the model on the test data", false, [](const ModelConfig&) { return true; }, Describe,
                                Execute};

}  // namespace mlac
