#pragma once
// What the commands of mlac.yaml share: which file, which models, and how what they do is shown.
#include <optional>
#include <string>
#include <vector>

#include "cli/progress.h"
#include "project/step.h"

namespace mlac {

class Command;

struct ProjectOptions {
  std::string file = kProjectFile;
  std::vector<std::string> targets;
};

void AddProjectFileOption(Command command, std::string& file);
// --file and --target.
void AddProjectOptions(Command command, ProjectOptions& options);

// Reads it. MLAC_STORE of the environment, where it is set, is the store, as for the commands of the store. Throws as ReadProject.
ProjectConfig ReadProjectHere(const std::string& file);

// Shows on standard error what steps do.
class ApplyConsole : public ApplyObserver {
 public:
  void OnModel(const std::string& model) override;
  void OnStepStart(const std::string& step, size_t number, size_t count) override;
  void OnStepEnd(const std::string& step, double seconds, const std::string& summary) override;
  void OnRefused(const std::string& step, const std::string& message) override;
  void OnFailed(const std::string& message) override;
  void OnNote(const std::string& note) override;
  void OnFinding(const Finding& finding) override;
  void OnStart(size_t num_train, size_t num_validation, size_t num_test, size_t num_labels) override;
  void OnResume(size_t step) override;
  void OnStep(const StepReport& step) override;
  void OnSpike(const SpikeReport& spike) override;
  void OnEpoch(const EpochReport& epoch) override;
  void OnCheckpoint(size_t, const std::string&) override {}
  void OnEarlyStop(size_t epoch) override;

 private:
  void Line(const std::string& text) { progress_->Line("    " + text); }

  std::optional<Progress> progress_ = std::make_optional<Progress>("step");  // one a step of the plan
  std::string model_;
};

}  // namespace mlac
