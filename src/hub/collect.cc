#include "hub/collect.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <map>
#include <set>
#include <span>

#include "base/folder_contents.h"
#include "base/system_call.h"
#include "hub/aliases.h"
#include "hub/checkout.h"

namespace mlac {
namespace {

// Revisions that are removed together. Each is an open file meanwhile; a sync for all of them takes the time of one.
constexpr size_t kMostLocks = 64;

// By revision: the records that it has.
using AllRecords = std::map<std::string, std::vector<Record>>;

void Unlink(const std::string& path) {
  if (unlink(path.c_str()) != 0 && errno != ENOENT) ThrowSystem("cannot remove", path, errno);
}

// The lock of a revision that nobody has open; none if somebody has.
FileDescriptor LockIfUnused(const std::string& manifest) {
  constexpr int kFlags = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
  // For writing, which network file systems want for an exclusive lock; for reading where another user's file refuses that.
  FileDescriptor file(Retry([&] { return open(manifest.c_str(), O_RDWR | kFlags); }));
  if (file.get() < 0) file = FileDescriptor(Retry([&] { return open(manifest.c_str(), O_RDONLY | kFlags); }));
  if (file.get() < 0) ThrowSystem("cannot open", manifest, errno);
  if (Retry([&] { return flock(file.get(), LOCK_EX | LOCK_NB); }) == 0) return file;
  if (errno != EWOULDBLOCK) ThrowSystem("cannot lock", manifest, errno);
  return FileDescriptor();
}

class Collector {
 public:
  Collector(const Store& store, const CollectOptions& options) : store_(store), options_(options) {}

  CollectResult Run() {
    ReadRecords();
    FindNeeded();
    // Read in full before the first one goes: a manifest that is damaged names no blobs, and they would all be lost.
    for (const std::string& revision : store_.Revisions()) manifests_.emplace(revision, store_.ReadManifest(revision));
    std::vector<std::string> unneeded;
    for (const auto& [revision, manifest] : manifests_)
      if (!needed_.contains(revision)) unneeded.push_back(revision);
    for (size_t i = 0; i < unneeded.size(); i += kMostLocks)
      RemoveRevisions(std::span(unneeded).subspan(i, std::min(kMostLocks, unneeded.size() - i)));
    // What names blobs must be gone from the disk before they are.
    if (!options_.dry_run && !result_.revisions.empty()) SyncFolder(store_.Part("revisions"));
    RemoveBlobs();
    RemoveLeftovers();
    result_.num_revisions_kept = manifests_.size() - result_.revisions.size();
    return std::move(result_);
  }

 private:
  void ReadRecords() {
    for (const std::string& name : store_.Names()) {
      std::vector<Record> log = store_.Log(name);
      for (size_t i = 0; i < std::min(log.size(), options_.keep_last); ++i) Need(log[i].revision);
      for (Record& record : log) records_[record.revision].push_back(std::move(record));
    }
  }

  void Need(const std::string& revision) {
    if (needed_.insert(revision).second) waiting_.push_back(revision);
  }

  void FindNeeded() {
    const Aliases aliases(store_);
    for (const std::string& name : NamesIn(store_.Part("aliases"))) {
      if (!IsArtefactName(name)) continue;
      for (const std::string& alias : aliases.Of(name)) {
        const std::vector<AliasMove> history = aliases.History(name, alias);
        for (size_t i = history.size() - std::min(history.size(), options_.keep_last); i < history.size(); ++i) Need(history[i].revision);
        // Where it stands now, and where a rollback leads, always.
        const std::vector<std::string> standing = aliases.Standing(name, alias);
        const size_t num_kept = std::min<size_t>(standing.size(), alias == kLatest ? 1 : 2);  // nobody rolls 'latest' back
        for (size_t i = standing.size() - num_kept; i < standing.size(); ++i) Need(standing[i]);
      }
    }
    for (const std::string& revision : options_.keep) Need(revision);
    while (!waiting_.empty()) {
      const std::string revision = waiting_.back();
      waiting_.pop_back();
      for (const Record& record : records_[revision]) {
        if (!record.base.empty()) Need(record.base);
        for (const auto& [role, data] : record.data) Need(data);
        if (!record.answers.empty()) Need(record.answers);
      }
    }
  }

