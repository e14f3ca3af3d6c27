#include "hub/lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/display.h"
#include "base/error.h"
#include "base/system_call.h"
#include "hub/record.h"

namespace mlac {
namespace {

constexpr size_t kLongestHolder = 400;

FileDescriptor OpenLockFile(const std::string& path) {
  const int flags = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
  FileDescriptor file(Retry([&] { return open(path.c_str(), O_RDWR | O_CREAT | flags, 0666); }));
  // A store that this user may only read: the lock holds all the same, but nothing says who has it.
  if (file.get() < 0 && (errno == EACCES || errno == EROFS || errno == EPERM))
    file = FileDescriptor(Retry([&] { return open(path.c_str(), O_RDONLY | flags); }));
  if (file.get() < 0) ThrowSystem("cannot open", path, errno);
  return file;
}

// Whether it got the lock; false if another one has it.
bool TryLock(const FileDescriptor& file, LockMode mode, const std::string& path) {
  const int operation = (mode == LockMode::kShared ? LOCK_SH : LOCK_EX) | LOCK_NB;
  if (Retry([&] { return flock(file.get(), operation); }) == 0) return true;
  if (errno != EWOULDBLOCK) ThrowSystem("cannot lock", path, errno);
  return false;
}

// "PATH: in use by process 123 ...", from what the holder wrote; it may have gone meanwhile.
std::string InUse(const FileDescriptor& file, const std::string& path) {
  std::array<char, kLongestHolder> text;
  const ssize_t count = Retry([&] { return pread(file.get(), text.data(), text.size(), 0); });
  std::string holder(text.data(), static_cast<size_t>(std::max<ssize_t>(count, 0)));
  holder.erase(std::min(holder.find('\n'), holder.size()));
  return fmt::format("{}: in use by {}", path, holder.empty() ? "another process" : Printable(holder));
}

void WriteHolder(const FileDescriptor& file, const std::string& purpose) {
  // Only for a message to others: where it cannot be written, they are told less.
  const std::string text = Printable(fmt::format("process {} of {} ({}) since {}", getpid(), Who(), purpose, TimeNow()), kLongestHolder - 1) + "\n";
  const bool written = Retry([&] { return pwrite(file.get(), text.data(), text.size(), 0); }) == static_cast<ssize_t>(text.size()) &&
                       ftruncate(file.get(), static_cast<off_t>(text.size())) == 0;
  (void)written;
}

}  // namespace

FileLock FileLock::Take(const std::string& path, LockMode mode, const std::string& purpose) {
  FileDescriptor file = OpenLockFile(path);
  if (!TryLock(file, mode, path)) throw Error(ErrorCode::kResourceExhausted, InUse(file, path), "try again when that has ended");
  WriteHolder(file, purpose);
  return FileLock(std::move(file));
}

FileLock FileLock::Wait(const std::string& path, LockMode mode, const std::string& purpose, const std::function<void(const std::string&)>& on_wait) {
  FileDescriptor file = OpenLockFile(path);
  if (!TryLock(file, mode, path)) {
    if (on_wait) on_wait(InUse(file, path));
    if (Retry([&] { return flock(file.get(), mode == LockMode::kShared ? LOCK_SH : LOCK_EX); }) != 0) ThrowSystem("cannot lock", path, errno);
  }
  WriteHolder(file, purpose);
  return FileLock(std::move(file));
}

FileLock::~FileLock() {
  if (file_.get() < 0) return;
  // Takes its own name off; where others share the lock, another one's may stand there by now.
  std::array<char, kLongestHolder> text;
  const ssize_t count = Retry([&] { return pread(file_.get(), text.data(), text.size(), 0); });
  std::array<char, 40> own;  // no string: a lock may end because there is no memory
  const auto end = fmt::format_to_n(own.data(), own.size(), "process {} of ", getpid()).out;
  if (count > 0 && std::string_view(text.data(), static_cast<size_t>(count)).starts_with(std::string_view(own.data(), end))) {
    const int ignored = ftruncate(file_.get(), 0);
    (void)ignored;
  }
}

}  // namespace mlac
