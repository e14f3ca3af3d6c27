// dedupe: of rows that are the same but for their label the first stays.
#include <unordered_set>

#include "project/step_data.h"

namespace mlac {
namespace {

void ExecuteDedupe(StepRun& run) {
  const PreparedRows rows = ReadTrainRows(run, "dedupe");
  PreparedRows kept = {.head = rows.head, .rows = {}};
  std::unordered_set<std::string_view> seen;
  for (const PreparedRow& row : rows.rows)
    if (seen.insert(row.Key()).second) kept.rows.push_back(row);
  FinishRows(run, kept, rows.rows.size());
}

}  // namespace

const StepKind kDedupeStep = {"dedupe",
                              "keeps the first of rows of the training data that have the same text",
                              false,
                              [](const ModelConfig& model) { return model.data.dedupe; },
                              DescribeDataStep,
                              ExecuteDedupe};

}  // namespace mlac
