#pragma once
// What a training's last lines and its card say of a model that has not learnt what it could.
#include <cstddef>
#include <string>
#include <vector>

#include "train/figures.h"
#include "train/metrics.h"
#include "train/trainer.h"

namespace mlac {

// What is told of the training itself: "the validation loss was still falling when training ended: try --epochs 25 --lr 3e-4", where the
// last epoch brought at least a tenth of the whole fall and much is left. num_weights, few_learn: as PaceFor has them. as_keys: the advice
// is for mlac.yaml.
std::vector<std::string> NotesOnTraining(const TrainingResult& training, const TrainingOptions& options, size_t num_weights, bool few_learn,
                                         bool as_keys);

// What is told of its answers: labels, of those with examples, that are never answered; figures no better than those of always giving one
// answer. metrics: of text-classification with one label a text, else empty.
std::vector<std::string> NotesOnAnswers(const ClassificationMetrics& metrics, const Figures& figures);

}  // namespace mlac
