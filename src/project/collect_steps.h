#pragma once
// What `mlac gc` does with the results of steps: each is needed as long as it is the last one that a model of an mlac.yaml has of a step.
#include <cstdint>
#include <string>
#include <vector>

#include "hub/store.h"
#include "project/data_profile.h"

namespace mlac {

struct CollectedSteps {
  struct Removed {
    std::string key, step, model;  // step and model "" where the record is damaged
    uint64_t num_bytes = 0;
  };
  std::vector<Removed> steps;           // removed, or with dry_run what would be; by key
  std::vector<std::string> models;      // that stand no longer in the mlac.yaml which they were made by
  RemovedDataProfiles profiles;         // of data of which neither an mlac.yaml nor a result that is kept knows any more
  std::vector<std::string> unreadable;  // a line for each mlac.yaml that cannot be read: what its models need is kept
  uint64_t num_bytes() const;
};

// Needed is the last result that a model has of each step which its mlac.yaml still asks for. Models are known by the mlac.yaml that
// `mlac apply` made them by last; where that file is not there, or not on this machine, all that the model has is needed, and every
// profile of data. Unless dry_run is set the lock of `apply` must be held; with it an apply may be at work.
CollectedSteps CollectSteps(const Store& store, bool dry_run);

// What the bases of these files stand for, as far as it is there: for CollectOptions::keep, as no record may name it yet.
std::vector<std::string> BaseRevisionsOfProjects(const Store& store);

}  // namespace mlac
