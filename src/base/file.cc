#include "base/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "base/error.h"

namespace mlac {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void ThrowSystem(std::string_view what, const std::string& path, int error) {
  const ErrorCode code = error == ENOENT || error == ENOTDIR            ? ErrorCode::kNotFound
                         : error == ENOSPC || error == EDQUOT || error == ENOMEM ? ErrorCode::kResourceExhausted
                                                                                 : ErrorCode::kIo;
  throw Error(code, fmt::format("{}: {}: {}", path, what, std::strerror(error)));
}

size_t RegularFileSize(int fd, const std::string& path) {
  struct stat status;
  if (fstat(fd, &status) != 0) ThrowSystem("cannot read", path, errno);
  if (!S_ISREG(status.st_mode)) throw Error(ErrorCode::kInvalidInput, fmt::format("{}: expected a regular file", path));
  return static_cast<size_t>(status.st_size);
}

void WriteAll(int fd, std::string_view content, const std::string& path) {
  while (!content.empty()) {
    const ssize_t written = write(fd, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) ThrowSystem("cannot write", path, errno);
    content.remove_prefix(static_cast<size_t>(written));
  }
}

void SyncFd(int fd, const std::string& path) {
  while (fsync(fd) != 0) {
    if (errno != EINTR) ThrowSystem("cannot sync", path, errno);
  }
}

void SyncFolder(const std::string& folder) {
  const FileDescriptor fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() < 0) ThrowSystem("cannot open", folder, errno);
  SyncFd(fd.get(), folder);
}

std::string ParentFolder(const std::string& path) {
  const fs::path parent = fs::path(path).parent_path();
  return parent.empty() ? "." : parent.string();
}

}  // namespace

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) close(fd_);
    fd_ = other.Release();
  }
  return *this;
}

FileDescriptor::~FileDescriptor() {
  if (fd_ >= 0) close(fd_);
}

int FileDescriptor::Release() {
  const int fd = fd_;
  fd_ = -1;
  return fd;
}

FileDescriptor OpenForReading(const std::string& path) {
  if (path.find('\0') != std::string::npos) throw Error(ErrorCode::kInvalidArgument, "a path holds a NUL byte");
  // O_NONBLOCK: opening a FIFO must not wait for a writer; it is refused right after.
  FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) ThrowSystem("cannot open", path, errno);
  RegularFileSize(file.get(), path);
  return file;
}

FileDescriptor OpenBeneath(const std::string& folder, const std::string& name) {
  const std::string shown = folder + "/" + name;
  if (name.empty() || name.find('\0') != std::string::npos)
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: a file name in it is empty or holds a NUL byte", folder));
  const FileDescriptor directory(open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (directory.get() < 0) ThrowSystem("cannot open", folder, errno);
  struct open_how how = {};
  how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  FileDescriptor file(static_cast<int>(syscall(SYS_openat2, directory.get(), name.c_str(), &how, sizeof how)));
  if (file.get() < 0 && errno == ENOSYS) {  // a kernel or sandbox without openat2: accept plain names only
    if (name.find('/') != std::string::npos || name == "..")
      throw Error(ErrorCode::kInvalidInput, fmt::format("{}: the file name '{}' leaves the folder", folder, name));
    file = FileDescriptor(openat(directory.get(), name.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW));
  }
  if (file.get() < 0) {
    if (errno == EXDEV || errno == ELOOP)
      throw Error(ErrorCode::kInvalidInput, fmt::format("{}: the file name '{}' leaves the folder", folder, name));
    ThrowSystem("cannot open", shown, errno);
  }
  RegularFileSize(file.get(), shown);
  return file;
}

bool FileExists(const std::string& path) {
  struct stat status;
  return stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode);
}

