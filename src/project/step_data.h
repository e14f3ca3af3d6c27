#pragma once
// What the steps that change data share: they read train, change rows, and write the file train.
#include "project/prepared_rows.h"
#include "project/step.h"

namespace mlac {

// The columns of tables that filters look at beside the texts and labels.
std::vector<std::string> FilterColumns(const ModelConfig& model);
// The inputs that all these steps have: the data, and which columns are kept.
StepDescription DescribeDataStep(const StepScope& scope);
// Rows of a file of the user's, or what the last data step before this one wrote.
PreparedRows ReadRows(const StepRun& run, const std::string& path);
PreparedRows ReadTrainRows(const StepRun& run, std::string_view this_step);
// Writes train and says what it holds and what was left out.
void FinishRows(StepRun& run, const PreparedRows& rows, size_t num_before);

}  // namespace mlac
