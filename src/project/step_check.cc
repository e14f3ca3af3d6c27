// check: what a careful person would look for in the data before training on it.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "project/data_profile.h"
#include "project/step.h"

namespace mlac {
namespace {

StepDescription Describe(const StepScope& scope) {
  StepDescription step = {scope.TrainData(), {}};
  step.inputs.push_back(scope.Parameter("task", TaskOf(scope.model).Title()));
  if (!scope.model.data.validation.empty()) step.inputs.push_back(scope.File("data.validation", scope.model.data.validation));
  if (!scope.Has("split")) step.inputs.push_back(scope.TestData().front());
  for (StepInput& column : scope.Columns()) step.inputs.push_back(std::move(column));
  return step;
}

// What the user's own files hold, so that `plan` can tell a later change by rows.
void Remember(const StepRun& run) {
  std::vector<std::string> paths = run.model.data.train;
  for (const std::string& path : {run.model.data.validation, run.model.data.test})
    if (!path.empty()) paths.push_back(path);
  for (const std::string& path : paths) {
    const std::string place = run.project.Path(path);
    SaveDataProfile(run.steps.store(), TaskOf(run.model), run.contents.Hash(place), place, ColumnsOf(run.model));
  }
}

void Execute(StepRun& run) {
  std::vector<std::string> notes;
  const std::vector<Finding> findings = TaskOf(run.model).check(run.Data(), notes);
  for (const std::string& note : notes) run.observer.OnNote(note);
  size_t num_warnings = 0;
  for (const Finding& finding : findings) {
    run.observer.OnFinding(finding);
    num_warnings += finding.severity == Severity::kWarning;
  }
  Remember(run);
  run.result = nlohmann::json({{"findings", FindingsJson(findings)}, {"notes", notes}}).dump();
  run.summary = num_warnings == 0 ? "no warnings" : fmt::format("{} {}", num_warnings, num_warnings == 1 ? "warning" : "warnings");
}

}  // namespace

const StepKind kCheckStep = {"check", "looks for what is wrong with the data", false, [](const ModelConfig&) { return true; }, Describe,
                             Execute};

}  // namespace mlac
