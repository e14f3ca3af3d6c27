#pragma once
// The room on a disk that a training needs, known before its first step.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "models/model.h"
#include "train/trainer.h"

namespace mlac {

struct TrainingSpace {
  uint64_t result = 0;          // bytes of the weights that are written at the end
  uint64_t checkpoint = 0;      // bytes of one checkpoint: value and two moments of what learns, and its value in the best epoch
  size_t num_checkpoints = 0;   // that are written while it trains; one when it is interrupted comes on top, and need not fit
  bool has_checkpoint = false;  // there is one already, to resume from

  // The most that is needed beside what is there: a checkpoint is written beside the one before, and the result beside the last one.
  uint64_t BytesNeeded() const;
};

// adapter: the adapter and the head are written, not all weights.
TrainingSpace SpaceOf(const Model& model, const TrainingOptions& options, size_t num_examples, bool has_validation, bool adapter,
                      bool has_checkpoint);

// Throws kResourceExhausted with both numbers where there is less room than that in the file system of `folder`. free_bytes: as FreeBytes.
// as_keys: the training is one of mlac.yaml, without options.
void CheckSpace(const TrainingSpace& space, const std::string& folder,
                const std::function<std::optional<uint64_t>(const std::string& path)>& free_bytes, bool as_keys);

}  // namespace mlac
