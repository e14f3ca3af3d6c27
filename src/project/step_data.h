#pragma once
// What the steps that change data share: they read train, change rows, and write train.csv.
#include "project/labelled_rows.h"
#include "project/step.h"

namespace mlac {

// The columns that prepared data keeps: text, label, and what filters look at.
std::vector<std::string> PreparedColumns(const ModelConfig& model);
// What the last data step before this one wrote, or the user's file.
LabelledRows ReadTrainRows(const StepRun& run, std::string_view this_step);
// Writes train.csv and says what it holds and what was left out.
void FinishRows(StepRun& run, const LabelledRows& rows, size_t num_before);

}  // namespace mlac