bool FolderExists(const std::string& path) {
  struct stat status;
  return stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

std::string ReadFile(const FileDescriptor& file, const std::string& name, size_t max_bytes) {
  const size_t size = RegularFileSize(file.get(), name);
  if (size > max_bytes) throw Error(ErrorCode::kTooLarge, fmt::format("{}: {} bytes, at most {} are read", name, size, max_bytes));
  std::string content(size, '\0');
  size_t filled = 0;
  while (filled < size) {
    const ssize_t count = read(file.get(), content.data() + filled, size - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) ThrowSystem("cannot read", name, errno);
    if (count == 0) break;  // it shrank meanwhile
    filled += static_cast<size_t>(count);
  }
  content.resize(filled);
  return content;
}

std::string ReadFile(const std::string& path, size_t max_bytes) { return ReadFile(OpenForReading(path), path, max_bytes); }

MappedFile::MappedFile(const std::string& path) : MappedFile(OpenForReading(path), path) {}

MappedFile::MappedFile(const FileDescriptor& file, const std::string& name) : size_(RegularFileSize(file.get(), name)), name_(name) {
  if (size_ == 0) return;
  void* address = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (address == MAP_FAILED) ThrowSystem("cannot map", name, errno);
  data_ = static_cast<const std::byte*>(address);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) munmap(const_cast<std::byte*>(data_), size_);
}

void WriteFileAtomically(const std::string& path, std::string_view content) {
  std::string temporary = path + ".XXXXXX";
  FileDescriptor file(mkostemp(temporary.data(), O_CLOEXEC));
  if (file.get() < 0) ThrowSystem("cannot create", path, errno);
  try {
    WriteAll(file.get(), content, path);
    const mode_t mask = umask(0);
    umask(mask);
    if (fchmod(file.get(), 0666 & ~mask) != 0) ThrowSystem("cannot set the mode", path, errno);
    SyncFd(file.get(), path);
    if (rename(temporary.c_str(), path.c_str()) != 0) ThrowSystem("cannot rename", path, errno);
  } catch (...) {
    unlink(temporary.c_str());
    throw;
  }
  SyncFolder(ParentFolder(path));
}

StagedFolder::StagedFolder(const std::string& target, bool overwrite) : target_(target), overwrite_(overwrite) {
  while (target_.size() > 1 && target_.back() == '/') target_.pop_back();
  if (!overwrite && fs::exists(fs::symlink_status(target_)))
    throw Error(ErrorCode::kAlreadyExists, fmt::format("{}: exists already", target_), "--overwrite replaces it");
  staging_ = target_ + ".XXXXXX";
  if (mkdtemp(staging_.data()) == nullptr) ThrowSystem("cannot create the folder", target_, errno);
  const mode_t mask = umask(0);
  umask(mask);
  chmod(staging_.c_str(), 0777 & ~mask);
}

StagedFolder::~StagedFolder() {
  std::error_code ignored;
  if (!committed_) fs::remove_all(staging_, ignored);
}

void StagedFolder::Commit() {
  for (const auto& entry : fs::recursive_directory_iterator(staging_)) {
    if (entry.is_directory()) {
      SyncFolder(entry.path().string());
    } else if (entry.is_regular_file()) {
      const FileDescriptor file(open(entry.path().c_str(), O_RDONLY | O_CLOEXEC));
      if (file.get() < 0) ThrowSystem("cannot open", entry.path().string(), errno);
      SyncFd(file.get(), entry.path().string());
    }
  }
  SyncFolder(staging_);
  const bool exchanged =
      overwrite_ && renameat2(AT_FDCWD, staging_.c_str(), AT_FDCWD, target_.c_str(), RENAME_EXCHANGE) == 0;
  if (!exchanged) {
    if (overwrite_ && errno != ENOENT) ThrowSystem("cannot replace", target_, errno);
    if (renameat2(AT_FDCWD, staging_.c_str(), AT_FDCWD, target_.c_str(), RENAME_NOREPLACE) != 0) ThrowSystem("cannot create", target_, errno);
  }
  committed_ = true;
  SyncFolder(ParentFolder(target_));
  std::error_code ignored;
  if (exchanged) fs::remove_all(staging_, ignored);  // holds the old content now
}

}  // namespace mlac
