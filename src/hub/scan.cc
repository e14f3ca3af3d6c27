#include "hub/scan.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/sha256.h"
#include "base/system_call.h"
#include "base/utf8.h"

namespace mlac {
namespace {

namespace fs = std::filesystem;

constexpr size_t kHashBlock = size_t{1} << 20;
constexpr size_t kLargestIndex = size_t{4} << 30;
// FAT has the coarsest time stamps, of 2 s.
constexpr std::time_t kCoarsestStampSeconds = 2;

// What changes when a file does. The time of the last change of its inode (ctime) cannot be set back, unlike that of modification.
struct Stamp {
  uint64_t device = 0, inode = 0, size = 0;
  int64_t modified_ns = 0, changed_ns = 0;
  bool operator==(const Stamp&) const = default;
};

int64_t Nanoseconds(const struct timespec& time) { return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec; }

Stamp StampOf(const struct stat& status) {
  return {.device = status.st_dev,
          .inode = status.st_ino,
          .size = static_cast<uint64_t>(status.st_size),
          .modified_ns = Nanoseconds(status.st_mtim),
          .changed_ns = Nanoseconds(status.st_ctim)};
}

struct IndexEntry {
  Stamp stamp;
  std::string sha256;
};

constexpr size_t kLastLine = 65;  // of an index: a SHA-256 and a line end

// ---- The index: what the files were when they were last read ----

// "SHA256 DEVICE INODE SIZE MODIFIED CHANGED PATH" a line, sorted by path, then a line with the checksum of all before.
class Index {
 public:
  // folder: where indexes are kept, "" for none. source: absolute.
  Index(const std::string& folder, const std::string& source) {
    if (folder.empty()) return;
    Sha256 hash;
    hash.Add(source);
    path_ = fmt::format("{}/{}", folder, hash.Finish().substr(0, kRevisionLength));
    struct stat status;
    if (lstat(path_.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return;
    text_ = ReadFile(path_, kLargestIndex);
    Parse();
  }

  const std::string* Find(const std::string& path, const Stamp& stamp) const {
    const auto found = entries_.find(path);
    return found != entries_.end() && found->second.stamp == stamp ? &found->second.sha256 : nullptr;
  }

  void Replace(std::map<std::string, IndexEntry> entries) {
    if (path_.empty()) return;
    std::string text;
    for (const auto& [path, entry] : entries) {
      const Stamp& stamp = entry.stamp;
      text += fmt::format("{} {} {} {} {} {} {}\n", entry.sha256, stamp.device, stamp.inode, stamp.size, stamp.modified_ns, stamp.changed_ns, path);
    }
    Sha256 hash;
    hash.Add(text);
    text += hash.Finish() + "\n";
    if (text == text_ || access(fs::path(path_).parent_path().c_str(), W_OK) != 0) return;
    WriteFileAtomically(path_, text);
  }

 private:
  // An index that is damaged counts as none: all is read again.
  void Parse() {
    if (!IsWholeIndex(text_)) return;
    const std::string_view lines = std::string_view(text_).substr(0, text_.size() - kLastLine);
    for (size_t begin = 0; begin < lines.size();) {
      const size_t end = std::min(lines.find('\n', begin), lines.size());
      if (!ParseLine(lines.substr(begin, end - begin))) return entries_.clear();
      begin = end + 1;
    }
  }

  bool ParseLine(std::string_view line) {
    constexpr size_t kHash = 64;
    if (line.size() < kHash + 1 || line[kHash] != ' ') return false;
    IndexEntry entry;
    entry.sha256 = line.substr(0, kHash);
    line.remove_prefix(kHash + 1);
    const auto take = [&](auto& number) {
      const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), number);
      const size_t length = static_cast<size_t>(end - line.data());
      if (error != std::errc() || length == line.size() || *end != ' ') return false;
      line.remove_prefix(length + 1);
      return true;
    };
    Stamp& stamp = entry.stamp;
    if (!take(stamp.device) || !take(stamp.inode) || !take(stamp.size) || !take(stamp.modified_ns) || !take(stamp.changed_ns)) return false;
    entries_.emplace_hint(entries_.end(), line, std::move(entry));
    return true;
  }

  std::string path_, text_;
  std::map<std::string, IndexEntry> entries_;
};

// ---- Reading ----

class Scanner {
 public:
  Scanner(const std::string& source, const ScanOptions& options)
      : source_(source), options_(options), index_(options.index_folder, fs::absolute(source).lexically_normal().string()) {}

  Manifest Folder() {
    List("");
    if (paths_.empty()) throw Error(ErrorCode::kInvalidInput, fmt::format("{}: holds no file", source_));
    progress_.num_files = paths_.size();
    for (const std::string& path : paths_) {
      AddFromFolder(path);
      Report();
    }
    return Finish();
  }

  Manifest File() {
    const std::string name = fs::path(source_).filename().string();
    is_file_ = true;
    progress_.num_files = 1;
    const FileDescriptor file = OpenForReading(source_);
    AddOpened(name, file);
    Report();
    return Finish();
  }

