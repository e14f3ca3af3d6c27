#include "train/epoch_choice.h"

#include <algorithm>
#include <limits>

namespace mlac {

bool IsBetter(const ValidationReport& report, const ValidationReport& than) {
  if (report.is_telling != than.is_telling) return report.is_telling;
  if (report.is_telling && report.score != than.score) return report.score > than.score;
  return report.loss < than.loss;
}

size_t EpochsWithoutProgress(std::span<const EpochReport> epochs, size_t num_warmup_steps) {
  double best_score = -std::numeric_limits<double>::infinity(), lowest_loss = std::numeric_limits<double>::infinity();
  size_t count = 0;
  for (const EpochReport& epoch : epochs) {
    const ValidationReport& report = epoch.validation;
    if (report.score > best_score || report.loss < lowest_loss)
      count = 0;
    else if (epoch.step > num_warmup_steps)
      ++count;
    best_score = std::max(best_score, report.score);
    lowest_loss = std::min(lowest_loss, report.loss);
  }
  return count;
}

}  // namespace mlac
