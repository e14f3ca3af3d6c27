// join: the rows of several files, one file behind the other.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <iterator>

#include "base/error.h"
#include "project/step_data.h"
#include "train/entity_texts.h"
#include "train/text_tuples.h"

namespace mlac {
namespace {

// What must be the same of files that become one, whose first row decides how all are read; "" where any two fit.
std::string ShapeOf(const ModelTask& task, const std::string& path) {
  if (task.read_rows == ReadRowsOfEntities)
    return (path.ends_with(".jsonl") || path.ends_with(".ndjson")) && HoldsEntitySpans(path, size_t{16} << 20) ? "has entities as spans"
                                                                                                               : "has a tag for each word";
  if (task.read_rows != ReadRowsOfTuples) return "";
  const TupleColumns found = FindTupleColumns(path, {});
  std::vector<std::string> names = {found.first, found.second};
  for (const std::string& name : {found.negative, found.score})
    if (!name.empty()) names.push_back(name);
  return fmt::format("has the columns {}", fmt::join(names, ", "));
}

StepDescription DescribeJoin(const StepScope& scope) {
  StepDescription step = DescribeDataStep(scope);  // throws for a file that is not there
  const std::vector<std::string>& files = scope.model.data.train;
  const auto shape = [&](const std::string& file) { return ShapeOf(TaskOf(scope.model), scope.project.Path(file)); };
  const std::string first = shape(files.front());
  for (size_t i = 1; i < files.size(); ++i)
    if (const std::string other = shape(files[i]); other != first)
      scope.Refuse(Error(ErrorCode::kInvalidInput, fmt::format("{} {}, {} {}", files[i], other, files.front(), first),
                         "files are joined whose rows have the same parts, under the same names"),
                   fmt::format("data.train[{}]", i));
  return step;
}

void ExecuteJoin(StepRun& run) {
  PreparedRows rows;
  for (const std::string& file : run.model.data.train) {
    PreparedRows some = ReadRows(run, run.project.Path(file));
    rows.head = some.head;
    rows.rows.insert(rows.rows.end(), std::make_move_iterator(some.rows.begin()), std::make_move_iterator(some.rows.end()));
  }
  FinishRows(run, rows, rows.rows.size());
}

}  // namespace

const StepKind kJoinStep = {"join",   "reads several files of training data, one behind the other",
                            false,    [](const ModelConfig& model) { return model.data.train.size() > 1; },
                            DescribeJoin, ExecuteJoin};

}  // namespace mlac
