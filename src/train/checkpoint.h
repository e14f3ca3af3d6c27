#pragma once
// The state of a training run on disk: written whole or not at all, and read back bit for bit.
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "train/optimizer.h"
#include "train/trainer.h"

namespace mlac {

// All that a run needs to go on, besides weights and moments.
struct TrainingState {
  size_t step = 0;       // steps done
  size_t num_steps = 0;  // of the whole run, unless it stops early
  std::vector<double> step_losses;
  std::vector<EpochReport> epochs;
  size_t best_epoch = 0;  // from 1; 0: none yet
  bool stopped_early = false;
};

// Replaces the checkpoint in `folder`, and makes the folder above it if there is none. best: weights of the best epoch, in the optimiser's
// order, or empty; best_is_saved: the checkpoint that is replaced holds them already (its file is linked, not written again). Throws as
// StagedFolder does; the old checkpoint is then as it was, and a folder above that was made for this one is gone.
void WriteCheckpoint(const std::string& folder, const std::map<std::string, std::string>& identity, const TrainingState& state, Optimizer& optimizer,
                     const std::vector<Tensor>& best, bool best_is_saved);

// Restores weights and moments into the optimiser, and `best`. Throws kNotFound if there is none, kInvalidInput if it is of another format,
// of a run with another identity (naming what differs), or does not hold every bit that was written.
TrainingState ReadCheckpoint(const std::string& folder, const std::map<std::string, std::string>& identity, Optimizer& optimizer,
                             std::vector<Tensor>& best);

// How far the run had come that left the checkpoint in `folder`: steps done and of the whole. Nothing where there is no checkpoint or it
// cannot be read; whether it is whole and of this run only ReadCheckpoint says.
struct CheckpointProgress {
  size_t step = 0, num_steps = 0;
};
std::optional<CheckpointProgress> LookAtCheckpoint(const std::string& folder);

}  // namespace mlac
