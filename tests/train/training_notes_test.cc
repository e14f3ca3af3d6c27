// What is said of a training that has not learnt what it could, and what it is told to try.
#include "train/training_notes.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "train/fine_tune.h"
#include "train/learning_pace.h"
#include "train/regression_metrics.h"
#include "train/set_metrics.h"

namespace mlac {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr size_t kSmall = 23'000'000, kLarge = 110'000'000;

// A training whose validation losses were these, of steps_per_epoch steps each.
TrainingResult Losses(const std::vector<double>& losses, size_t steps_per_epoch = 8) {
  TrainingResult result;
  for (const double loss : losses)
    result.epochs.push_back({.epoch = result.epochs.size() + 1,
                             .step = steps_per_epoch * (result.epochs.size() + 1),
                             .has_validation = true,
                             .validation = {.loss = loss, .figures = {}}});
  result.step_losses.resize(steps_per_epoch * losses.size());
  return result;
}

std::vector<std::string> Notes(const TrainingResult& result, TrainingOptions options = {}, size_t num_weights = kSmall, bool few = false) {
  options.num_epochs = std::max(options.num_epochs, result.epochs.size());
  return NotesOnTraining(result, options, num_weights, few, /*as_keys=*/false);
}

constexpr char kFalling[] = "the validation loss was still falling when training ended: try ";

TEST(PaceFor, GivesShortTrainingsMoreEpochsAndAHigherRate) {
  const auto pace = [](size_t steps, size_t weights, bool few = false) {
    const LearningPace found = PaceFor(steps, weights, few);
    return fmt::format("{} {}", found.num_epochs, ShownRate(found.learning_rate));
  };
  EXPECT_EQ(pace(67, kSmall), "3 5e-5") << "3 epochs are 201 steps";
  EXPECT_EQ(pace(66, kSmall), "4 3e-4") << "3 epochs are 198 steps";
  EXPECT_EQ(pace(8, kSmall), "25 3e-4");
  EXPECT_EQ(pace(8, 40'000'000), "25 3e-4");
  EXPECT_EQ(pace(8, 40'000'001), "25 1e-4");
  EXPECT_EQ(pace(5, kSmall), "40 3e-4");
  EXPECT_EQ(pace(1, kSmall), "40 3e-4") << "no more than 40";
  EXPECT_EQ(pace(8, kSmall, true), "25 3e-3");
  EXPECT_EQ(pace(67, kSmall, true), "3 5e-4");
}

TEST(NotesOnTraining, SayWhatToTryWhereTheLossWasStillFalling) {
  EXPECT_THAT(Notes(Losses({1.6, 1.55, 1.5})), ElementsAre(kFalling + std::string("--epochs 25 --lr 3e-4")));
  EXPECT_THAT(Notes(Losses({1.6, 1.55, 1.5}), {}, kLarge), ElementsAre(kFalling + std::string("--epochs 25 --lr 1e-4")));
  EXPECT_THAT(Notes(Losses({1.6, 1.55, 1.5}), {.learning_rate = 3e-4}), ElementsAre(kFalling + std::string("--epochs 25")));
  EXPECT_THAT(Notes(Losses({1.6, 1.55, 1.5}), {.num_epochs = 25, .learning_rate = 3e-4}),
              ElementsAre(kFalling + std::string("--epochs 50")));
  EXPECT_THAT(Notes(Losses({1.6, 1.55, 1.5}, 100)), ElementsAre(kFalling + std::string("--epochs 6 --lr 1e-4"))) << "a long training";
  EXPECT_THAT(Notes(Losses({1.6, 1.55, 1.5}), {.learning_rate = 5e-4}, kSmall, true),
              ElementsAre(kFalling + std::string("--epochs 25 --lr 3e-3")));
  EXPECT_THAT(NotesOnTraining(Losses({1.6, 1.55, 1.5}), {}, kSmall, false, /*as_keys=*/true),
              ElementsAre(kFalling + std::string("epochs: 25, lr: 3e-4")));
}

TEST(NotesOnTraining, SayNothingOfALossThatHasArrived) {
  EXPECT_THAT(Notes(Losses({})), IsEmpty());
  EXPECT_THAT(Notes(Losses({1.6})), IsEmpty()) << "nothing to compare with";
  EXPECT_THAT(Notes(Losses({1.6, 1.4, 1.41})), IsEmpty()) << "it rose";
  EXPECT_THAT(Notes(Losses({1.6, 1.3, 1.5, 1.4})), IsEmpty()) << "it was lower before";
  EXPECT_THAT(Notes(Losses({1.5, 0.55, 0.5})), IsEmpty()) << "a twentieth of the whole fall";
  EXPECT_THAT(Notes(Losses({1.5, 0.65, 0.5})), ElementsAre(kFalling + std::string("--epochs 25 --lr 3e-4"))) << "more than a tenth";
  EXPECT_THAT(Notes(Losses({1.0, 0.05})), IsEmpty()) << "hardly anything is left";
  TrainingResult without = Losses({1.6, 1.5});
  for (EpochReport& epoch : without.epochs) epoch.has_validation = false;
  EXPECT_THAT(Notes(without), IsEmpty());
}

TEST(NotesOnAnswers, NameLabelsThatAreNeverAnswered) {
  const std::vector<std::string> names = {"Bug", "Shipping", "Feature\nrequest", "absent"};
  const std::vector<int32_t> truth = {0, 0, 1, 2};
  EXPECT_THAT(NotesOnAnswers(ComputeMetrics(truth, std::vector<int32_t>{0, 1, 1, 2}, {}, names), {}), IsEmpty())
      << "a label without an example is not to be answered";
  EXPECT_THAT(NotesOnAnswers(ComputeMetrics(truth, std::vector<int32_t>{0, 0, 1, 1}, {}, names), {}),
              ElementsAre("1 label is never answered: 'Feature\\nrequest'"));
  EXPECT_THAT(NotesOnAnswers(ComputeMetrics(truth, std::vector<int32_t>{0, 0, 0, 0}, {}, names), {}),
              ElementsAre("2 labels are never answered: 'Shipping', 'Feature\\nrequest'",
                          "accuracy 0.500 is no better than always answering 'Bug' (0.500)"));
  EXPECT_THAT(NotesOnAnswers(ComputeMetrics(std::vector<int32_t>{0, 0}, std::vector<int32_t>{0, 0}, {}, names), {}), IsEmpty())
      << "of one label all is known";
  std::vector<std::string> many;
  std::vector<int32_t> each;
  for (int32_t i = 0; i < 12; ++i) many.push_back(fmt::format("l{}", i)), each.push_back(i);
  EXPECT_THAT(NotesOnAnswers(ComputeMetrics(each, std::vector<int32_t>(12, 0), {}, many), {}).front(),
              "11 labels are never answered: 'l1', 'l2', 'l3', 'l4', 'l5', 'l6', 'l7', 'l8', 'l9', 'l10' and 1 more");
}

TEST(NotesOnAnswers, NameEntitiesAndSetsThatAreNeverFound) {
  const std::vector<SetCount> counts = {{.example = 0, .label = 0, .correct = 1, .support = 1, .predicted = 1},
                                        {.example = 0, .label = 1, .support = 1},
                                        {.example = 1, .label = 2, .support = 2}};
  Figures figures = ComputeSetMetrics(2, counts, {"PER", "LOC", "ORG"}, {.intervals = false});
  EXPECT_THAT(NotesOnAnswers({}, figures), ElementsAre("2 labels are never answered: 'LOC', 'ORG'"));
  figures.class_title = "entity";
  EXPECT_THAT(NotesOnAnswers({}, figures), ElementsAre("2 entities are never answered: 'LOC', 'ORG'"));
}

TEST(NotesOnAnswers, CompareNumbersWithTheirMean) {
  const std::vector<float> truth = {1, 2, 3};
  const Figures worse = ComputeRegressionMetrics(truth, std::vector<float>{3, 2, 1}, {.intervals = false});
  EXPECT_EQ(worse.figures[0].of_mean, 2.0 / 3);
  EXPECT_EQ(worse.figures[1].of_mean, 2.0 / 3);
  EXPECT_FALSE(worse.figures[2].of_mean) << "a correlation has no such baseline";
  EXPECT_THAT(NotesOnAnswers({}, worse), ElementsAre("mean squared error 2.667 is no better than always answering the mean (0.667)"));
  const Figures better = ComputeRegressionMetrics(truth, std::vector<float>{1, 2, 2.5f}, {.intervals = false});
  EXPECT_THAT(NotesOnAnswers({}, better), IsEmpty());
  EXPECT_THAT(FiguresJson(better), ::testing::HasSubstr("\"baseline\": {\"mse\": 0.6666666666666666, \"mae\": 0.6666666666666666}"));
  EXPECT_THAT(FiguresReport(better, "x.csv"), ::testing::HasSubstr("   always the mean: 0.6667\n"));
  const std::vector<float> same = {2, 2};
  EXPECT_THAT(NotesOnAnswers({}, ComputeRegressionMetrics(same, std::vector<float>{2, 3}, {.intervals = false})), IsEmpty())
      << "of equal numbers the mean is all there is to know";
}

}  // namespace
}  // namespace mlac
