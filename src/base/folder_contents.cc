#include "base/folder_contents.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string_view>
#include <utility>

#include "base/file.h"
#include "base/system_call.h"

namespace mlac {
namespace {

constexpr int kFolderFlags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW;

struct CloseFolder {
  void operator()(DIR* folder) const { closedir(folder); }
};

int ReadNamesOf(FileDescriptor folder, std::vector<std::string>& names) {
  const std::unique_ptr<DIR, CloseFolder> open_folder(fdopendir(folder.get()));
  if (!open_folder) return errno;
  folder.Release();
  for (;;) {
    errno = 0;
    const dirent* const entry = readdir(open_folder.get());
    if (entry == nullptr) return errno;
    if (const std::string_view name = entry->d_name; name != "." && name != "..") names.emplace_back(name);
  }
}

// at: the folder that name stands in, or AT_FDCWD. Gives an errno.
int RemoveTree(int at, const std::string& name) {
  if (Retry([&] { return unlinkat(at, name.c_str(), 0); }) == 0 || errno == ENOENT) return 0;
  if (errno != EISDIR && errno != EPERM) return errno;  // EPERM: what POSIX says of a folder
  const int no_file = errno;
  FileDescriptor folder(Retry([&] { return openat(at, name.c_str(), kFolderFlags); }));
  if (folder.get() < 0) return errno == ENOTDIR ? no_file : errno;
  std::vector<std::string> names;
  if (const int error = ReadNamesOf(FileDescriptor(fcntl(folder.get(), F_DUPFD_CLOEXEC, 0)), names); error != 0) return error;
  for (const std::string& inner : names)
    if (const int error = RemoveTree(folder.get(), inner); error != 0) return error;
  return Retry([&] { return unlinkat(at, name.c_str(), AT_REMOVEDIR); }) == 0 || errno == ENOENT ? 0 : errno;
}

void AddEntries(const std::string& folder, const std::string& prefix, std::vector<FolderEntry>& entries) {
  for (const std::string& name : NamesIn(folder)) {
    FolderEntry& entry = entries.emplace_back(FolderEntry{.path = prefix + name});
    const std::string path = folder + "/" + name;
    struct stat status;
    if (Retry([&] { return lstat(path.c_str(), &status); }) != 0) ThrowSystem("cannot read", path, errno);
    entry.is_folder = S_ISDIR(status.st_mode);
    entry.is_link = S_ISLNK(status.st_mode);
    if (entry.is_link && stat(path.c_str(), &status) != 0) continue;  // it leads nowhere
    entry.is_file = S_ISREG(status.st_mode);
    if (entry.is_file) entry.size = static_cast<uint64_t>(status.st_size);
    if (entry.is_folder) AddEntries(path, prefix + name + "/", entries);
  }
}

}  // namespace

int ReadNames(const std::string& folder, std::vector<std::string>& names) {
  FileDescriptor fd(Retry([&] { return open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  return fd.get() < 0 ? errno : ReadNamesOf(std::move(fd), names);
}

std::vector<FolderEntry> EntriesIn(const std::string& folder) {
  std::vector<FolderEntry> entries;
  AddEntries(folder, "", entries);
  return entries;
}

void SyncTree(const std::string& folder) {
  for (const std::string& name : NamesIn(folder)) {
    const std::string path = folder + "/" + name;
    struct stat status;
    if (Retry([&] { return lstat(path.c_str(), &status); }) != 0) ThrowSystem("cannot read", path, errno);
    if (S_ISDIR(status.st_mode)) SyncTree(path);
    if (!S_ISREG(status.st_mode)) continue;
    const FileDescriptor file(Retry([&] { return open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW); }));
    if (file.get() < 0) ThrowSystem("cannot open", path, errno);
    SyncFile(file.get(), path);
  }
  SyncFolder(folder);
}

void RemoveAll(const std::string& path, std::error_code& error) { error.assign(RemoveTree(AT_FDCWD, path), std::generic_category()); }

void RemoveAll(const std::string& path) {
  if (const int error = RemoveTree(AT_FDCWD, path); error != 0) ThrowSystem("cannot remove", path, error);
}

}  // namespace mlac
