// train: the base model, fine-tuned on the training data. Output: the folder "model".
#include <fmt/format.h>

#include "project/step.h"

namespace mlac {
namespace {

StepDescription DescribeTrain(const StepScope& scope) {
  StepDescription step = {{scope.Base()}, {}};
  for (StepInput& input : scope.TrainData()) step.inputs.push_back(std::move(input));
  if (!scope.model.data.validation.empty()) step.inputs.push_back(scope.File("data.validation", scope.model.data.validation));
  for (StepInput& column : scope.Columns()) step.inputs.push_back(std::move(column));
  for (const auto& [name, value] : TrainParameters(scope.model)) step.inputs.push_back(scope.Parameter(name, value));
  return step;
}

// Passes on what training says, but what the check of the data has said already.
class TrainingOutput : public FineTuneObserver {
 public:
  explicit TrainingOutput(ApplyObserver& to) : to_(to) {}

  void OnNote(const std::string& note) override { to_.OnNote(note); }
  void OnFinding(const Finding& finding) override {
    if (finding.code == "cut_text") to_.OnFinding(finding);
  }
  void OnStart(size_t num_train, size_t num_validation, size_t num_test, size_t num_labels) override {
    to_.OnStart(num_train, num_validation, num_test, num_labels);
  }
  void OnResume(size_t step) override { to_.OnResume(step); }
  void OnStep(const StepReport& report) override { to_.OnStep(report); }
  void OnSpike(const SpikeReport& report) override { to_.OnSpike(report); }
  void OnEpoch(const EpochReport& report) override { to_.OnEpoch(report); }
  void OnCheckpoint(size_t step, const std::string& folder) override { to_.OnCheckpoint(step, folder); }
  void OnEarlyStop(size_t epoch) override { to_.OnEarlyStop(epoch); }

 private:
  ApplyObserver& to_;
};

void ExecuteTrain(StepRun& run) {
  TrainingOutput output(run.observer);
  const BaseFolder base(run.project, run.model, run.base, run.steps.store(), run.steps.WorkFolder(run.key));
  const FineTuneResult result =
      TaskOf(run.model).train(run.model, base.path(), run.Data(), run.output + "/model", run.num_threads, output, run.stop);
  run.result = HeadlineJson(result.figures, result.evaluated_on);
  run.summary = fmt::format("{} on {}", Headline(result.figures), result.evaluated_on);
}

}  // namespace

std::string TrainingCheckpoint(const std::string& output, const ModelConfig& model) {
  return output + (model.train.lora.rank > 0 ? "/model.adapter" : "/model") + "/checkpoint";  // as TrainModel has it
}

const StepKind kTrainStep = {"train", "fine-tunes the base model", true, [](const ModelConfig&) { return true; }, DescribeTrain, ExecuteTrain};

}  // namespace mlac
