#include "tests/support/system_faults.h"

#include <dlfcn.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/types.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>

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

}  // namespace

std::vector<std::string_view> FaultyFunctions() {
  return {"open", "openat", "fstat", "pread", "write", "fsync", "close", "fchmod", "mkdir", "rename", "renameat2", "unlink", "unlinkat", "symlink", "syncfs", "syscall"};
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
using mlac::test::TransferOrFail;
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
long FaultySyscall(long number, ...) __asm__("syscall");

int FaultyOpen(const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const ModeType mode = va_arg(more, ModeType);  // undefined but harmless where there is none: the kernel does not look at it then
  va_end(more);
  return CallOrFail<int(const char*, int, ...)>("open", path, flags, mode);
}

int FaultyOpenat(int folder, const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const ModeType mode = va_arg(more, ModeType);
  va_end(more);
  return CallOrFail<int(int, const char*, int, ...)>("openat", folder, path, flags, mode);
}

int FaultyFstat(int fd, void* status) { return CallOrFail<int(int, void*)>("fstat", fd, status); }

ssize_t FaultyPread(int fd, void* buffer, size_t count, long offset) {
  return TransferOrFail<ssize_t(int, void*, size_t, long)>("pread", fd, buffer, count, offset);
}

ssize_t FaultyWrite(int fd, const void* buffer, size_t count) {
  return TransferOrFail<ssize_t(int, const void*, size_t)>("write", fd, buffer, count);
}

int FaultyFsync(int fd) { return CallOrFail<int(int)>("fsync", fd); }

int FaultyClose(int fd) {
  static auto* const real = mlac::test::Real<int(int)>("close");
  const int error = mlac::test::SystemFault::Strike("close");
  const int result = real(fd);
  if (error <= 0) return result;
  errno = error;
  return -1;
}

int FaultyFchmod(int fd, ModeType mode) { return CallOrFail<int(int, ModeType)>("fchmod", fd, mode); }
int FaultyMkdir(const char* path, ModeType mode) { return CallOrFail<int(const char*, ModeType)>("mkdir", path, mode); }
int FaultyRename(const char* from, const char* to) { return CallOrFail<int(const char*, const char*)>("rename", from, to); }

int FaultyRenameat2(int from_folder, const char* from, int to_folder, const char* to, unsigned flags) {
  return CallOrFail<int(int, const char*, int, const char*, unsigned)>("renameat2", from_folder, from, to_folder, to, flags);
}

int FaultyUnlink(const char* path) { return CallOrFail<int(const char*)>("unlink", path); }
int FaultySymlink(const char* target, const char* path) { return CallOrFail<int(const char*, const char*), 's'>("symlink", target, path); }
int FaultySyncfs(int fd) { return CallOrFail<int(int), 's'>("syncfs", fd); }

int FaultyUnlinkat(int folder, const char* path, int flags) { return CallOrFail<int(int, const char*, int)>("unlinkat", folder, path, flags); }

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
