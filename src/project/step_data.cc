#include "project/step_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace mlac {

std::vector<std::string> PreparedColumns(const ModelConfig& model) {
  std::vector<std::string> columns = {model.data.text_column, model.data.target_column};
  for (const RowFilter& filter : model.data.filters)
    if (!filter.column.empty() && std::find(columns.begin(), columns.end(), filter.column) == columns.end())
      columns.push_back(filter.column);
  return columns;
}

LabelledRows ReadTrainRows(const StepRun& run, std::string_view this_step) {
  std::string path = run.project.Path(run.model.data.train.front());
  for (const StepKind* kind : AllStepKinds()) {
    if (kind->name == this_step) break;
    if (run.Has(kind->name)) path = run.OutputOf(kind->name) + "/train.csv";
  }
  return ReadLabelledRows(path, PreparedColumns(run.model));
}

void FinishRows(StepRun& run, const LabelledRows& rows, size_t num_before) {
  WriteCsv(run.output + "/train.csv", rows);
  run.result = nlohmann::json({{"num_rows", rows.cells.size()}, {"num_before", num_before}}).dump();
  run.summary = num_before == rows.cells.size()
                    ? fmt::format("{} rows", num_before)
                    : fmt::format("{} of {} rows, {} left out", rows.cells.size(), num_before, num_before - rows.cells.size());
}

}  // namespace mlac
