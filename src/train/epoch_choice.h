#pragma once
// Which epoch of a training is kept, and when training stops before its last one. Both follow from what was measured after each epoch, so a
// training that is resumed decides alike.
#include <cstddef>
#include <span>

#include "train/trainer.h"

namespace mlac {

// Whether the epoch with this report is kept in place of the other: by the score, of equal scores by the lower loss. A score that says
// something counts before one that does not; of two that say nothing the lower loss decides. false for equals.
bool IsBetter(const ValidationReport& report, const ValidationReport& than);

// How many epochs at the end are not better than those before, neither by the score nor by the loss. An epoch that ends within the warm-up
// is not counted: the learning rate was not yet what was asked for. All have a validation.
size_t EpochsWithoutProgress(std::span<const EpochReport> epochs, size_t num_warmup_steps);

}  // namespace mlac
