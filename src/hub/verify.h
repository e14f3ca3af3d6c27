#pragma once
// Reads all of a store and says what is not as it was written.
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "hub/store.h"

namespace mlac {

struct Damage {
  std::string path;     // of the file, inside the store: "blobs/ab/abcd..."
  std::string message;  // one line, without the path: "is missing", "has other bytes than its name says"
  std::vector<std::string> needed_by = {};  // "topics@1234567890 model.safetensors"; empty if nothing needs it
};

struct VerifyResult {
  std::vector<Damage> damages;  // sorted by path
  size_t num_revisions = 0, num_blobs = 0;
  uint64_t num_bytes = 0;  // of blobs
  size_t num_unneeded = 0;  // blobs that no revision has: `mlac gc` removes them
};

VerifyResult Verify(const Store& store, const std::function<void(uint64_t done, uint64_t total)>& on_progress = {});

}  // namespace mlac
