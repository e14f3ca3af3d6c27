#pragma once
// Locks between processes that end with their process, however that ends, and say who holds them.
#include <functional>
#include <string>

#include "base/file.h"

namespace mlac {

enum class LockMode { kShared, kExclusive };

// flock(2) on a file that is made if it is not there; the holder writes into it who it is.
class FileLock {
 public:
  // Takes the lock at once or throws kResourceExhausted: "PATH: in use by process 123 of ann@laptop (apply topics) since 2026-11-27T23:55:24Z".
  // purpose: what the holder does, for that message: "apply topics".
  static FileLock Take(const std::string& path, LockMode mode, const std::string& purpose);
  // Waits for it. on_wait is called once, with that message, if it has to.
  static FileLock Wait(const std::string& path, LockMode mode, const std::string& purpose, const std::function<void(const std::string&)>& on_wait = {});

  FileLock(FileLock&&) noexcept = default;
  FileLock& operator=(FileLock&&) noexcept = default;
  ~FileLock();

 private:
  explicit FileLock(FileDescriptor file) : file_(std::move(file)) {}
  FileDescriptor file_;
};

}  // namespace mlac
