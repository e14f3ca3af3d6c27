#include "train/training_notes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>

#include "base/display.h"
#include "train/learning_pace.h"

namespace mlac {
namespace {

// A loss that falls by less than this share of its whole fall has arrived, and so has one below this share of where it began.
constexpr double kStillFalling = 0.1, kMuchIsLeft = 0.05;
constexpr size_t kMostLabelsNamed = 10;

bool WasStillFalling(const std::vector<EpochReport>& epochs) {
  if (epochs.size() < 2 || !epochs.back().has_validation) return false;
  const double first = epochs.front().validation.loss, before = epochs[epochs.size() - 2].validation.loss,
               last = epochs.back().validation.loss;
  const bool is_lowest =
      std::all_of(epochs.begin(), epochs.end() - 1, [&](const EpochReport& epoch) { return epoch.validation.loss > last; });
  return is_lowest && before - last >= kStillFalling * (first - last) && last > kMuchIsLeft * first;
}

// What to try after a training that ended too early: more epochs in any case, and a higher rate where it was low.
std::string AdviceToGoOn(const TrainingOptions& options, const LearningPace& pace, bool as_keys) {
  const size_t num_epochs = options.num_epochs < pace.num_epochs ? pace.num_epochs : 2 * options.num_epochs;
  std::string advice = as_keys ? fmt::format("epochs: {}", num_epochs) : fmt::format("--epochs {}", num_epochs);
  if (pace.learning_rate > options.learning_rate) advice += (as_keys ? ", lr: " : " --lr ") + ShownRate(pace.learning_rate);
  return advice;
}

std::optional<std::string> NoteOnSilentLabels(const std::vector<std::string>& names, const std::vector<ClassMetrics>& labels,
                                              const std::string& title) {
  std::vector<std::string> silent;
  for (size_t i = 0; i < labels.size(); ++i)
    if (labels[i].support > 0 && labels[i].num_predicted == 0) silent.push_back(Quoted(names[i]));
  if (silent.empty()) return std::nullopt;
  const size_t count = silent.size();
  if (count > kMostLabelsNamed) silent.resize(kMostLabelsNamed);
  const std::string many = title == "entity" ? "entities" : title + "s";
  return fmt::format("{} {} never answered: {}{}", count, count == 1 ? title + " is" : many + " are", fmt::join(silent, ", "),
                     count > kMostLabelsNamed ? fmt::format(" and {} more", count - kMostLabelsNamed) : "");
}

}  // namespace

std::vector<std::string> NotesOnTraining(const TrainingResult& training, const TrainingOptions& options, size_t num_weights, bool few_learn,
                                         bool as_keys) {
  if (!WasStillFalling(training.epochs)) return {};
  LearningPace pace = PaceFor(training.epochs.front().step, num_weights, few_learn);
  const bool is_short = training.step_losses.size() < kEnoughSteps;
  if (!is_short) pace.learning_rate = std::max(pace.learning_rate, few_learn ? 1e-3 : 1e-4);  // the usual rate was not enough
  return {"the validation loss was still falling when training ended: try " + AdviceToGoOn(options, pace, as_keys)};
}

std::vector<std::string> NotesOnAnswers(const ClassificationMetrics& metrics, const Figures& figures) {
  std::vector<std::string> notes;
  const bool single_label = metrics.num_examples > 0;
  const std::optional<std::string> silent = single_label ? NoteOnSilentLabels(metrics.label_names, metrics.per_class, "label")
                                                         : NoteOnSilentLabels(figures.class_names, figures.per_class, figures.class_title);
  if (silent) notes.push_back(*silent);
  if (single_label) {
    const LargestClass largest = FindLargestClass(metrics);
    if (largest.share < 1 && metrics.accuracy <= largest.share)
      notes.push_back(fmt::format("accuracy {:.3f} is no better than always answering {} ({:.3f})", metrics.accuracy,
                                  Quoted(metrics.label_names[largest.label]), largest.share));
  }
  // The first error alone: all that have such a baseline tell the same.
  for (const Figure& figure : figures.figures) {
    if (!figure.of_mean || *figure.of_mean <= 0) continue;
    if (figure.value >= *figure.of_mean)
      notes.push_back(
          fmt::format("{} {:.3f} is no better than always answering the mean ({:.3f})", figure.title, figure.value, *figure.of_mean));
    break;
  }
  return notes;
}

}  // namespace mlac
