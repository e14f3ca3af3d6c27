#include "project/changed_rows.h"

#include <algorithm>
#include <cmath>

#include "project/yaml_keys.h"

namespace mlac {
namespace {

bool IsRight(const ModelTask& task, const TestRow& row, const std::string& answer) {
  return std::any_of(row.truth.begin(), row.truth.end(), [&](const std::string& truth) { return task.same_answer(answer, truth); });
}

ChangedRow ChangeOf(const TestRow& row, const std::string& before, const std::string& after) {
  const auto shown = [](const std::string& answer) { return answer.empty() ? kNothing : answer; };
  return {row.input.place, row.input.pair ? row.input.text + " / " + *row.input.pair : row.input.text, shown(row.truth.front()),
          shown(before), shown(after)};
}

ChangedRows CompareNumbers(std::span<const TestRow> rows, std::span<const std::string> before, std::span<const std::string> after) {
  constexpr double kNoticed = 0.05;  // of the span of the true numbers
  struct Gain {
    double value;
    size_t row;
  };
  const auto number = [](const std::string& text) { return ParseNumber(text).value_or(0); };
  double low = 1e300, high = -1e300;
  std::vector<Gain> gains;
  for (size_t i = 0; i < rows.size(); ++i) {
    const double truth = number(rows[i].truth.front());
    low = std::min(low, truth);
    high = std::max(high, truth);
    gains.push_back({std::fabs(number(before[i]) - truth) - std::fabs(number(after[i]) - truth), i});
  }
  std::erase_if(gains, [&](const Gain& gain) { return gain.value == 0 || std::fabs(gain.value) < kNoticed * (high - low); });
  std::stable_sort(gains.begin(), gains.end(), [](const Gain& a, const Gain& b) { return std::fabs(a.value) > std::fabs(b.value); });
  ChangedRows changed;
  for (const auto& [value, row] : gains)
    (value > 0 ? changed.better : changed.worse).push_back(ChangeOf(rows[row], before[row], after[row]));
  return changed;
}

}  // namespace

ChangedRows CompareAnswers(const ModelTask& task, std::span<const TestRow> rows, std::span<const std::string> before,
                           std::span<const std::string> after) {
  if (task.gives_numbers()) return CompareNumbers(rows, before, after);
  ChangedRows changed;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].truth.empty() || task.same_answer(before[i], after[i])) continue;
    std::vector<ChangedRow>& list = IsRight(task, rows[i], after[i])    ? changed.better
                                    : IsRight(task, rows[i], before[i]) ? changed.worse
                                                                        : changed.otherwise;
    list.push_back(ChangeOf(rows[i], before[i], after[i]));
  }
  return changed;
}

}  // namespace mlac
