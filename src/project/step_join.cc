// join: the rows of several files, one file behind the other.
#include <iterator>

#include "project/step_data.h"

namespace mlac {
namespace {

void Execute(StepRun& run) {
  PreparedRows rows;
  for (const std::string& file : run.model.data.train) {
    PreparedRows some = ReadRows(run, run.project.Path(file));
    rows.head = some.head;
    rows.rows.insert(rows.rows.end(), std::make_move_iterator(some.rows.begin()), std::make_move_iterator(some.rows.end()));
  }
  FinishRows(run, rows, rows.rows.size());
}

}  // namespace

const StepKind kJoinStep = {"join",
                            "reads several files of training data, one behind the other",
                            false,
                            [](const ModelConfig& model) { return model.data.train.size() > 1; },
                            DescribeDataStep,
                            Execute};

}  // namespace mlac
