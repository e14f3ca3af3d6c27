#include "project/step_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/json.h"

namespace mlac {

std::vector<std::string> FilterColumns(const ModelConfig& model) {
  const bool reads_labels = TaskOf(model).labels_texts;  // texts and labels are at hand anyway
  std::vector<std::string> columns;
  for (const RowFilter& filter : model.data.filters)
    if (!filter.column.empty() &&
        !(reads_labels && (filter.column == model.data.text_column || filter.column == model.data.target_column)) &&
        std::find(columns.begin(), columns.end(), filter.column) == columns.end())
      columns.push_back(filter.column);
  return columns;
}

StepDescription DescribeDataStep(const StepScope& scope) {
  StepDescription step = {scope.TrainData(), {}};
  step.inputs.push_back(scope.Parameter("task", TaskOf(scope.model).Title()));
  std::vector<std::string> columns = {scope.model.data.text_column, scope.model.data.target_column};
  if (!scope.model.data.text_pair_column.empty()) columns.push_back(scope.model.data.text_pair_column);
  for (std::string& column : FilterColumns(scope.model)) columns.push_back(std::move(column));
  for (const std::string& column : columns) step.inputs.push_back(scope.Parameter("column", column));
  return step;
}

PreparedRows ReadRows(const StepRun& run, const std::string& path) {
  return TaskOf(run.model).read_rows(path, ColumnsOf(run.model), FilterColumns(run.model));
}

PreparedRows ReadTrainRows(const StepRun& run, std::string_view this_step) {
  std::string path = run.project.Path(run.model.data.train.front());
  for (const StepKind* kind : AllStepKinds()) {
    if (kind->name == this_step) break;
    if (run.Has(kind->name)) path = run.OutputOf(kind->name) + "/" + PreparedFile(run.model, "train");
  }
  return ReadRows(run, path);
}

void FinishRows(StepRun& run, const PreparedRows& rows, size_t num_before) {
  WriteRows(run.output + "/" + PreparedFile(run.model, "train"), rows);
  run.result = DumpJson(nlohmann::json({{"num_rows", rows.rows.size()}, {"num_before", num_before}}));
  run.summary = num_before == rows.rows.size()
                    ? fmt::format("{} rows", num_before)
                    : fmt::format("{} of {} rows, {} left out", rows.rows.size(), num_before, num_before - rows.rows.size());
}

}  // namespace mlac
