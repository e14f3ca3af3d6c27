#pragma once
// Reading files safely and writing them whole. Paths from strangers (an index that names shards) go through OpenBeneath.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace mlac {

// A file descriptor that closes itself.
class FileDescriptor {
 public:
  explicit FileDescriptor(int fd = -1) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(other.Release()) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;
  ~FileDescriptor();
  int get() const { return fd_; }
  int Release();

 private:
  int fd_;
};

// Opens a regular file for reading. Throws kNotFound, or kIo with the system's reason.
FileDescriptor OpenForReading(const std::string& path);

// Opens `name` for reading, which a stranger wrote, inside `folder`: never outside it, whatever ".." or links it holds
// (openat2 with RESOLVE_BENEATH), and a regular file only. Symbolic links are followed as long as they stay inside.
// Throws kInvalidInput for a name that leaves the folder, kNotFound where nothing is.
FileDescriptor OpenBeneath(const std::string& folder, const std::string& name);

bool FileExists(const std::string& path);    // a regular file, links followed
bool FolderExists(const std::string& path);  // a folder, links followed

// The whole file. Throws kNotFound, kIo, or kTooLarge above max_bytes.
std::string ReadFile(const std::string& path, size_t max_bytes);
std::string ReadFile(const FileDescriptor& file, const std::string& name, size_t max_bytes);

// A file mapped read-only; bytes() stays valid as long as the object. An empty file maps to an empty span.
class MappedFile {
 public:
  explicit MappedFile(const std::string& path);
  MappedFile(const FileDescriptor& file, const std::string& name);
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::string& name() const { return name_; }  // for messages

 private:
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
  std::string name_;
};

// Writes a file beside its place, syncs it, renames it: the old content or the new one, never a part. Throws kIo or
// kResourceExhausted (disk full) and leaves nothing behind.
void WriteFileAtomically(const std::string& path, std::string_view content);

// A folder that appears whole: files are written into path() (beside the target, same file system), Commit() syncs them and
// renames the folder into place. With overwrite, an existing target is exchanged and removed afterwards. Without Commit the
// destructor removes everything.
class StagedFolder {
 public:
  // Throws kAlreadyExists if target exists and overwrite is false.
  StagedFolder(const std::string& target, bool overwrite);
  StagedFolder(const StagedFolder&) = delete;
  StagedFolder& operator=(const StagedFolder&) = delete;
  ~StagedFolder();

  const std::string& path() const { return staging_; }
  void Commit();

 private:
  std::string target_, staging_;
  bool overwrite_, committed_ = false;
};

}  // namespace mlac
