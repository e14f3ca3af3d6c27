// evaluate: the figures of the model on the test data. Output: metrics.json, predictions.json and, of labels, confusion-matrix.svg.
#include <fmt/format.h>

#include "base/error.h"
#include "base/file.h"
#include "project/predictions.h"
#include "project/step.h"
#include "train/report_card.h"
#include "train/report_svg.h"

namespace mlac {
namespace {

StepDescription DescribeEvaluate(const StepScope& scope) {
  StepDescription step = {{scope.Model()}, {}};
  for (StepInput& input : scope.TestData()) step.inputs.push_back(std::move(input));
  for (StepInput& column : scope.Columns()) step.inputs.push_back(std::move(column));
  return step;
}

void ExecuteEvaluate(StepRun& run) {
  const ModelData data = run.Data();
  const TaskEvaluation evaluation = TaskOf(run.model).evaluate(run.ModelFolder(), data.test, data, run.num_threads, run.stop);
  const Figures& figures = evaluation.figures;
  if (evaluation.num_unknown > 0)
    run.observer.OnNote(fmt::format("{} test texts have a label that is not in the training data: the model cannot get them right",
                                    evaluation.num_unknown));
  if (const std::optional<Finding> few = FewExamples("test", figures.num_examples)) run.observer.OnFinding(*few);
  WriteFileAtomically(run.output + "/" + kMetricsFile, evaluation.metrics_json);
  if (TaskOf(run.model).labels_texts) WriteFileAtomically(run.output + "/" + kConfusionMatrixFile, ConfusionMatrixSvg(evaluation.metrics));
  WritePredictions(run.output + "/" + kPredictionsFile, evaluation);
  run.result = HeadlineJson(figures);
  run.summary = fmt::format("{} on {} test texts", Headline(figures), figures.num_examples);
}

}  // namespace

const StepKind kEvaluateStep = {"evaluate", "measures the model on the test data", false, [](const ModelConfig&) { return true; }, DescribeEvaluate,
                                ExecuteEvaluate};

}  // namespace mlac
