#pragma once
// A store: the folder (.mlac) in which models, data sets and reports are kept under revisions, each file once. docs/file-formats.md has the layout.
// Several threads and processes may use one store at once. Whatever ends a process, each step has happened as a whole or not at all; what was left
// over is removed by CollectGarbage (collect.h).
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "hub/lock.h"
#include "hub/manifest.h"
#include "hub/record.h"
#include "hub/scan.h"

namespace mlac {

struct AddOptions {
  std::function<void(const ScanProgress&)> on_progress = {};
  std::function<void(const std::string&)> on_wait = {};  // as FileLock::Wait: a garbage collection runs
};

class PrivateFolder;

// A revision as a folder (or the folder of one file) to read from. As long as this object lives no garbage collection removes it.
class RevisionFolder {
 public:
  // copy: the folder that path lies in, where it is a copy; else null.
  RevisionFolder(std::string revision, std::string path, FileDescriptor lease, std::shared_ptr<const PrivateFolder> copy = nullptr)
      : revision_(std::move(revision)), path_(std::move(path)), lease_(std::move(lease)), copy_(std::move(copy)) {}
  const std::string& revision() const { return revision_; }
  const std::string& path() const { return path_; }  // absolute

 private:
  std::string revision_, path_;
  FileDescriptor lease_;  // a shared lock on the revision's manifest
  std::shared_ptr<const PrivateFolder> copy_;
};

class Store {
 public:
  // Throws kNotFound if there is no folder, kInvalidInput if it is no store, is of another format_version, or a part of it is a link.
  static Store Open(const std::string& folder);
  // Makes it first if nothing is there. Throws kAlreadyExists for a folder that is not empty and no store.
  static Store OpenOrCreate(const std::string& folder);
  // The .mlac of `start` or of the nearest folder above it that has one, as git finds .git; "" if there is none.
  static std::string Find(const std::string& start = ".");

  const std::string& folder() const { return folder_; }  // absolute, links resolved

  // ---- Revisions ----

  // The revision that Add would give, without adding; reads only what changed since the last scan of source.
  Manifest ScanSource(const std::string& source, const std::function<void(const ScanProgress&)>& on_progress = {}) const;

  // Puts a folder or one file into the store and gives its revision; nothing happens if it is there under that name. No alias moves (aliases.h:
  // Publish). record: its name must be set, and what it was made from must be in the store. Where the store has the revision under that name
  // already, its first record stays. Throws as Scan; kInvalidArgument for a bad name; kNotFound for a base or data revision that is not there;
  // kResourceExhausted, kIo.
  std::string Add(const std::string& source, Record record, const AddOptions& options = {}) const;

  bool Has(std::string_view revision) const;  // false for what is no revision, too
  // All throw kNotFound if the store does not have the revision, kInvalidInput if what is kept about it is damaged.
  Manifest ReadManifest(std::string_view revision) const;
  std::vector<Record> RecordsOf(std::string_view revision) const;  // one a name, sorted by name; none if an Add was interrupted
  // Gives the revision as a folder of links to the store's files, for reading. Where those links are not there yet and the store cannot be
  // written, the folder is a copy of the files (private_folder.h) that goes with the RevisionFolder; each is compared with its hash. Throws
  // kInvalidInput if a file of it is missing, or where it is copied has other bytes; kIo, kResourceExhausted where it cannot be copied.
  RevisionFolder OpenFolder(std::string_view revision) const;
  // The only file of a revision that was added from one file. Throws kInvalidArgument if it has several.
  std::string OnlyFile(const RevisionFolder& folder) const;
  // Writes a copy into a folder of the user's, whole or not at all; as StagedFolder for what stands there.
  void Export(std::string_view revision, const std::string& target, bool overwrite) const;

  std::vector<std::string> Revisions() const;  // all, sorted
  std::vector<std::string> Names() const;      // those that have records, sorted
  std::vector<std::string> RevisionsOf(std::string_view name) const;  // sorted; empty for a name that is not known
  // The record of a revision under a name; nothing if there is none.
  std::optional<Record> FindRecord(std::string_view name, std::string_view revision) const;
  // The records of a name, newest first; empty for a name that is not known.
  std::vector<Record> Log(std::string_view name) const;

  // ---- For the other parts of hub/, and for state of layers above that belongs to the store ----

  // A folder of the store ("aliases"), made if it is not there. Throws kInvalidInput if it is a link or a file.
  std::string Part(std::string_view name) const;
  std::string BlobPath(std::string_view sha256) const;
  // Shared: nothing is removed as long as it lives; exclusive: for who removes.
  FileLock Lock(LockMode mode, const std::string& purpose, const std::function<void(const std::string&)>& on_wait = {}) const;

 private:
  explicit Store(std::string folder) : folder_(std::move(folder)) {}
  bool HasBlob(const ManifestEntry& entry) const;  // whether it is there, in the right size
  FileDescriptor Lease(std::string_view revision) const;
  bool MayCheckOut() const;
  std::string folder_;
};

}  // namespace mlac