 private:
  // For messages.
  std::string Shown(const std::string& path) const { return is_file_ ? source_ : source_ + "/" + path; }

  static bool IsPassedOver(const std::string& name) { return name == ".git" || name == ".mlac"; }

  struct stat Status(const std::string& path) const {
    const std::string whole = source_ + "/" + path;
    struct stat status;
    if (Retry([&] { return lstat(whole.c_str(), &status); }) != 0) ThrowSystem("cannot look at it", whole, errno);
    return status;
  }

  // The files of a folder and those inside it, into paths_.
  void List(const std::string& folder) {
    for (const std::string& name : NamesIn(folder.empty() ? source_ : source_ + "/" + folder)) {
      if (IsPassedOver(name)) continue;
      const std::string path = folder.empty() ? name : folder + "/" + name;
      const mode_t mode = Status(path).st_mode;
      if (S_ISDIR(mode)) {
        List(path);
      } else if (S_ISREG(mode) || S_ISLNK(mode)) {
        paths_.push_back(path);
      } else {
        throw Error(ErrorCode::kInvalidInput, fmt::format("{}/{}: expected files and folders, found a device, FIFO or socket", source_, path));
      }
    }
  }

  void AddFromFolder(const std::string& path) {
    const struct stat status = Status(path);
    // What was read before needs no opening; links lead elsewhere, and a second hard link is refused by OpenBeneath.
    if (S_ISREG(status.st_mode) && status.st_nlink == 1 && TakeFromIndex(path, StampOf(status))) return;
    AddOpened(path, OpenBeneath(source_, path));
  }

  bool TakeFromIndex(const std::string& path, const Stamp& stamp) {
    const std::string* sha256 = index_.Find(path, stamp);
    if (sha256 == nullptr) return false;
    entries_.push_back({.path = path, .size = stamp.size, .sha256 = *sha256});
    next_index_[path] = {.stamp = stamp, .sha256 = *sha256};
    return true;
  }

  Stamp OpenedStamp(const std::string& path, const FileDescriptor& file) const {
    struct stat status;
    if (fstat(file.get(), &status) != 0) ThrowSystem("cannot read", Shown(path), errno);
    return StampOf(status);
  }

  void AddOpened(const std::string& path, const FileDescriptor& file) {
    const Stamp before = OpenedStamp(path, file);
    if (TakeFromIndex(path, before)) return;
    const std::time_t begin = options_.now ? options_.now() : std::time(nullptr);
    Sha256 hash;
    uint64_t size = 0;
    while (true) {
      const ssize_t count = Retry([&] { return pread(file.get(), block_.data(), block_.size(), static_cast<off_t>(size)); });
      if (count < 0) ThrowSystem("cannot read", Shown(path), errno);
      if (count == 0) break;
      hash.Add(std::span(block_).first(static_cast<size_t>(count)));
      size += static_cast<uint64_t>(count);
      progress_.num_bytes_read += static_cast<uint64_t>(count);
    }
    if (size != before.size || OpenedStamp(path, file) != before)
      throw Error(ErrorCode::kIo, fmt::format("{}: was written to while it was read", Shown(path)), "start again when it is whole");
    entries_.push_back({.path = path, .size = size, .sha256 = hash.Finish()});
    const bool may_change_unseen = before.changed_ns / 1'000'000'000 + kCoarsestStampSeconds >= begin;
    // A path with a line end is none that a manifest can hold, which Finish says.
    if (!may_change_unseen && path.find('\n') == std::string::npos) next_index_[path] = {.stamp = before, .sha256 = entries_.back().sha256};
  }

  void Report() {
    ++progress_.num_files_done;
    if (options_.on_progress) options_.on_progress(progress_);
  }

  Manifest Finish() {
    Manifest manifest(std::move(entries_), source_);
    index_.Replace(std::move(next_index_));
    return manifest;
  }

  const std::string& source_;
  const ScanOptions& options_;
  bool is_file_ = false;
  Index index_;
  std::vector<std::string> paths_;
  std::vector<ManifestEntry> entries_;
  std::map<std::string, IndexEntry> next_index_;
  std::vector<std::byte> block_ = std::vector<std::byte>(kHashBlock);
  ScanProgress progress_;
};

}  // namespace

bool IsWholeIndex(std::string_view text) {
  if (text.size() < kLastLine) return false;
  const size_t end = text.size() - kLastLine;
  Sha256 hash;
  hash.Add(text.substr(0, end));
  return hash.Finish() + "\n" == text.substr(end);
}

Manifest Scan(const std::string& source, const ScanOptions& options) {
  std::string path = source;
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  if (path.find('\0') != std::string::npos || path.empty()) OpenForReading(path);  // throws, with the reason
  Scanner scanner(path, options);
  return FolderExists(path) ? scanner.Folder() : scanner.File();
}

}  // namespace mlac
