#include "tests/support/file_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <stdexcept>
#include <system_error>

namespace mlac::test {
namespace {

namespace fs = std::filesystem;
using Kind = FileOperation::Kind;

std::atomic<FileLog*> active = nullptr;
static_assert(FileLog::kCurrentFolder == AT_FDCWD);

[[noreturn]] void Fail(const std::string& path) { throw std::system_error(errno, std::system_category(), path); }

std::string Absolute(int at, const char* path) {
  std::string absolute = path;
  if (!absolute.starts_with('/')) {
    const std::string folder =
        at == AT_FDCWD ? fs::current_path().string() : fs::read_symlink("/proc/self/fd/" + std::to_string(at)).string();
    absolute = folder + "/" + absolute;
  }
  while (absolute.size() > 1 && absolute.back() == '/') absolute.pop_back();
  return absolute;
}

std::string Content(const std::string& path, const struct stat& status) {
  if (S_ISLNK(status.st_mode)) return fs::read_symlink(path).string();
  if (!S_ISREG(status.st_mode)) return "";
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) Fail(path);
  std::string content(static_cast<size_t>(status.st_size), '\0');
  const ssize_t count = pread(fd, content.data(), content.size(), 0);
  close(fd);
  if (count != static_cast<ssize_t>(content.size())) Fail(path);
  return content;
}

DiskNode::Kind KindOf(mode_t mode) {
  return S_ISDIR(mode) ? DiskNode::Kind::kFolder : S_ISLNK(mode) ? DiskNode::Kind::kLink : DiskNode::Kind::kFile;
}

void Overwrite(std::string& content, size_t offset, std::string_view bytes) {
  if (content.size() < offset + bytes.size()) content.resize(offset + bytes.size());
  content.replace(offset, bytes.size(), bytes);
}

bool IsNamed(const Disk& disk, int node) {
  for (const DiskNode& folder : disk)
    for (const auto& [name, entry] : folder.entries)
      if (entry == node) return true;
  return false;
}

}  // namespace

void Apply(const FileOperation& operation, Disk& disk) {
  const auto remove = [&](int folder, const std::string& name, int node) {
    auto& entries = disk[static_cast<size_t>(folder)].entries;
    if (const auto found = entries.find(name); found != entries.end() && found->second == node) entries.erase(found);
  };
  const auto enter = [&](int folder, const std::string& name, int node) { disk[static_cast<size_t>(folder)].entries[name] = node; };
  switch (operation.kind) {
    case Kind::kEnter:
      enter(operation.folder, operation.name, operation.node);
      break;
    case Kind::kRemove:
      remove(operation.folder, operation.name, operation.node);
      break;
    case Kind::kRename:
      remove(operation.from_folder, operation.from_name, operation.node);
      enter(operation.folder, operation.name, operation.node);
      break;
    case Kind::kExchange:
      enter(operation.folder, operation.name, operation.node);
      enter(operation.from_folder, operation.from_name, operation.other);
      break;
    case Kind::kWrite:
      Overwrite(disk[static_cast<size_t>(operation.node)].content, operation.offset, operation.bytes);
      break;
    case Kind::kResize:
      disk[static_cast<size_t>(operation.node)].content.resize(operation.offset);
      break;
    case Kind::kMode:
      disk[static_cast<size_t>(operation.node)].mode = operation.mode;
      break;
    case Kind::kSync:
    case Kind::kSyncAll:
      break;
  }
}

FileLog::FileLog(const std::string& folder) {
  const std::lock_guard lock(mutex_);
  Adopt(folder);
  ReadTree(0, folder);
  before_ = now_;
  if (active.exchange(this) != nullptr) throw std::logic_error("a log of files is open already");
}

FileLog::~FileLog() { Stop(); }

void FileLog::Stop() {
  FileLog* self = this;
  active.compare_exchange_strong(self, nullptr);
}

FileLog* FileLog::Active() { return active; }

