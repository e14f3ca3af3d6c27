#pragma once
// How many epochs and which learning rate suit data of a size: what `mlac init` writes and what a training that ended too early is told to
// try.
#include <cstddef>
#include <string>

namespace mlac {

struct LearningPace {
  size_t num_epochs;
  double learning_rate;
};

// Below so many steps a training is short: it gets more epochs, at most kMostEpochs, and a higher rate.
inline constexpr size_t kEnoughSteps = 200, kMostEpochs = 40;

// steps_per_epoch: from 1. num_weights: of the whole model; a model of up to 40 million bears a higher rate. few_learn: an adapter or the
// head alone learns, which takes ten times the rate. The defaults of TrainingOptions (of an adapter kLoraLearningRate) where their epochs
// are enough steps.
LearningPace PaceFor(size_t steps_per_epoch, size_t num_weights, bool few_learn = false);

// "3e-4": a rate as people write it. One digit.
std::string ShownRate(double rate);

}  // namespace mlac
