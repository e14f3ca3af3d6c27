#include "tests/support/system_faults.h"

#include <dlfcn.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/types.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>

#include "tests/support/file_log.h"

namespace mlac::test {
namespace {

thread_local SystemFault* newest = nullptr;

template <typename Function>
Function* Real(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

// kTag tells functions of one type apart, each of which keeps its own.
template <typename Function, char kTag = 0, typename... Arguments>
auto CallOrFail(const char* name, Arguments... arguments) {
  static Function* const real = Real<Function>(name);
  const int error = SystemFault::Strike(name);
  if (error <= 0) return real(arguments...);
  errno = error;
  return decltype(real(arguments...)){-1};
}

template <typename Function, typename Buffer, typename... More>
ssize_t TransferOrFail(const char* name, int fd, Buffer* buffer, size_t count, More... more) {
  static Function* const real = Real<Function>(name);
  const int error = SystemFault::Strike(name);
  if (error <= 0) return real(fd, buffer, error == SystemFault::kPartial ? (count + 1) / 2 : count, more...);
  errno = error;
  return -1;
}

// Tells the log of files, if there is one, what has been done.
template <typename Result, typename Tell>
Result Told(Result result, Tell tell) {
  if (FileLog* const log = FileLog::Active(); log != nullptr && result != -1) tell(*log);
  return result;
}

// What open or openat gives.
template <typename Open>
int OpenAndTell(int folder, const char* path, int flags, Open open) {
  const bool creates = FileLog::Active() != nullptr && FileLog::WouldCreate(folder, path, flags);
  const int fd = open();
  return Told(fd, [&](FileLog& log) { log.Opened(fd, folder, path, flags, creates); });
}

}  // namespace

std::vector<std::string_view> FaultyFunctions() {
  return {"open",  "openat", "fstat",     "pread",  "write",    "fsync",   "close",  "fchmod",
          "mkdir", "rename", "renameat2", "unlink", "unlinkat", "symlink", "syncfs", "syscall"};
}

SystemFault::SystemFault(std::string_view function, size_t nth, int error)
    : function_(function), calls_before_(nth), error_(error), other_(newest) {
  newest = this;
}

SystemFault::~SystemFault() { newest = other_; }

int SystemFault::Strike(std::string_view function) {
  int error = 0;
  for (SystemFault* fault = newest; fault != nullptr; fault = fault->other_) {
    if (fault->struck_ || fault->function_ != function || fault->calls_before_-- > 0) continue;
    fault->struck_ = true;
    if (fault->error_ == kKill) raise(SIGKILL);
    error = fault->error_;
  }
  return error;
}

}  // namespace mlac::test

// The names of the C library are given by label, since its headers declare them with attributes and inline bodies of their own.
namespace {

using mlac::test::CallOrFail;
using mlac::test::FileLog;
using mlac::test::OpenAndTell;
using mlac::test::Told;
using mlac::test::TransferOrFail;
constexpr int kHere = FileLog::kCurrentFolder;
using ModeType = unsigned;

}  // namespace

extern "C" {

int FaultyOpen(const char* path, int flags, ...) __asm__("open");
int FaultyOpenat(int folder, const char* path, int flags, ...) __asm__("openat");
int FaultyFstat(int fd, void* status) __asm__("fstat");
ssize_t FaultyPread(int fd, void* buffer, size_t count, long offset) __asm__("pread");
ssize_t FaultyWrite(int fd, const void* buffer, size_t count) __asm__("write");
int FaultyFsync(int fd) __asm__("fsync");
int FaultyClose(int fd) __asm__("close");
int FaultyFchmod(int fd, ModeType mode) __asm__("fchmod");
int FaultyMkdir(const char* path, ModeType mode) __asm__("mkdir");
int FaultyRename(const char* from, const char* to) __asm__("rename");
int FaultyRenameat2(int from_folder, const char* from, int to_folder, const char* to, unsigned flags) __asm__("renameat2");
int FaultyUnlink(const char* path) __asm__("unlink");
int FaultySymlink(const char* target, const char* path) __asm__("symlink");
int FaultySyncfs(int fd) __asm__("syncfs");
int FaultyUnlinkat(int folder, const char* path, int flags) __asm__("unlinkat");
int FaultyRmdir(const char* path) __asm__("rmdir");
int FaultyRemove(const char* path) __asm__("remove");
int FaultyLink(const char* from, const char* to) __asm__("link");
int FaultyFtruncate(int fd, long size) __asm__("ftruncate");
ssize_t FaultyPwrite(int fd, const void* buffer, size_t count, long offset) __asm__("pwrite");
ssize_t FaultySendfile(int to, int from, long* offset, size_t count) __asm__("sendfile");
long FaultySyscall(long number, ...) __asm__("syscall");

int FaultyOpen(const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const ModeType mode = va_arg(more, ModeType);  // undefined but harmless where there is none: the kernel does not look at it then
  va_end(more);
  return OpenAndTell(kHere, path, flags, [&] { return CallOrFail<int(const char*, int, ...)>("open", path, flags, mode); });
}

int FaultyOpenat(int folder, const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const ModeType mode = va_arg(more, ModeType);
  va_end(more);
  return OpenAndTell(folder, path, flags, [&] { return CallOrFail<int(int, const char*, int, ...)>("openat", folder, path, flags, mode); });
}

int FaultyFstat(int fd, void* status) { return CallOrFail<int(int, void*)>("fstat", fd, status); }

ssize_t FaultyPread(int fd, void* buffer, size_t count, long offset) {
  return TransferOrFail<ssize_t(int, void*, size_t, long)>("pread", fd, buffer, count, offset);
}

ssize_t FaultyWrite(int fd, const void* buffer, size_t count) {
  const ssize_t written = TransferOrFail<ssize_t(int, const void*, size_t)>("write", fd, buffer, count);
  return Told(written, [&](FileLog& log) { log.Written(fd, written); });
}

ssize_t FaultyPwrite(int fd, const void* buffer, size_t count, long offset) {
  const ssize_t written = TransferOrFail<ssize_t(int, const void*, size_t, long)>("pwrite", fd, buffer, count, offset);
  return Told(written, [&](FileLog& log) { log.Written(fd, written, offset); });
}

ssize_t FaultySendfile(int to, int from, long* offset, size_t count) {
  const ssize_t written = CallOrFail<ssize_t(int, int, long*, size_t)>("sendfile", to, from, offset, count);
  return Told(written, [&](FileLog& log) { log.Written(to, written); });
}

int FaultyFtruncate(int fd, long size) {
  return Told(CallOrFail<int(int, long)>("ftruncate", fd, size), [&](FileLog& log) { log.Resized(fd, size); });
}

int FaultyFsync(int fd) {
  return Told(CallOrFail<int(int)>("fsync", fd), [&](FileLog& log) { log.Synced(fd); });
}

int FaultyClose(int fd) {
  static auto* const real = mlac::test::Real<int(int)>("close");
  const int error = mlac::test::SystemFault::Strike("close");
  const int result = real(fd);
  if (error <= 0) return result;
  errno = error;
  return -1;
}

int FaultyFchmod(int fd, ModeType mode) {
  return Told(CallOrFail<int(int, ModeType)>("fchmod", fd, mode), [&](FileLog& log) { log.ModeChanged(fd, mode); });
}

int FaultyMkdir(const char* path, ModeType mode) {
  return Told(CallOrFail<int(const char*, ModeType)>("mkdir", path, mode), [&](FileLog& log) { log.Entered(kHere, path); });
}

int FaultyRename(const char* from, const char* to) {
  return Told(CallOrFail<int(const char*, const char*)>("rename", from, to),
              [&](FileLog& log) { log.Renamed(kHere, from, kHere, to, false); });
}

int FaultyRenameat2(int from_folder, const char* from, int to_folder, const char* to, unsigned flags) {
  constexpr unsigned kExchange = 2;  // RENAME_EXCHANGE
  return Told(CallOrFail<int(int, const char*, int, const char*, unsigned)>("renameat2", from_folder, from, to_folder, to, flags),
              [&](FileLog& log) { log.Renamed(from_folder, from, to_folder, to, (flags & kExchange) != 0); });
}

int FaultyLink(const char* from, const char* to) {
  return Told(CallOrFail<int(const char*, const char*), 'l'>("link", from, to), [&](FileLog& log) { log.Entered(kHere, to); });
}

int FaultySymlink(const char* target, const char* path) {
  return Told(CallOrFail<int(const char*, const char*), 's'>("symlink", target, path), [&](FileLog& log) { log.Entered(kHere, path); });
}

int FaultyUnlink(const char* path) {
  return Told(CallOrFail<int(const char*)>("unlink", path), [&](FileLog& log) { log.Removed(kHere, path); });
}

int FaultyUnlinkat(int folder, const char* path, int flags) {
  return Told(CallOrFail<int(int, const char*, int)>("unlinkat", folder, path, flags), [&](FileLog& log) { log.Removed(folder, path); });
}

int FaultyRmdir(const char* path) {
  return Told(CallOrFail<int(const char*), 'd'>("rmdir", path), [&](FileLog& log) { log.Removed(kHere, path); });
}

int FaultyRemove(const char* path) {
  return Told(CallOrFail<int(const char*), 'r'>("remove", path), [&](FileLog& log) { log.Removed(kHere, path); });
}

int FaultySyncfs(int fd) {
  return Told(CallOrFail<int(int), 's'>("syncfs", fd), [](FileLog& log) { log.SyncedAll(); });
}

// As the C library's own, it reads six arguments whatever were given: harmless, but not to AddressSanitizer.
__attribute__((no_sanitize("address"))) long FaultySyscall(long number, ...) {
  // No guarded static: where two threads meet at its guard, the C++ library waits by this very function.
  static constinit std::atomic<long (*)(long, ...)> found = nullptr;
  if (found == nullptr) found = mlac::test::Real<long(long, ...)>("syscall");
  auto* const real = found.load();
  long arguments[6];
  va_list more;
  va_start(more, number);
  for (long& argument : arguments) argument = va_arg(more, long);
  va_end(more);
  if (const int error = number == SYS_openat2 ? mlac::test::SystemFault::Strike("syscall") : 0; error > 0) {
    errno = error;
    return -1;
  }
  return real(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
}

}  // extern "C"
