#pragma once
// Calling the system: again after signals, and its errors with their reasons. Errors are kNotFound, kAlreadyExists,
// kInvalidArgument, kResourceExhausted (no room) or else kIo, by errno.
#include <cerrno>
#include <string>
#include <string_view>

namespace mlac {

// "PATH: WHAT: the system's reason".
[[noreturn]] void ThrowSystem(std::string_view what, const std::string& path, int error);

// Calls a system function again as long as a signal interrupts it.
template <typename Call>
auto Retry(Call call) {
  while (true) {
    const auto result = call();
    if (result != -1 || errno != EINTR) return result;
  }
}

// Throw if what was written may not have arrived. A file system that cannot sync folders (some network and FUSE ones) is no error.
void SyncFile(int fd, const std::string& path);
void SyncFolder(const std::string& folder);

}  // namespace mlac
