// filter: rows of which all conditions of data.filter hold.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"
#include "base/utf8.h"
#include "project/step_data.h"

namespace mlac {
namespace {

StepDescription Describe(const StepScope& scope) {
  StepDescription step = {scope.TrainData(), {}};
  for (const std::string& column : PreparedColumns(scope.model)) step.inputs.push_back(scope.Parameter("column", column));
  for (const RowFilter& filter : scope.model.data.filters)
    step.inputs.push_back(scope.Parameter(
        "data.filter", fmt::format("column '{}' equals {} not {} length {} to {}", filter.column, filter.equals, filter.not_equals,
                                   filter.min_length.value_or(0), filter.max_length ? fmt::format("{}", *filter.max_length) : "any")));
  return step;
}

size_t LengthOf(const std::string& text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

bool Keeps(const RowFilter& filter, const std::string& value) {
  const auto holds = [&](const std::vector<std::string>& values) { return std::find(values.begin(), values.end(), value) != values.end(); };
  if (!filter.equals.empty() && !holds(filter.equals)) return false;
  if (holds(filter.not_equals)) return false;
  const size_t length = LengthOf(value);
  return length >= filter.min_length.value_or(0) && (!filter.max_length || length <= *filter.max_length);
}

void Execute(StepRun& run) {
  LabelledRows rows = ReadTrainRows(run, "filter");
  const size_t num_before = rows.cells.size();
  for (const RowFilter& filter : run.model.data.filters) {
    const size_t column =
        filter.column.empty()
            ? 0
            : static_cast<size_t>(std::find(rows.columns.begin(), rows.columns.end(), filter.column) - rows.columns.begin());
    std::erase_if(rows.cells, [&](const std::vector<std::string>& cells) { return !Keeps(filter, cells[column]); });
  }
  if (rows.cells.empty())
    throw Error(ErrorCode::kInvalidInput, fmt::format("models.{}.data.filter: none of {} rows is left", run.model.name, num_before));
  FinishRows(run, rows, num_before);
}

}  // namespace

const StepKind kFilterStep = {"filter", "leaves out rows of the training data that do not meet data.filter",
                              false,    [](const ModelConfig& model) { return !model.data.filters.empty(); },
                              Describe, Execute};

}  // namespace mlac
