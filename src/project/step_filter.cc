// filter: rows of which all conditions of data.filter hold.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"
#include "base/utf8.h"
#include "data/texts.h"
#include "project/step_data.h"

namespace mlac {
namespace {

StepDescription DescribeFilter(const StepScope& scope) {
  StepDescription step = DescribeDataStep(scope);
  if (TaskOf(scope.model).several_labels())
    step.inputs.push_back(scope.Parameter("data.label_separator", scope.model.data.label_separator));
  for (const RowFilter& filter : scope.model.data.filters)
    step.inputs.push_back(scope.Parameter(
        "data.filter", fmt::format("column '{}' equals {} not {} length {} to {}{}", filter.column, filter.equals, filter.not_equals,
                                   filter.min_length.value_or(0), filter.max_length ? fmt::format("{}", *filter.max_length) : "any",
                                   filter.not_empty ? " not empty" : "")));
  return step;
}

// values: what the cell holds, several where it is a list. They must be one of equals and none of not_equals.
bool Keeps(const RowFilter& filter, const std::string& value, const std::vector<std::string>& values) {
  const auto holds = [&](const std::vector<std::string>& wanted) {
    return std::any_of(values.begin(), values.end(),
                       [&](const std::string& each) { return std::find(wanted.begin(), wanted.end(), each) != wanted.end(); });
  };
  if (!filter.equals.empty() && !holds(filter.equals)) return false;
  if (holds(filter.not_equals)) return false;
  if (filter.not_empty && IsBlank(value)) return false;
  const size_t length = CountCodePoints(value);
  return length >= filter.min_length.value_or(0) && (!filter.max_length || length <= *filter.max_length);
}

// What the filter looks at: the text, the label or another column.
const std::string& CellOf(const PreparedRow& row, const RowFilter& filter, const ModelConfig& model,
                          const std::vector<std::string>& columns) {
  const auto found = std::find(columns.begin(), columns.end(), filter.column);
  if (found != columns.end()) return row.columns[static_cast<size_t>(found - columns.begin())];
  return filter.column == model.data.target_column ? row.label : row.text;
}

void ExecuteFilter(StepRun& run) {
  PreparedRows rows = ReadTrainRows(run, "filter");
  const size_t num_before = rows.rows.size();
  const std::vector<std::string> columns = FilterColumns(run.model);
  for (const RowFilter& filter : run.model.data.filters)
    std::erase_if(rows.rows, [&](const PreparedRow& row) {
      const std::string& cell = CellOf(row, filter, run.model, columns);
      return !Keeps(filter, cell, ValuesOfCell(TaskOf(run.model), ColumnsOf(run.model), filter.column, cell));
    });
  if (rows.rows.empty())
    throw Error(ErrorCode::kInvalidInput, fmt::format("models.{}.data.filter: none of {} rows is left", run.model.name, num_before));
  FinishRows(run, rows, num_before);
}

}  // namespace

const StepKind kFilterStep = {"filter", "leaves out rows of the training data that do not meet data.filter",
                              false,    [](const ModelConfig& model) { return !model.data.filters.empty(); },
                              DescribeFilter, ExecuteFilter};

}  // namespace mlac
