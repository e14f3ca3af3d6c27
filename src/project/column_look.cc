#include "project/column_look.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "base/display.h"
#include "base/error.h"
#include "base/json.h"
#include "data/table.h"
#include "data/texts.h"
#include "project/draft.h"
#include "project/yaml_keys.h"
#include "train/text_targets.h"

namespace mlac {
namespace {

constexpr size_t kMostValues = 1000;
constexpr size_t kMostScaleValues = 20;  // of whole numbers that are labels, such as stars
constexpr size_t kLongestLabel = 40;     // bytes, of one among several

// Two texts that are read together go by these names.
constexpr std::pair<std::string_view, std::string_view> kTextPairNames[] = {
    {"premise", "hypothesis"},  {"sentence1", "sentence2"}, {"text", "text_pair"},   {"text1", "text2"},      {"text_a", "text_b"},
    {"question1", "question2"}, {"question", "sentence"},   {"question", "passage"}, {"question", "context"}, {"query", "text"}};

// What a table is made for goes by these, before columns that only look like it.
constexpr std::string_view kTargetNames[] = {"label", "labels", "target", "class", "category", "categories", "tags",
                                             "topic", "topics", "score",  "stars", "rating",   "sentiment",  "intent"};

const ColumnLook* FindColumn(const std::vector<ColumnLook>& looks, std::string_view name) {
  for (const ColumnLook& look : looks)
    if (look.name == name) return &look;
  return nullptr;
}

// What separates several labels of a cell, where cells look like that: splitting them leaves fewer labels than there are cells, as it does
// not with texts. "" where they do not.
std::string SeparatorOf(const ColumnLook& look, size_t num_rows) {
  for (const char* separator : {",", ";", "|"}) {
    std::map<std::string, size_t> labels;
    size_t num_several = 0, num_given = 0;
    bool fits = true, all_numbers = true;
    for (const auto& [cell, count] : look.values) {
      const std::vector<std::string> parts = SplitLabels(cell, separator);
      if (parts.size() > 1) num_several += count;
      num_given += parts.size() * count;
      for (const std::string& part : parts) {
        labels[part] += count;
        fits = fits && part.size() <= kLongestLabel;
        all_numbers = all_numbers && ParseNumber(part).has_value();
      }
    }
    if (fits && !all_numbers && num_several * 20 >= num_rows && labels.size() >= 2 && labels.size() < look.values.size() &&
        labels.size() * 2 <= num_given)
      return separator;
  }
  return "";
}

// Few values, several times each.
bool LooksLikeLabels(const ColumnLook& look, size_t num_rows) {
  return look.values.size() >= 2 && look.values.size() <= std::max<size_t>(num_rows / 2, 2);
}

// Numbers on a scale. Whole ones that are all different number the rows.
bool LooksLikeNumbers(const ColumnLook& look, size_t num_rows) {
  if (look.num_numbers < num_rows || look.values.size() < 2) return false;
  return look.has_fractions ||
         (look.values.size() > kMostScaleValues && look.values.size() < num_rows && look.values.size() <= kMostValues);
}

bool LooksLikeTarget(const ColumnLook& look, size_t num_rows) {
  return look.has_lists || LooksLikeLabels(look, num_rows) || LooksLikeNumbers(look, num_rows) || !SeparatorOf(look, num_rows).empty();
}

// By name, else labels before numbers, and of these the shortest.
const ColumnLook* GuessTarget(const std::vector<ColumnLook>& looks, size_t num_rows, std::span<const std::string> taken) {
  std::vector<const ColumnLook*> fitting;
  for (const ColumnLook& look : looks)
    if (LooksLikeTarget(look, num_rows) && std::find(taken.begin(), taken.end(), look.name) == taken.end()) fitting.push_back(&look);
  for (const std::string_view name : kTargetNames)
    for (const ColumnLook* look : fitting)
      if (look->name == name) return look;
  const auto before = [&](const ColumnLook* a, const ColumnLook* b) {
    const bool a_is_number = LooksLikeNumbers(*a, num_rows), b_is_number = LooksLikeNumbers(*b, num_rows);
    return a_is_number != b_is_number ? b_is_number : a->mean_length < b->mean_length;
  };
  const auto first = std::min_element(fitting.begin(), fitting.end(), before);
  return first == fitting.end() ? nullptr : *first;
}

// The longest of those that are left.
const ColumnLook* GuessTexts(const std::vector<ColumnLook>& looks, const ColumnLook* target, std::string_view text_pair) {
  const ColumnLook* texts = nullptr;
  for (const ColumnLook& look : looks)
    if (&look != target && look.name != text_pair && !look.has_lists && (texts == nullptr || look.mean_length > texts->mean_length))
      texts = &look;
  return texts;
}

void DescribeTarget(const ColumnLook& target, size_t num_rows, LabelColumns& found) {
  const std::string separator = SeparatorOf(target, num_rows);
  if (LooksLikeNumbers(target, num_rows)) {
    found.problem_type = ProblemType::kRegression;
    return;
  }
  std::map<std::string, size_t> counts = target.values;
  if (target.has_lists || !separator.empty()) {
    found.problem_type = ProblemType::kMultiLabel;
    if (!separator.empty()) found.label_separator = separator;
    counts.clear();
    for (const auto& [cell, count] : target.values)
      for (const std::string& label : SplitLabels(cell, found.label_separator)) counts[label] += count;
  }
  found.num_labels = counts.size();
  for (const auto& [label, count] : counts)
    found.largest_share = std::max(found.largest_share, static_cast<double>(count) / static_cast<double>(num_rows));
}

[[noreturn]] void ThrowNoColumn(const std::vector<ColumnLook>& looks, const char* which, const char* what) {
  std::vector<std::string> names;
  for (const ColumnLook& look : looks) names.push_back(Quoted(look.name));
  throw Error(ErrorCode::kInvalidInput, fmt::format("{} of the columns {} looks like the {}", which, fmt::join(names, ", "), what),
              "--text-column and --target-column name them");
}

// The keys of the first object whose values are lists.
std::vector<std::string> ListKeys(const std::string& path) {
  std::vector<std::string> keys;
  const nlohmann::json row = ParseJson(FirstJsonLine(path), path);
  if (row.is_object())
    for (const auto& [name, value] : row.items())
      if (value.is_array()) keys.push_back(name);
  return keys;
}

}  // namespace

std::vector<ColumnLook> LookAtColumns(const std::string& path, size_t& num_rows) {
  std::vector<ColumnLook> looks;
  const std::vector<std::string> columns = ColumnsOf(path);
  for (const std::string& column : columns) looks.push_back({.name = column});
  if (TableFormatOf(path) == TableFormat::kJsonLines)
    for (const std::string& key : ListKeys(path))
      for (ColumnLook& look : looks) look.has_lists = look.has_lists || look.name == key;
  const std::unique_ptr<TableReader> reader = OpenTable(path, {.columns = columns, .list_separator = kListSeparator});
  std::vector<std::string> cells;
  for (num_rows = 0; num_rows < kLookedAtRows && reader->Next(cells); ++num_rows)
    for (size_t c = 0; c < cells.size(); ++c) {
      ColumnLook& look = looks[c];
      look.has_lists = look.has_lists || cells[c].find(kListSeparator) != std::string::npos;
      const std::string value = cells[c].substr(0, 200);
      if (look.values.size() <= kMostValues || look.values.contains(value)) ++look.values[value];
      look.mean_length += static_cast<double>(cells[c].size());
      const std::optional<double> number = ParseNumber(value);
      look.num_numbers += number.has_value();
      look.has_fractions = look.has_fractions || (number && *number != std::floor(*number));
    }
  for (ColumnLook& look : looks) look.mean_length /= static_cast<double>(std::max<size_t>(num_rows, 1));
  return looks;
}

LabelColumns GuessLabelColumns(const std::vector<ColumnLook>& looks, size_t num_rows, const std::string& text, const std::string& text_pair,
                               const std::string& target) {
  LabelColumns found = {.text = text, .text_pair = text_pair, .target = target};
  for (const auto& [first, second] : kTextPairNames) {
    if (!text.empty() || !text_pair.empty() || target == first || target == second) break;
    if (FindColumn(looks, first) == nullptr || FindColumn(looks, second) == nullptr) continue;
    found.text = first;
    found.text_pair = second;
    break;
  }
  const std::string taken[] = {found.text, found.text_pair};
  const ColumnLook* labels = target.empty() ? GuessTarget(looks, num_rows, taken) : FindColumn(looks, target);
  if (labels == nullptr) ThrowNoColumn(looks, "none", "labels");
  const ColumnLook* texts = found.text.empty() ? GuessTexts(looks, labels, found.text_pair) : FindColumn(looks, found.text);
  if (texts == nullptr) ThrowNoColumn(looks, "no other", "texts");
  found.target = labels->name;
  found.text = texts->name;
  DescribeTarget(*labels, num_rows, found);
  return found;
}

}  // namespace mlac
