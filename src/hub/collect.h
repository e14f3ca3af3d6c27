#pragma once
// Removes from a store what nothing needs any more.
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "hub/store.h"

namespace mlac {

struct CollectOptions {
  size_t keep_last = 10;               // newest revisions of each name, and newest entries of each alias's history, that are kept
  std::vector<std::string> keep = {};  // further revisions, for layers above
  bool dry_run = false;
  std::function<void(const std::string&)> on_wait = {};  // as FileLock::Wait: something is being added
};

struct CollectResult {
  struct Removed {
    std::string revision;
    std::vector<std::string> names;
  };
  std::vector<Removed> revisions;        // removed, or with dry_run what would be; sorted
  std::vector<std::string> in_use;       // not needed, but open in a process: kept
  size_t num_revisions_kept = 0, num_blobs_removed = 0, num_leftovers_removed = 0;
  uint64_t num_bytes_freed = 0;
};

// Keeps the revisions that an alias stands for or stood for in its last moves, the newest ones of each name, those that are open, and all that these
// were made from. Nothing is removed if a record, manifest or alias is damaged: throws kInvalidInput with its name.
CollectResult CollectGarbage(const Store& store, const CollectOptions& options = {});

}  // namespace mlac
