#pragma once
// The report of `mlac eval` for people at a terminal.
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "train/metrics.h"

namespace mlac {

// Lines of at most `width` columns, though at least 80: the figures with their 95 % intervals, beside what always answering the
// largest class would get; a row a label; the most frequent mix-ups. source: what was measured on, "test.csv". No colours.
std::string EvaluationReport(const ClassificationMetrics& metrics, std::string_view source, size_t width = 100);

// The cells of the confusion matrix off its diagonal, largest first, equal ones by label; at most num_cells.
std::vector<ConfusionCell> MixUps(const ClassificationMetrics& metrics, size_t num_cells);

// A confusion matrix small enough to look at: the labels with most examples, at most num_labels, and, if that leaves some out, one
// last row and column for all of those together.
struct SmallConfusion {
  std::vector<int32_t> labels;                // by id, those that have a row of their own
  size_t num_others = 0;                      // labels in the last row and column; 0: there is none
  std::vector<std::vector<uint64_t>> counts;  // [truth][predicted]
};
SmallConfusion Condense(const ClassificationMetrics& metrics, size_t num_labels);

}  // namespace mlac
