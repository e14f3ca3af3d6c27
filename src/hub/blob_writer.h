#pragma once
// Puts files into the store's blobs, so that each is there with all its bytes or not at all.
#include <string>
#include <vector>

#include "base/file.h"
#include "hub/manifest.h"
#include "hub/store.h"

namespace mlac {

// Files are gathered beside the blobs, synced together, then renamed: a hundred thousand small ones need two syncs of the file system, not two of each
// file. Without Commit the destructor removes them. The store's lock must be held, so that no garbage collection takes them away.
class BlobWriter {
 public:
  explicit BlobWriter(const Store& store);

  // Copies `file`, which has to be what `entry` says. shown: its path, for messages. Throws kIo if it has other bytes by now; kResourceExhausted.
  void Add(const ManifestEntry& entry, const FileDescriptor& file, const std::string& shown);
  void Commit();

 private:
  void SyncAll(const std::vector<std::string>& files, const std::vector<std::string>& folders) const;
  std::string Staged(const std::string& sha256) const { return staging_.path() + "/" + sha256; }

  const Store& store_;
  StagedFolder staging_;
  std::vector<std::string> added_;  // SHA-256 of each
};

}  // namespace mlac
