#include "hub/private_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <vector>

#include "base/error.h"
#include "base/folder_contents.h"
#include "base/system_call.h"

namespace mlac {
namespace {

constexpr std::string_view kBeginning = "mlac-private-";

// Absolute paths alone: the process may change its folder.
void AddVariable(std::vector<std::string>& places, const char* name, const char* below = "") {
  const char* value = std::getenv(name);
  if (value == nullptr || *value != '/') return;
  const std::string text(value);
  places.push_back(text.substr(0, text.find(':')) + below);  // systemd gives several apart by colons
}

std::vector<std::string> Places() {
  std::vector<std::string> places;
  AddVariable(places, "CACHE_DIRECTORY");
  AddVariable(places, "XDG_CACHE_HOME", "/mlac");
  AddVariable(places, "TMPDIR");
  places.emplace_back("/tmp");
  return places;
}

// The folder, held; none if another process holds it, or if it is not there any more. A lock on a folder also keeps systemd-tmpfiles from
// removing what is old in it.
FileDescriptor Hold(const std::string& path) {
  FileDescriptor folder(Retry([&] { return open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW); }));
  if (folder.get() < 0 || Retry([&] { return flock(folder.get(), LOCK_EX | LOCK_NB); }) != 0) return FileDescriptor();
  struct stat opened, there;  // who had it before may have removed it
  const bool is_there = fstat(folder.get(), &opened) == 0 && lstat(path.c_str(), &there) == 0 && opened.st_ino == there.st_ino;
  return is_there ? std::move(folder) : FileDescriptor();
}

void RemoveLeftovers(const std::string& place) {
  std::vector<std::string> names;
  if (ReadNames(place, names) != 0) return;
  for (const std::string& name : names) {
    const std::string path = place + "/" + name;
    struct stat status;
    if (!name.starts_with(kBeginning) || lstat(path.c_str(), &status) != 0 || status.st_uid != geteuid()) continue;
    const FileDescriptor held = Hold(path);
    std::error_code ignored;  // it takes some room, no more
    if (held.get() >= 0) RemoveAll(path, ignored);
  }
}

}  // namespace

PrivateFolder::PrivateFolder() {
  std::string tried;
  int error = 0;
  for (const std::string& place : Places()) {
    mkdir(place.c_str(), 0700);  // $XDG_CACHE_HOME/mlac may be missing; where that fails, so does what follows
    RemoveLeftovers(place);
    while (true) {
      path_ = fmt::format("{}/{}XXXXXX", place, kBeginning);
      if (mkdtemp(path_.data()) == nullptr) {
        error = errno;
        tried = place;
        break;
      }
      lock_ = Hold(path_);
      if (lock_.get() >= 0) return;  // else another process took it for a leftover, before it was held
    }
  }
  try {
    ThrowSystem("cannot create a folder in it", tried, error);
  } catch (const Error& reason) {
    throw Error(reason.code(), reason.message(),
                "the store cannot be written, so the files of the model are copied: let CACHE_DIRECTORY, XDG_CACHE_HOME or TMPDIR name a "
                "folder for that");
  }
}

PrivateFolder::~PrivateFolder() {
  std::error_code ignored;  // the next process of this user tries again
  RemoveAll(path_, ignored);
}

}  // namespace mlac
