// join: the rows of several files, one file behind the other.
#include "project/step_data.h"

namespace mlac {
namespace {

StepDescription Describe(const StepScope& scope) {
  StepDescription step = {scope.TrainData(), {}};
  for (const std::string& column : PreparedColumns(scope.model)) step.inputs.push_back(scope.Parameter("column", column));
  return step;
}

void Execute(StepRun& run) {
  LabelledRows rows = {PreparedColumns(run.model), {}};
  for (const std::string& file : run.model.data.train) {
    LabelledRows some = ReadLabelledRows(run.project.Path(file), rows.columns);
    rows.cells.insert(rows.cells.end(), std::make_move_iterator(some.cells.begin()), std::make_move_iterator(some.cells.end()));
  }
  FinishRows(run, rows, rows.cells.size());
}

}  // namespace

const StepKind kJoinStep = {"join",   "reads several files of training data, one behind the other",
                            false,    [](const ModelConfig& model) { return model.data.train.size() > 1; },
                            Describe, Execute};

}  // namespace mlac
