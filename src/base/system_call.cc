#include "base/system_call.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstring>

#include "base/error.h"
#include "base/file.h"

namespace mlac {
namespace {

ErrorCode CodeOf(int error) {
  switch (error) {
    case ENOENT: case ENOTDIR: return ErrorCode::kNotFound;
    case EEXIST: case ENOTEMPTY: return ErrorCode::kAlreadyExists;
    case ENOSPC: case EDQUOT: case EFBIG: case ENOMEM: case EMFILE: case ENFILE: return ErrorCode::kResourceExhausted;
    case ELOOP: case ENAMETOOLONG: return ErrorCode::kInvalidArgument;
    default: return ErrorCode::kIo;
  }
}

}  // namespace

void ThrowSystem(std::string_view what, const std::string& path, int error) {
  const bool full = error == ENOSPC || error == EDQUOT;
  throw Error(CodeOf(error), fmt::format("{}: {}: {}", path, what, std::strerror(error)), full ? "free some space there" : "");
}

void SyncFile(int fd, const std::string& path) {
  if (Retry([&] { return fsync(fd); }) != 0) ThrowSystem("cannot sync", path, errno);
}

void SyncFolder(const std::string& folder) {
  const FileDescriptor fd(Retry([&] { return open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (fd.get() < 0) ThrowSystem("cannot open", folder, errno);
  if (Retry([&] { return fsync(fd.get()); }) != 0 && errno != EINVAL && errno != ENOTSUP) ThrowSystem("cannot sync", folder, errno);
}

}  // namespace mlac
