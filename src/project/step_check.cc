// check: what a careful person would look for in the data before training on it.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/display.h"
#include "base/error.h"
#include "base/json.h"
#include "project/data_profile.h"
#include "project/slice_rows.h"
#include "project/step.h"

namespace mlac {
namespace {

// The columns that mlac.yaml names must be in the user's own files: said before anything runs.
void CheckDataColumns(const StepScope& scope, const std::string& file, const std::string& key, bool is_training) {
  const ModelTask& task = TaskOf(scope.model);
  const DataConfig& data = scope.model.data;
  std::vector<std::string> there;
  try {
    there = SliceColumnsOf(scope.project.Path(file), ColumnsOf(scope.model));
  } catch (const Error& error) {
    scope.Refuse(error, key);
  }
  if (!task.has_columns || there.empty()) return;  // a text a line, words with tags
  const auto check = [&](const std::string& name, const std::string& column) {
    if (column.empty() || std::find(there.begin(), there.end(), column) != there.end()) return;
    scope.Refuse(Error(ErrorCode::kInvalidInput, fmt::format("{} has no column {}", file, Quoted(column)), KnownNames(column, there)),
                 name);
  };
  const bool has_labels = task.name == "text-classification";
  if (has_labels || task.name == "fill-mask") check("data.text", data.text_column);
  if (has_labels) check("data.text_pair", data.text_pair_column);
  if (has_labels) check("data.target", data.target_column);
  if (is_training)
    for (const RowFilter& filter : data.filters) check("data.filter", filter.column);
}

StepDescription DescribeCheck(const StepScope& scope) {
  StepDescription step = {scope.TrainData(), {}};
  step.inputs.push_back(scope.Parameter("task", TaskOf(scope.model).Title()));
  if (!scope.model.data.validation.empty()) step.inputs.push_back(scope.File("data.validation", scope.model.data.validation));
  if (!scope.Has("split")) step.inputs.push_back(scope.TestData().front());
  for (StepInput& column : scope.Columns()) step.inputs.push_back(std::move(column));
  const DataConfig& data = scope.model.data;
  for (const std::string& file : data.train) CheckDataColumns(scope, file, "data.train", true);
  if (!data.validation.empty()) CheckDataColumns(scope, data.validation, "data.validation", false);
  if (!data.test.empty()) CheckDataColumns(scope, data.test, "data.test", false);
  return step;
}

void ExecuteCheck(StepRun& run) {
  std::vector<std::string> notes;
  const std::vector<Finding> findings = TaskOf(run.model).check(run.Data(), notes);
  for (const std::string& note : notes) run.observer.OnNote(note);
  size_t num_warnings = 0;
  for (const Finding& finding : findings) {
    run.observer.OnFinding(finding);
    num_warnings += finding.severity == Severity::kWarning;
  }
  SaveDataProfiles(run.steps.store(), run.project, run.model, run.contents);  // so that `plan` can tell a later change by rows
  run.result = DumpJson(nlohmann::json({{"findings", FindingsJson(findings)}, {"notes", notes}}));
  run.summary = num_warnings == 0 ? "no warnings" : fmt::format("{} {}", num_warnings, num_warnings == 1 ? "warning" : "warnings");
}

}  // namespace

const StepKind kCheckStep = {"check", "looks for what is wrong with the data", false, [](const ModelConfig&) { return true; }, DescribeCheck,
                             ExecuteCheck};

}  // namespace mlac
