#pragma once
// Calling the system: again after signals, its errors with their reasons, and what is left out of <filesystem>. Errors are kNotFound, kAlreadyExists,
// kInvalidArgument, kResourceExhausted (no room) or else kIo, by errno.
#include <cerrno>
#include <filesystem>
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

// What std::filesystem does, again as long as a signal interrupts it.
std::filesystem::directory_iterator ListFolder(const std::filesystem::path& folder, std::error_code& error);
void RemoveAll(const std::filesystem::path& path, std::error_code& error);

}  // namespace mlac
