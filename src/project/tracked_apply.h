#pragma once
// Passes on what `apply` says, logs a run of MLflow for each model that something is done for, and sends events of OpenLineage for its
// steps.
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "project/apply.h"
#include "project/mlflow.h"
#include "project/openlineage.h"
#include "project/tracked_training.h"

namespace mlac {

struct ApplyTracking {
  std::optional<MlflowOptions> mlflow;
  std::optional<LineageOptions> lineage;  // of train and publish
};

class TrackedApply : public TrackedTraining<ApplyObserver> {
 public:
  // All outlive it. Throws kInvalidArgument for a URL that is none.
  TrackedApply(const ApplyTracking& tracking, const ProjectConfig& project, const Plan& plan, const Store& store, ApplyObserver& to);
  ~TrackedApply() override;

  void OnModel(const std::string& model) override;
  void OnStepStart(const std::string& step, size_t number, size_t count) override;
  void OnStepEnd(const std::string& step, double seconds, const std::string& summary) override;
  void OnRefused(const std::string& step, const std::string& message) override;
  void OnFailed(const std::string& message) override;

  // What came of it: figures, data sets, reports and tags of each model. Waits for the servers, at most some seconds each.
  void Finish(const ApplyResult& result);
  // The same where it ended by an error: FAILED, or KILLED for kCancelled.
  void Finish(const Error& error);
  // Where to look at the runs.
  std::vector<std::string> Pages() const;

 private:
  struct TrackedModel {
    std::string name;
    std::unique_ptr<MlflowRun> run;
    size_t last_step = 0;
  };

  std::vector<LineageDataset> InputsOf(const std::string& step) const;
  void SendLineage(LineageEvent::Type type, const std::string& message = "");
  void LogModel(TrackedModel& model, const AppliedModel* applied) const noexcept;
  void LogWhatIsKept(TrackedModel& model, const AppliedModel* applied) const;
  const PlannedModel* PlanOf(const std::string& model) const;

  const ApplyTracking& tracking_;
  const ProjectConfig& project_;
  const Plan& plan_;
  const Store& store_;
  std::vector<TrackedModel> models_;
  std::optional<LineageEvents> lineage_;
  std::string model_, step_, lineage_run_;
};

}  // namespace mlac
