#include "hub/blob_writer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <set>

#include "base/error.h"
#include "base/system_call.h"
#include "hub/copy_file.h"

namespace mlac {
namespace {

// With more files than this one sync of the whole file system is faster than one of each file.
constexpr size_t kMostSingleSyncs = 32;

void SyncFileSystem(const std::string& folder) {
  const FileDescriptor fd(Retry([&] { return open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (fd.get() < 0) ThrowSystem("cannot open", folder, errno);
  if (Retry([&] { return syncfs(fd.get()); }) != 0) ThrowSystem("cannot sync", folder, errno);
}

}  // namespace

BlobWriter::BlobWriter(const Store& store) : store_(store), staging_(store.Part("tmp") + "/add", /*overwrite=*/false) {}

void BlobWriter::Add(const ManifestEntry& entry, const FileDescriptor& file, const std::string& shown) {
  if (FileExists(Staged(entry.sha256))) return;  // another file of the same content
  constexpr unsigned kReadOnly = 0444;           // nobody writes to a blob by mistake
  if (CopyFile(file, shown, Staged(entry.sha256), kReadOnly) != entry.sha256)
    throw Error(ErrorCode::kIo, fmt::format("{}: was written to while it was read", shown), "start again when it is whole");
  added_.push_back(entry.sha256);
}

void BlobWriter::SyncAll(const std::vector<std::string>& files, const std::vector<std::string>& folders) const {
  if (added_.size() > kMostSingleSyncs) return SyncFileSystem(store_.folder());
  for (const std::string& path : files) {
    const FileDescriptor file(Retry([&] { return open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW); }));
    if (file.get() < 0) ThrowSystem("cannot open", path, errno);
    SyncFile(file.get(), path);
  }
  for (const std::string& folder : folders) SyncFolder(folder);
}

void BlobWriter::Commit() {
  if (added_.empty()) return;
  std::vector<std::string> staged;
  std::set<std::string> folders;
  for (const std::string& sha256 : added_) {
    staged.push_back(Staged(sha256));
    folders.insert(store_.Part("blobs/" + sha256.substr(0, 2)));
  }
  SyncAll(staged, {});
  for (const std::string& sha256 : added_) {
    const std::string path = store_.BlobPath(sha256);
    if (rename(Staged(sha256).c_str(), path.c_str()) != 0) ThrowSystem("cannot create", path, errno);
  }
  std::vector<std::string> changed(folders.begin(), folders.end());
  changed.push_back(store_.Part("blobs"));
  SyncAll({}, changed);
  added_.clear();
}

}  // namespace mlac
