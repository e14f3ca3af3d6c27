#pragma once
// Writes down what this process does to the files of a folder, call by call, so that a test can say what a power loss would have left of
// it. The functions of system_faults.cc, which stand in front of the C library's in every test program, tell it of each call that
// succeeded.
#include <sys/types.h>

#include <cstddef>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mlac::test {

// A file, a folder or a link, whatever it is called.
struct DiskNode {
  enum class Kind { kFile, kFolder, kLink };
  Kind kind = Kind::kFile;
  unsigned mode = 0;
  std::string content;                 // the bytes of a file, the target of a link
  std::map<std::string, int> entries;  // of a folder: the number of each node by its name

  bool operator==(const DiskNode&) const = default;
};

// A folder with everything in it: nodes by number, 0 the folder itself. Nodes that no entry leads to are not there.
using Disk = std::vector<DiskNode>;

struct FileOperation {
  enum class Kind {
    kEnter,     // folder[name] = node, new or under one more name
    kRemove,    // folder[name] goes; node: what it was
    kRename,    // folder[name] = node, from_folder[from_name] goes
    kExchange,  // folder[name] = node, from_folder[from_name] = other
    kWrite,     // bytes at an offset
    kResize,    // to offset bytes
    kMode,
    kSync,     // what was written to the node (the entries of a folder) is on the disk
    kSyncAll,  // everything is
  };
  Kind kind;
  int node = -1, folder = -1, from_folder = -1, other = -1;
  std::string name = {}, from_name = {}, bytes = {};
  size_t offset = 0;
  unsigned mode = 0;
};

// What one operation does to the entries, contents and modes of a disk; nothing for a sync.
void Apply(const FileOperation& operation, Disk& disk);

class FileLog {
 public:
  // From here on, all threads' calls count that change what is in the folder. One log at a time.
  explicit FileLog(const std::string& folder);
  FileLog(const FileLog&) = delete;
  FileLog& operator=(const FileLog&) = delete;
  ~FileLog();

  void Stop();
  // The disk as it was when the log began, with a node (without entries and content) for each that was made later; and as the operations
  // left it.
  const Disk& before() const { return before_; }
  const Disk& after() const { return now_; }
  const std::vector<FileOperation>& operations() const { return operations_; }

  // The one that is open, or nullptr.
  static FileLog* Active();

  // For the functions that stand before the system's. Paths are as those got them, `at` the folder of a path that is relative to one.
  static constexpr int kCurrentFolder = -100;  // AT_FDCWD
  static bool WouldCreate(int at, const char* path, int flags);
  void Opened(int fd, int at, const char* path, int flags, bool created);
  void Entered(int at, const char* path);  // a folder or link that is new, another name of a file
  void Removed(int at, const char* path);
  void Renamed(int from_at, const char* from, int at, const char* path, bool exchanged);
  void Written(int fd, ssize_t count, off_t begin = -1);  // -1: it ends where the descriptor stands now
  void Resized(int fd, off_t size);
  void ModeChanged(int fd, unsigned mode);
  void Synced(int fd);
  void SyncedAll();

 private:
  using RealId = std::pair<dev_t, ino_t>;

  int NodeOf(int fd) const;                                             // -1 for one outside
  std::pair<int, std::string> PlaceOf(int at, const char* path) const;  // the folder's number, or -1, and the name in it
  int Adopt(const std::string& path);                                   // the number of what stands there now, a new one for what is new
  void ReadTree(int folder, const std::string& path);
  void Add(FileOperation operation);

  mutable std::recursive_mutex mutex_;
  std::map<RealId, int> numbers_;
  Disk before_, now_;
  std::vector<FileOperation> operations_;
};

// Makes what is in the folder that of the disk.
void WriteDisk(const Disk& disk, const std::string& folder);

// What is in a folder, nodes numbered in the order of their names: two disks that look alike are equal.
Disk ReadDisk(const std::string& folder);
Disk Normalized(const Disk& disk);

}  // namespace mlac::test
