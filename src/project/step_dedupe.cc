// dedupe: of rows with one and the same text the first stays.
#include <unordered_set>

#include "project/step_data.h"

namespace mlac {
namespace {

StepDescription Describe(const StepScope& scope) {
  StepDescription step = {scope.TrainData(), {}};
  for (const std::string& column : PreparedColumns(scope.model)) step.inputs.push_back(scope.Parameter("column", column));
  return step;
}

void Execute(StepRun& run) {
  const LabelledRows rows = ReadTrainRows(run, "dedupe");
  LabelledRows kept = {rows.columns, {}};
  std::unordered_set<std::string_view> seen;
  for (const std::vector<std::string>& cells : rows.cells)
    if (seen.insert(cells[0]).second) kept.cells.push_back(cells);
  FinishRows(run, kept, rows.cells.size());
}

}  // namespace

const StepKind kDedupeStep = {"dedupe", "keeps the first of rows of the training data that have the same text",
                              false,    [](const ModelConfig& model) { return model.data.dedupe; },
                              Describe, Execute};

}  // namespace mlac