int FileLog::Adopt(const std::string& path) {
  struct stat status;
  if (lstat(path.c_str(), &status) != 0) Fail(path);
  const auto [found, is_new] = numbers_.try_emplace({status.st_dev, status.st_ino}, static_cast<int>(now_.size()));
  if (!is_new) return found->second;
  DiskNode node = {.kind = KindOf(status.st_mode), .mode = status.st_mode & 07777u, .content = {}, .entries = {}};
  if (node.kind == DiskNode::Kind::kLink) node.content = Content(path, status);
  now_.push_back(node);
  before_.push_back(std::move(node));
  return found->second;
}

void FileLog::ReadTree(int folder, const std::string& path) {
  for (const fs::directory_entry& entry : fs::directory_iterator(path)) {
    const std::string inner = entry.path().string();
    const int node = Adopt(inner);
    now_[static_cast<size_t>(folder)].entries[entry.path().filename().string()] = node;
    struct stat status;
    if (lstat(inner.c_str(), &status) != 0) Fail(inner);
    if (S_ISDIR(status.st_mode))
      ReadTree(node, inner);
    else
      now_[static_cast<size_t>(node)].content = Content(inner, status);
  }
}

int FileLog::NodeOf(int fd) const {
  struct stat status;
  if (fstat(fd, &status) != 0) return -1;
  const auto found = numbers_.find({status.st_dev, status.st_ino});
  return found == numbers_.end() ? -1 : found->second;
}

std::pair<int, std::string> FileLog::PlaceOf(int at, const char* path) const {
  const fs::path absolute = Absolute(at, path);
  struct stat status;
  if (stat(absolute.parent_path().c_str(), &status) != 0) return {-1, ""};
  const auto found = numbers_.find({status.st_dev, status.st_ino});
  return {found == numbers_.end() ? -1 : found->second, absolute.filename().string()};
}

void FileLog::Add(FileOperation operation) {
  Apply(operation, now_);
  operations_.push_back(std::move(operation));
}

bool FileLog::WouldCreate(int at, const char* path, int flags) {
  struct stat status;
  return (flags & O_CREAT) != 0 && fstatat(at, path, &status, AT_SYMLINK_NOFOLLOW) != 0;
}

void FileLog::Opened(int fd, int at, const char* path, int flags, bool created) {
  const std::lock_guard lock(mutex_);
  if (created) return Entered(at, path);
  if ((flags & O_TRUNC) != 0 && NodeOf(fd) >= 0) Resized(fd, 0);
}

void FileLog::Entered(int at, const char* path) {
  const std::lock_guard lock(mutex_);
  const auto [folder, name] = PlaceOf(at, path);
  if (folder < 0) return;
  Add({.kind = Kind::kEnter, .node = Adopt(Absolute(at, path)), .folder = folder, .name = name});
}

void FileLog::Removed(int at, const char* path) {
  const std::lock_guard lock(mutex_);
  const auto [folder, name] = PlaceOf(at, path);
  if (folder < 0) return;
  const int node = now_[static_cast<size_t>(folder)].entries.at(name);
  Add({.kind = Kind::kRemove, .node = node, .folder = folder, .name = name});
  // The system may give its number to another file.
  if (!IsNamed(now_, node)) std::erase_if(numbers_, [&](const auto& number) { return number.second == node; });
}

void FileLog::Renamed(int from_at, const char* from, int at, const char* path, bool exchanged) {
  const std::lock_guard lock(mutex_);
  const auto [from_folder, from_name] = PlaceOf(from_at, from);
  const auto [folder, name] = PlaceOf(at, path);
  if (from_folder < 0 && folder < 0) return;
  if (from_folder < 0 || folder < 0) throw std::logic_error(std::string(from) + ": is renamed into, or out of, the folder that is logged");
  const int node = now_[static_cast<size_t>(from_folder)].entries.at(from_name);
  const auto replaced = now_[static_cast<size_t>(folder)].entries.find(name);
  const int other = replaced == now_[static_cast<size_t>(folder)].entries.end() ? -1 : replaced->second;
  Add({.kind = exchanged ? Kind::kExchange : Kind::kRename,
       .node = node,
       .folder = folder,
       .from_folder = from_folder,
       .other = other,
       .name = name,
       .from_name = from_name});
  if (other >= 0 && !IsNamed(now_, other)) std::erase_if(numbers_, [&](const auto& number) { return number.second == other; });
}