  // Those that nobody has open. The records first, and off the disk before their revision: one without it would be damage, a revision
  // without records is what the next collection removes.
  void RemoveRevisions(std::span<const std::string> revisions) {
    std::vector<FileDescriptor> locks;
    std::vector<std::string> removed;
    std::set<std::string> changed_folders;
    for (const std::string& revision : revisions) {
      FileDescriptor lock = LockIfUnused(ManifestOf(revision));
      if (lock.get() < 0) {
        result_.in_use.push_back(revision);
        continue;
      }
      locks.push_back(std::move(lock));
      removed.push_back(revision);
      CollectResult::Removed& told = result_.revisions.emplace_back();
      told.revision = revision;
      for (const Record& record : records_[revision]) {
        told.names.push_back(record.name);
        if (options_.dry_run) continue;
        const std::string folder = store_.Part("records/" + record.name);
        Unlink(fmt::format("{}/{}.json", folder, revision));
        changed_folders.insert(folder);
      }
    }
    if (options_.dry_run) return;
    for (const std::string& folder : changed_folders) SyncFolder(folder);
    for (const std::string& revision : removed) {
      // In one step, so that none is left in pieces.
      const std::string checkout = store_.Part("checkouts") + "/" + revision, aside = store_.Part("tmp") + "/checkout-" + revision;
      RemoveAll(aside);  // of a collection that was killed here, since when the revision came back
      if (rename(checkout.c_str(), aside.c_str()) != 0 && errno != ENOENT) ThrowSystem("cannot remove", checkout, errno);
      RemoveAll(aside);
      Unlink(ManifestOf(revision));
    }
  }

  std::string ManifestOf(const std::string& revision) const { return store_.Part("revisions") + "/" + revision; }

  void RemoveBlobs() {
    std::set<std::string> removed, kept;
    for (const CollectResult::Removed& revision : result_.revisions) removed.insert(revision.revision);
    for (const auto& [revision, manifest] : manifests_)
      if (!removed.contains(revision))
        for (const ManifestEntry& entry : manifest.entries()) kept.insert(entry.sha256);
    const std::string blobs = store_.Part("blobs");
    for (const std::string& begin : NamesIn(blobs)) {
      const std::string folder = blobs + "/" + begin;
      if (!IsFolderItself(folder)) continue;
      for (const std::string& name : NamesIn(folder)) {
        const std::string path = folder + "/" + name;
        struct stat status;
        if (kept.contains(name) || lstat(path.c_str(), &status) != 0 || S_ISDIR(status.st_mode)) continue;
        ++result_.num_blobs_removed;
        result_.num_bytes_freed += static_cast<uint64_t>(status.st_size);
        if (!options_.dry_run) Unlink(path);
      }
    }
  }

  // What processes left that were killed; none is at work, since the store is locked.
  void RemoveLeftovers() {
    const auto remove = [&](const std::string& path) {
      ++result_.num_leftovers_removed;
      if (!options_.dry_run) RemoveAll(path);
    };
    const auto remove_partial = [&](const std::string& folder) {
      if (!IsFolderItself(folder)) return;
      for (const std::string& name : NamesIn(folder))
        if (name.find(".partial-") != std::string::npos) remove(folder + "/" + name);
    };
    for (const std::string& name : NamesIn(store_.Part("tmp"))) remove(store_.Part("tmp") + "/" + name);
    for (const std::string& name : NamesIn(store_.Part("checkouts")))
      if (!manifests_.contains(name)) remove(store_.Part("checkouts") + "/" + name);
    remove_partial(store_.folder());
    for (const std::string part : {"index", "revisions"}) remove_partial(store_.Part(part));
    for (const std::string part : {"records", "aliases"})
      for (const std::string& name : NamesIn(store_.Part(part))) remove_partial(store_.Part(part) + "/" + name);
  }

  const Store& store_;
  const CollectOptions& options_;
  AllRecords records_;
  std::map<std::string, Manifest> manifests_;
  std::set<std::string> needed_;
  std::vector<std::string> waiting_;  // needed, and what they were made from not yet looked at
  CollectResult result_;
};

}  // namespace

CollectResult CollectGarbage(const Store& store, const CollectOptions& options) {
  // A dry run removes nothing, so that it waits for nobody.
  const FileLock lock = store.Lock(options.dry_run ? LockMode::kShared : LockMode::kExclusive, "gc", options.on_wait);
  return Collector(store, options).Run();
}

}  // namespace mlac
