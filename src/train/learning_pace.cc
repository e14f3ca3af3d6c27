#include "train/learning_pace.h"

#include <fmt/format.h>

#include <algorithm>

#include "train/fine_tune.h"

namespace mlac {
namespace {

// MiniLM has 23 million, DistilBERT 66, BERT base 110.
constexpr size_t kMostWeightsOfSmall = 40'000'000;
constexpr double kRateOfSmall = 3e-4, kRateOfLarge = 1e-4, kFewLearnFaster = 10;

}  // namespace

LearningPace PaceFor(size_t steps_per_epoch, size_t num_weights, bool few_learn) {
  const TrainingOptions usual;
  if (steps_per_epoch * usual.num_epochs >= kEnoughSteps) return {usual.num_epochs, few_learn ? kLoraLearningRate : usual.learning_rate};
  const size_t num_epochs = std::clamp((kEnoughSteps + steps_per_epoch - 1) / steps_per_epoch, usual.num_epochs, kMostEpochs);
  return {num_epochs, (num_weights <= kMostWeightsOfSmall ? kRateOfSmall : kRateOfLarge) * (few_learn ? kFewLearnFaster : 1)};
}

std::string ShownRate(double rate) {
  std::string shown = fmt::format("{:.0e}", rate);
  if (const size_t zero = shown.find("e-0"); zero != std::string::npos) shown.erase(zero + 2, 1);
  return shown;
}

}  // namespace mlac
