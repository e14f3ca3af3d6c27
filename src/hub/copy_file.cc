#include "hub/copy_file.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "base/sha256.h"
#include "base/system_call.h"

namespace mlac {
namespace {

constexpr size_t kBlock = size_t{1} << 20;

// Calls body with each block of a file.
template <typename Body>
void ForEachBlock(const FileDescriptor& file, const std::string& name, Body body) {
  std::vector<std::byte> block(kBlock);
  for (off_t offset = 0;;) {
    const ssize_t count = Retry([&] { return pread(file.get(), block.data(), block.size(), offset); });
    if (count < 0) ThrowSystem("cannot read", name, errno);
    if (count == 0) return;
    body(std::span<const std::byte>(block).first(static_cast<size_t>(count)));
    offset += count;
  }
}

void WriteAll(const FileDescriptor& file, const std::string& name, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = Retry([&] { return write(file.get(), bytes.data(), bytes.size()); });
    if (written <= 0) ThrowSystem("cannot write", name, written == 0 ? EIO : errno);
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
}

}  // namespace

std::string HashOfFile(const FileDescriptor& file, const std::string& name) {
  Sha256 hash;
  ForEachBlock(file, name, [&](std::span<const std::byte> bytes) { hash.Add(bytes); });
  return hash.Finish();
}

std::string CopyFile(const FileDescriptor& from, const std::string& from_name, const std::string& to, unsigned mode) {
  const FileDescriptor copy(Retry([&] { return open(to.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode); }));
  if (copy.get() < 0) ThrowSystem("cannot create", to, errno);
  if (ioctl(copy.get(), FICLONE, from.get()) != 0)
    ForEachBlock(from, from_name, [&](std::span<const std::byte> bytes) { WriteAll(copy, to, bytes); });
  return HashOfFile(copy, to);
}

}  // namespace mlac
