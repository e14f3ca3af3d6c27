#pragma once
// Makes a published model once more, from its record alone, and compares.
#include <atomic>
#include <string>
#include <vector>

#include "hub/aliases.h"
#include "project/model_task.h"

namespace mlac {

struct Reproduction {
  std::string revision, found;         // what was published, and what was made now
  std::vector<std::string> different;  // paths of files that are not the same, or are in one of both alone
  bool equal() const { return revision == found; }
};

// Trains from the base, the data and the parameters of the record. Holds the lock of `apply`; what an interruption leaves is gone on from
// the next time. Throws kUnsupported for a revision whose record does not say what it was made from (it was added, not made by `mlac
// apply`) or that was made by another version of mlac, kCancelled once stop is true, and what training throws.
Reproduction Reproduce(const Store& store, const ResolvedReference& reference, size_t num_threads, FineTuneObserver& observer,
                       const std::atomic<bool>& stop);

}  // namespace mlac
