#include "hub/checkout.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "base/error.h"
#include "base/folder_contents.h"
#include "base/system_call.h"

namespace mlac {
namespace {

// From a file `path` inside checkouts/REVISION to its blob.
std::string LinkTarget(std::string_view path, std::string_view sha256) {
  std::string target = "../../";
  for (const char c : path)
    if (c == '/') target += "../";
  return fmt::format("{}blobs/{}/{}", target, sha256.substr(0, 2), sha256);
}

bool IsLinkTo(const std::string& path, const std::string& target) {
  std::string found(target.size() + 1, '\0');
  const ssize_t length = readlink(path.c_str(), found.data(), found.size());
  return length == static_cast<ssize_t>(target.size()) && std::string_view(found).substr(0, target.size()) == target;
}

}  // namespace

bool IsFolderItself(const std::string& path) {
  struct stat status;
  return lstat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

void MakeCheckout(const std::string& folder, const Manifest& manifest) {
  for (const ManifestEntry& entry : manifest.entries()) {
    for (size_t slash = entry.path.find('/'); slash != std::string::npos; slash = entry.path.find('/', slash + 1)) {
      const std::string above = folder + "/" + entry.path.substr(0, slash);
      if (mkdir(above.c_str(), 0777) != 0 && errno != EEXIST) ThrowSystem("cannot create", above, errno);
    }
    const std::string path = folder + "/" + entry.path;
    if (symlink(LinkTarget(entry.path, entry.sha256).c_str(), path.c_str()) != 0) ThrowSystem("cannot create", path, errno);
  }
}

bool IsWholeCheckout(const std::string& folder, const Manifest& manifest) {
  if (!IsFolderItself(folder)) return false;
  std::vector<FolderEntry> entries;
  try {
    entries = EntriesIn(folder);
  } catch (const Error&) {  // a part of it has just gone, or cannot be read
    return false;
  }
  size_t num_links = 0;
  for (const FolderEntry& entry : entries) {
    if (entry.is_folder) continue;
    const ManifestEntry* file = manifest.Find(entry.path);
    if (file == nullptr || !IsLinkTo(folder + "/" + entry.path, LinkTarget(file->path, file->sha256))) return false;
    ++num_links;
  }
  return num_links == manifest.entries().size();
}

}  // namespace mlac
