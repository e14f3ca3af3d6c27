#pragma once
// What the columns of a table look like, to somebody who sees it for the first time: which holds texts, which labels, lists of labels or
// numbers.
#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "pipelines/text_model.h"
#include "project/model_task.h"

namespace mlac {

constexpr size_t kLookedAtRows = 5000;

struct ColumnLook {
  std::string name;
  std::map<std::string, size_t> values = {};  // with the number of rows, of the first 1001
  double mean_length = 0;                     // bytes
  size_t num_numbers = 0;                     // rows with a number
  bool has_fractions = false;                 // one of them is not whole
  bool has_lists = false;                     // of JSON Lines
};

// The columns of CSV, TSV or JSON Lines by the first kLookedAtRows rows; num_rows: how many these are. Throws as OpenTable.
std::vector<ColumnLook> LookAtColumns(const std::string& path, size_t& num_rows);

// What a classifier of such a table reads.
struct LabelColumns {
  std::string text, text_pair, target;  // text_pair: "" for none
  ProblemType problem_type = ProblemType::kSingleLabel;
  std::string label_separator = ",";
  size_t num_labels = 0;     // 0 of numbers
  double largest_share = 0;  // of the rows, that the most frequent label has
};

// text, text_pair, target: columns that are known already, or "". Throws kInvalidInput with the columns that there are if none looks like
// labels, or no other like texts.
LabelColumns GuessLabelColumns(const std::vector<ColumnLook>& looks, size_t num_rows, const std::string& text, const std::string& text_pair,
                               const std::string& target);

}  // namespace mlac
