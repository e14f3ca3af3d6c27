#pragma once
// Reading files safely and writing them whole. Every failure is an Error that names the file and the system's reason; interrupted
// calls (EINTR) and partial reads and writes are carried on. Safe to use from several threads, one object from one thread at a time.
//
// Which links are followed. A path that the user gave, or that mlac chose (the config.json of a folder that the user gave), is opened as
// the user would open it: links are followed wherever they lead. A name that stands inside a file (the shards of an index, the modules of
// modules.json) was written by a stranger and goes through OpenBeneath, which keeps it inside the folder.
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

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

// Opens a regular file for reading. Throws kNotFound, kInvalidInput for what is no regular file (a FIFO, a device: never waited for),
// or kIo with the system's reason.
FileDescriptor OpenForReading(const std::string& path);

// Opens the regular file `name`, which a stranger wrote, inside `folder`, which the user gave. name is a relative path of plain parts:
// nothing empty, ".", "..", absolute, and no backslash or control character; nothing is decoded, so "%2e%2e" is a name like any other.
// Links are followed as long as they stay inside the folder, which the kernel checks (openat2, RESOLVE_BENEATH); in the cache of Hugging
// Face (models--NAME/snapshots/REVISION, whose files are links to models--NAME/blobs) inside models--NAME. Without openat2 no link is
// followed. A file with a second hard link is refused: the other one may be anywhere.
// Throws kInvalidInput for a name or a file that breaks these rules, kNotFound where nothing is, kIo with the system's reason.
FileDescriptor OpenBeneath(const std::string& folder, const std::string& name);

// Whether a regular file, or a folder, is there; links are followed. Throw kIo if the system cannot tell (EIO, EACCES), since a file that is
// taken for absent changes what is computed without a word.
bool FileExists(const std::string& path);
bool FolderExists(const std::string& path);

// The names in a folder, sorted. Throws kNotFound, kIo.
std::vector<std::string> NamesIn(const std::string& folder);

// The whole file. Throws kNotFound, kIo, or kTooLarge above max_bytes.
std::string ReadFile(const std::string& path, size_t max_bytes);
std::string ReadFile(const FileDescriptor& file, const std::string& name, size_t max_bytes);

// A file mapped read-only; bytes() stays valid as long as the object. An empty file maps to an empty span.
// A file that is replaced by renaming, as mlac and all download tools do it, keeps its old bytes here. One that is written into or cut
// short shows it: reading beyond a new end raises SIGBUS (MappedFileAt below), and CheckUnchanged notices the rest.
class MappedFile {
 public:
  explicit MappedFile(const std::string& path);
  MappedFile(FileDescriptor file, const std::string& name);
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::string& name() const { return name_; }  // for messages

  // Throws kIo if the file has another size or time of modification than when it was mapped. Costs one system call: ask after
  // everything was read, and again before an answer is given that comes from it.
  void CheckUnchanged() const;

 private:
  FileDescriptor file_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
  struct timespec modified_ = {};
  std::string name_;
};

// The name of the mapped file that address lies in, or nullptr. Async-signal-safe: for a handler of SIGBUS, which the kernel sends to
// a thread that reads a mapped file beyond its end, because it was cut short meanwhile, or where the disk is broken.
const char* MappedFileAt(const void* address) noexcept;

// A file that appears whole: written beside its place, synced by Commit(), renamed: the old content or the new one, never a part.
// Without Commit the destructor removes what was written. A file that is replaced keeps its permissions; a link is replaced, not followed.
class AtomicFile {
 public:
  // Throws kNotFound if the folder does not exist, kInvalidArgument if path is there and no file.
  explicit AtomicFile(const std::string& path);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();

  // Throw kResourceExhausted if the disk is full, kIo with the system's reason.
  void Write(std::string_view content);
  void Write(std::span<const std::byte> content);
  void Commit();

 private:
  std::string path_, temporary_;
  FileDescriptor file_;
};

void WriteFileAtomically(const std::string& path, std::string_view content);

// Whether path is folder or something in it, links followed; neither has to exist. An empty path lies nowhere.
bool LiesIn(const std::string& path, const std::string& folder);

// A folder that appears whole: files are written into path(), beside the target; Commit() syncs them and renames the folder into place.
// With overwrite, an existing target is exchanged (in one step where the file system can) and then removed with everything in it.
// Without Commit the destructor removes what was written.
class StagedFolder {
 public:
  // Throws kAlreadyExists if target exists and overwrite is false, or if it is a file; kInvalidArgument for a target that cannot be
  // renamed: ".", "..", "/", a folder that the process stands in, a mount point; kNotFound if the folder above it does not exist.
  // A target that is a link to a folder means that folder.
  StagedFolder(const std::string& target, bool overwrite);
  StagedFolder(const StagedFolder&) = delete;
  StagedFolder& operator=(const StagedFolder&) = delete;
  ~StagedFolder();

  // Removes what a process that was killed left beside target: folders that a StagedFolder of that target, or a file that an AtomicFile,
  // was writing. Two processes must not write one target at the same time.
  static void RemoveLeftovers(const std::string& target);

  const std::string& path() const { return staging_; }
  // Throws kAlreadyExists if the target appeared meanwhile and overwrite is false; kResourceExhausted, kIo. The target is then as before,
  // but for one case that the message states: the new folder is in place and the old one, moved aside, could not be removed.
  void Commit();

 private:
  std::string target_, staging_;
  bool overwrite_;
};

}  // namespace mlac
