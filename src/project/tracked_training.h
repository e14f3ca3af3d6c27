#pragma once
// Passes on what training says, and logs its figures to a run of MLflow.
#include <string>
#include <vector>

#include "project/mlflow.h"
#include "train/fine_tune.h"

namespace mlac {

// Base: FineTuneObserver, or what goes on from it. The run may change, or be none, between trainings; steps count from its beginning.
template <typename Base>
class TrackedTraining : public Base {
 public:
  explicit TrackedTraining(Base& to) : to_(to) {}

  void Track(MlflowRun* run) {
    run_ = run;
    last_step_ = 0;
  }

  void OnNote(const std::string& note) override { to_.OnNote(note); }
  void OnFinding(const Finding& finding) override { to_.OnFinding(finding); }
  void OnStart(size_t num_train, size_t num_validation, size_t num_test, size_t num_labels) override {
    to_.OnStart(num_train, num_validation, num_test, num_labels);
  }
  void OnResume(size_t step) override { to_.OnResume(step); }
  void OnStep(const StepReport& report) override {
    to_.OnStep(report);
    if (run_ == nullptr) return;
    run_->LogMetric("loss", report.loss, report.step);
    run_->LogMetric("learning_rate", report.learning_rate, report.step);
    run_->LogMetric("gradient_norm", report.gradient_norm, report.step);
  }
  void OnSpike(const SpikeReport& report) override { to_.OnSpike(report); }
  void OnEpoch(const EpochReport& report) override {
    to_.OnEpoch(report);
    if (run_ == nullptr) return;
    run_->LogMetric("epoch", static_cast<double>(report.epoch), report.step);
    run_->LogMetric("train_loss", report.train_loss, report.step);
    if (report.has_validation) {
      run_->LogMetric("validation_loss", report.validation.loss, report.step);
      for (const auto& [name, value] : report.validation.figures) run_->LogMetric("validation_" + name, value, report.step);
    }
    last_step_ = report.step;
    run_->Flush();
  }
  void OnCheckpoint(size_t step, const std::string& folder) override { to_.OnCheckpoint(step, folder); }
  void OnEarlyStop(size_t epoch) override { to_.OnEarlyStop(epoch); }

  size_t last_step() const { return last_step_; }  // at the end of the last epoch of this run; 0 where it trained nothing

 protected:
  Base& to_;

 private:
  MlflowRun* run_ = nullptr;
  size_t last_step_ = 0;
};

// What a run of `mlac train` is logged with.
MlflowRun::Pairs ParametersOfRun(const std::string& task, const FineTuneOptions& options);
// Who ran what, in the names that MLflow's pages know: source, commit of the repository that the folder belongs to, version of mlac.
MlflowRun::Pairs TagsOfRun(const std::string& source, const std::string& folder);

// Behind a training: the figures as "test_accuracy", the data sets of training.json, and the reports in the folder. Files that are gone or
// broken are left out: what is logged is a copy, and no reason to fail a training that is done.
void LogResult(MlflowRun& run, const FineTuneResult& result, const std::string& folder, size_t last_step);
// The card, the figures and the pictures of a folder, as far as they are there.
void LogReports(MlflowRun& run, const std::string& folder);

}  // namespace mlac