void FileLog::Written(int fd, ssize_t count, off_t begin) {
  const std::lock_guard lock(mutex_);
  const int node = NodeOf(fd);
  if (node < 0 || count <= 0) return;
  if (begin < 0) begin = lseek(fd, 0, SEEK_CUR) - count;
  std::string bytes(static_cast<size_t>(count), '\0');
  const std::string path = "/proc/self/fd/" + std::to_string(fd);  // for reading, which the descriptor may not be open for
  const int again = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (again < 0 || pread(again, bytes.data(), bytes.size(), begin) != count) Fail(path);
  close(again);
  Add({.kind = Kind::kWrite, .node = node, .bytes = std::move(bytes), .offset = static_cast<size_t>(begin)});
}

void FileLog::Resized(int fd, off_t size) {
  const std::lock_guard lock(mutex_);
  if (const int node = NodeOf(fd); node >= 0) Add({.kind = Kind::kResize, .node = node, .offset = static_cast<size_t>(size)});
}

void FileLog::ModeChanged(int fd, unsigned mode) {
  const std::lock_guard lock(mutex_);
  if (const int node = NodeOf(fd); node >= 0) Add({.kind = Kind::kMode, .node = node, .mode = mode});
}

void FileLog::Synced(int fd) {
  const std::lock_guard lock(mutex_);
  if (const int node = NodeOf(fd); node >= 0) Add({.kind = Kind::kSync, .node = node});
}

void FileLog::SyncedAll() {
  const std::lock_guard lock(mutex_);
  Add({.kind = Kind::kSyncAll});
}

// ---- Disks ----

namespace {

void WriteFolder(const Disk& disk, int number, const std::string& path, std::map<int, std::string>& written) {
  for (const auto& [name, entry] : disk[static_cast<size_t>(number)].entries) {
    const DiskNode& node = disk[static_cast<size_t>(entry)];
    const std::string inner = path + "/" + name;
    if (const auto [first, is_new] = written.try_emplace(entry, inner); !is_new) {
      fs::create_hard_link(first->second, inner);
      continue;
    }
    if (node.kind == DiskNode::Kind::kLink) {
      fs::create_symlink(node.content, inner);
      continue;
    }
    if (node.kind == DiskNode::Kind::kFolder) {
      if (mkdir(inner.c_str(), node.mode) != 0) Fail(inner);
      WriteFolder(disk, entry, inner, written);
      continue;
    }
    const int fd = open(inner.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, node.content.data(), node.content.size()) != static_cast<ssize_t>(node.content.size()) ||
        fchmod(fd, node.mode) != 0)
      Fail(inner);
    close(fd);
  }
}

void Copy(const Disk& from, int number, Disk& to, int to_number, std::map<int, int>& copied) {
  for (const auto& [name, entry] : from[static_cast<size_t>(number)].entries) {
    const auto [place, is_new] = copied.try_emplace(entry, static_cast<int>(to.size()));
    to[static_cast<size_t>(to_number)].entries[name] = place->second;
    if (!is_new) continue;
    to.push_back(from[static_cast<size_t>(entry)]);
    to.back().entries.clear();
    Copy(from, entry, to, place->second, copied);
  }
}

}  // namespace

void WriteDisk(const Disk& disk, const std::string& folder) {
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) fs::remove_all(entry.path());
  std::map<int, std::string> written;
  WriteFolder(disk, 0, folder, written);
}

Disk Normalized(const Disk& disk) {
  Disk normalized = {disk[0]};
  normalized[0].entries.clear();
  std::map<int, int> copied;
  Copy(disk, 0, normalized, 0, copied);
  return normalized;
}

Disk ReadDisk(const std::string& folder) {
  FileLog log(folder);
  log.Stop();
  return Normalized(log.before());
}

}  // namespace mlac::test
