// Which epoch is kept and when training stops, by what was measured after each.
#include "train/epoch_choice.h"

#include <gtest/gtest.h>

namespace mlac {
namespace {

// Epochs of 4 steps.
std::vector<EpochReport> Epochs(const std::vector<ValidationReport>& reports) {
  std::vector<EpochReport> epochs;
  for (const ValidationReport& report : reports)
    epochs.push_back({.epoch = epochs.size() + 1, .step = 4 * (epochs.size() + 1), .has_validation = true, .validation = report});
  return epochs;
}

ValidationReport Measured(double loss, double score, bool is_telling = true) {
  return {.loss = loss, .figures = {}, .score = score, .is_telling = is_telling};
}

TEST(IsBetter, GoesByTheScoreAndOfEqualScoresByTheLoss) {
  EXPECT_TRUE(IsBetter(Measured(2, 0.6), Measured(1, 0.5)));
  EXPECT_FALSE(IsBetter(Measured(1, 0.5), Measured(2, 0.6)));
  EXPECT_TRUE(IsBetter(Measured(0.9, 0.5), Measured(1, 0.5)));
  EXPECT_FALSE(IsBetter(Measured(1, 0.5), Measured(0.9, 0.5)));
  EXPECT_FALSE(IsBetter(Measured(1, 0.5), Measured(1, 0.5))) << "the first of equals stays";
}

TEST(IsBetter, GoesByTheLossWhileNoScoreSaysAnything) {
  EXPECT_TRUE(IsBetter(Measured(0.9, 0.0, false), Measured(1, 0.13, false)));
  EXPECT_FALSE(IsBetter(Measured(1, 0.13, false), Measured(0.9, 0.0, false)));
  EXPECT_TRUE(IsBetter(Measured(2, 0.3), Measured(1, 0.4, false))) << "a score that says something counts before one that does not";
  EXPECT_FALSE(IsBetter(Measured(1, 0.4, false), Measured(2, 0.3)));
}

TEST(EpochsWithoutProgress, CountsThoseWithNeitherABetterScoreNorALowerLoss) {
  EXPECT_EQ(EpochsWithoutProgress({}, 0), 0u);
  EXPECT_EQ(EpochsWithoutProgress(Epochs({Measured(1, 0)}), 0), 0u) << "before the first there is nothing";
  EXPECT_EQ(EpochsWithoutProgress(Epochs({Measured(1, 0.5), Measured(1, 0.5)}), 0), 1u);
  EXPECT_EQ(EpochsWithoutProgress(Epochs({Measured(1, 0.5), Measured(1.1, 0.4), Measured(1.2, 0.3)}), 0), 2u);
  EXPECT_EQ(EpochsWithoutProgress(Epochs({Measured(1, 0.5), Measured(1.1, 0.4), Measured(1.2, 0.6)}), 0), 0u) << "a better score";
  EXPECT_EQ(EpochsWithoutProgress(Epochs({Measured(1, 0.5), Measured(1.1, 0.4), Measured(0.9, 0.3)}), 0), 0u) << "a lower loss";
  EXPECT_EQ(EpochsWithoutProgress(Epochs({Measured(1, 0.5), Measured(0.5, 0.1), Measured(0.9, 0.4)}), 0), 1u)
      << "against the best of all before";
}

TEST(EpochsWithoutProgress, DoesNotCountEpochsOfTheWarmUp) {
  const std::vector<EpochReport> epochs =
      Epochs({Measured(1, 0.5), Measured(1.1, 0.4), Measured(1.2, 0.3), Measured(1.3, 0.2)});  // steps 4, 8, 12, 16
  EXPECT_EQ(EpochsWithoutProgress(epochs, 7), 3u);
  EXPECT_EQ(EpochsWithoutProgress(epochs, 8), 2u);
  EXPECT_EQ(EpochsWithoutProgress(epochs, 15), 1u);
  EXPECT_EQ(EpochsWithoutProgress(epochs, 16), 0u);
}

}  // namespace
}  // namespace mlac
