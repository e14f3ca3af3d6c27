#pragma once
// Rows of test data that two models answer differently.
#include <span>
#include <string>
#include <vector>

#include "project/model_task.h"

namespace mlac {

// A row of the test data that is answered otherwise than by the model it is compared with.
struct ChangedRow {
  std::string place;  // "test.csv line 7"
  std::string text, truth, before, after;
};

// Rows that two models answer differently, by what became of them.
struct ChangedRows {
  std::vector<ChangedRow> better, worse, otherwise;  // otherwise: wrong both times
};

// Of rows that say what is right. before, after: Prediction::label of each. A number has changed if its error has by a twentieth of the
// span of the true numbers; those that changed most come first.
ChangedRows CompareAnswers(const ModelTask& task, std::span<const TestRow> rows, std::span<const std::string> before,
                           std::span<const std::string> after);

}  // namespace mlac
