#include "base/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <new>
#include <vector>

#include "base/display.h"
#include "base/error.h"
#include "base/folder_contents.h"
#include "base/system_call.h"

namespace mlac {
namespace {

namespace fs = std::filesystem;

std::string_view KindOfFile(mode_t mode) {
  return S_ISREG(mode)   ? "a file"
         : S_ISDIR(mode) ? "a folder"
         : S_ISLNK(mode) ? "a link"
         : S_ISFIFO(mode) ? "a FIFO"
         : S_ISSOCK(mode) ? "a socket"
                          : "a device";
}

// st_mode of what is there, links followed; 0 if nothing is.
mode_t ModeOf(const std::string& path) {
  struct stat status;
  if (Retry([&] { return stat(path.c_str(), &status); }) == 0) return status.st_mode;
  if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP || errno == ENAMETOOLONG) return 0;
  ThrowSystem("cannot look whether it exists", path, errno);
}

struct stat StatusOfRegularFile(int fd, const std::string& path) {
  struct stat status;
  if (fstat(fd, &status) != 0) ThrowSystem("cannot read", path, errno);
  if (!S_ISREG(status.st_mode)) throw Error(ErrorCode::kInvalidInput, fmt::format("{}: expected a file, found {}", path, KindOfFile(status.st_mode)));
  return status;
}

// The folder that path lies in, "." for a plain name.
std::string FolderAbove(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

void RefuseNul(const std::string& path) {
  if (path.find('\0') != std::string::npos) throw Error(ErrorCode::kInvalidArgument, fmt::format("the path {} holds a NUL byte", Quoted(path)));
}

constexpr std::string_view kPartial = ".partial-";
constexpr size_t kPartialLetters = 8;

// Creates a file or folder of a new name beside target by create(name), which returns -1 and errno; gives the name. The kernel applies
// the umask, which mkstemp would leave to us, and to ask for it is not thread-safe.
template <typename Create>
std::string CreateBeside(const std::string& target, Create create) {
  static constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz234567";
  while (true) {
    std::array<unsigned char, kPartialLetters> random;
    if (Retry([&] { return getrandom(random.data(), random.size(), 0); }) < 0) ThrowSystem("cannot make a name beside it", target, errno);
    std::string name = target + std::string(kPartial);
    for (const unsigned char byte : random) name += kLetters[byte % kLetters.size()];
    if (Retry([&] { return create(name); }) != -1) return name;
    if (errno == EEXIST) continue;
    const int error = errno;
    const std::string folder = FolderAbove(target);
    if (error == ENOENT && !FolderExists(folder))
      throw Error(ErrorCode::kNotFound, fmt::format("{}: cannot create: there is no folder {}", target, Quoted(folder)), "make it first: mkdir -p");
    ThrowSystem("cannot create", target, error);
  }
}

// ---- Names that strangers wrote ----

void CheckName(const std::string& folder, const std::string& name) {
  const auto refuse = [&](std::string_view why) {
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: the file name {} {}", folder, Quoted(name), why));
  };
  if (name.empty()) refuse("is empty");
  if (name.front() == '/') refuse("is absolute; expected one inside the folder");
  for (const char c : name)
    if (c == '\\' || static_cast<unsigned char>(c) < 0x20 || c == 0x7F) refuse("holds a backslash or a control character");
  for (size_t begin = 0; begin <= name.size();) {
    const size_t end = std::min(name.find('/', begin), name.size());
    const std::string_view part = std::string_view(name).substr(begin, end - begin);
    if (part.empty() || part == "." || part == "..") refuse("has a part that is empty, '.' or '..'");
    begin = end + 1;
  }
}

// Where a name may lead, and the name from there on.
struct Root {
  std::string folder, prefix;
};

// Two layouts whose folders hold links to files beside them. The names decide alone, links in the user's own path resolved; all of the root is of one
// hand, so that a link inside it shows nobody anything that is not its own.
// models--NAME/snapshots/REVISION and what lies in it: the cache of Hugging Face, by huggingface_hub's guide "Understand caching".
// STORE/checkouts/REVISION and what lies in it: a store of mlac (hub/store.h), which store.json tells from other folders of that name.
Root RootOf(const std::string& folder) {
  std::error_code error;
  const fs::path real = fs::canonical(folder, error);
  if (error) return {folder, ""};
  for (fs::path inner = real; inner.has_relative_path(); inner = inner.parent_path()) {
    const fs::path above = inner.parent_path(), root = above.parent_path();
    const bool in_cache = above.filename() == "snapshots" && root.filename().string().starts_with("models--");
    const bool in_store = above.filename() == "checkouts" && FileExists((root / "store.json").string());
    if (in_cache || in_store) return {root.string(), real.lexically_relative(root).string() + "/"};
  }
  return {folder, ""};
}

FileDescriptor OpenRoot(const std::string& folder) {
  FileDescriptor root(Retry([&] { return open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC); }));
  if (root.get() < 0) ThrowSystem("cannot open", folder, errno);
  return root;
}

constexpr int kReadFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;  // O_NONBLOCK: a FIFO is refused, not waited for

// Part by part and without links, for kernels before 5.6 and sandboxes. -1 and errno on failure, ELOOP for a link.
FileDescriptor OpenWithoutLinks(const FileDescriptor& root, std::string_view name) {
  FileDescriptor folder;
  int at = root.get();
  while (true) {
    const size_t slash = name.find('/');
    const std::string part(name.substr(0, slash));
    const bool last = slash == std::string_view::npos;
    const int flags = last ? kReadFlags | O_NOFOLLOW : O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW;
    FileDescriptor next(Retry([&] { return openat(at, part.c_str(), flags); }));
    if (next.get() < 0) {
      struct stat status;
      const int error = errno;
      errno = fstatat(at, part.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(status.st_mode) ? ELOOP : error;
      return next;
    }
    if (last) return next;
    folder = std::move(next);
    at = folder.get();
    name.remove_prefix(slash + 1);
  }
}

// ---- Mapped files, for a handler of SIGBUS ----

// The one table of the process, since a signal handler gets nothing but an address. A file that finds no free place goes without.
struct MappedRange {
  std::atomic<const std::byte*> begin{nullptr}, end{nullptr};
  std::atomic<const char*> name{nullptr};
  std::atomic<bool> taken{false};
};
std::array<MappedRange, 1024> mapped_ranges;

void Register(const std::byte* data, size_t size, const char* name) {
  for (MappedRange& range : mapped_ranges) {
    if (range.taken.exchange(true)) continue;
    range.name = name;
    range.end = data + size;
    range.begin = data;
    return;
  }
}

void Unregister(const std::byte* data) {
  for (MappedRange& range : mapped_ranges) {
    if (range.begin != data) continue;
    range.begin = nullptr;
    range.end = nullptr;
    range.taken = false;
    return;
  }
}

// ---- Folders ----

bool IsMountPoint(const std::string& folder) {
  struct statx status;
  return statx(AT_FDCWD, folder.c_str(), 0, STATX_TYPE, &status) == 0 && (status.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) != 0 &&
         (status.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

bool StandsIn(const std::string& folder) {
  std::error_code error;
  const std::string here = fs::current_path(error).string() + "/", real = fs::canonical(folder, error).string() + "/";
  return !error && here.starts_with(real);
}

// Throws unless a folder may be put in the place of target, or there is nothing.
void CheckTarget(const std::string& target, bool overwrite) {
  struct stat old;
  if (lstat(target.c_str(), &old) != 0) return;  // a missing folder above it is seen when something is created there
  if (!overwrite) throw Error(ErrorCode::kAlreadyExists, fmt::format("{}: exists already", target), "--overwrite replaces it");
  if (!S_ISDIR(old.st_mode)) throw Error(ErrorCode::kAlreadyExists, fmt::format("{}: is {}, not a folder", target, KindOfFile(old.st_mode)));
  if (StandsIn(target)) throw Error(ErrorCode::kInvalidArgument, fmt::format("{}: is or holds the current folder", target));
  if (IsMountPoint(target))
    throw Error(ErrorCode::kInvalidArgument, fmt::format("{}: is a mount point, which cannot be replaced", target), "choose a folder inside it");
}

// Whether an errno of renameat2 means that the file system or the kernel knows no such flag.
bool LacksFlag(int error) { return error == EINVAL || error == ENOSYS || error == ENOTSUP; }

// Puts the folder `from` in the place of `to`; gives the path of the old one, "" if there was none, and then nothing is done.
std::string Exchange(const std::string& from, const std::string& to) {
  if (renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_EXCHANGE) == 0) return from;
  if (errno == ENOENT) return "";
  if (!LacksFlag(errno)) ThrowSystem("cannot replace", to, errno);
  const std::string aside = from + "-old";  // in two steps: for a moment no folder is there
  if (rename(to.c_str(), aside.c_str()) != 0) {
    if (errno == ENOENT) return "";
    ThrowSystem("cannot replace", to, errno);
  }
  if (rename(from.c_str(), to.c_str()) == 0) return aside;
  const int error = errno;
  if (rename(aside.c_str(), to.c_str()) != 0) ThrowSystem(fmt::format("cannot replace; its old content is {} now", aside), to, error);
  ThrowSystem("cannot replace", to, error);
}

void MoveToFreePlace(const std::string& from, const std::string& to) {
  if (renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return;
  if (!LacksFlag(errno)) ThrowSystem("cannot create", to, errno);
  struct stat status;
  if (lstat(to.c_str(), &status) == 0) ThrowSystem("cannot create", to, EEXIST);
  if (rename(from.c_str(), to.c_str()) != 0) ThrowSystem("cannot create", to, errno);
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
  RefuseNul(path);
  FileDescriptor file(Retry([&] { return open(path.c_str(), kReadFlags); }));
  if (file.get() < 0) ThrowSystem("cannot open", path, errno);
  StatusOfRegularFile(file.get(), path);
  return file;
}

FileDescriptor OpenBeneath(const std::string& folder, const std::string& name) {
  RefuseNul(folder);
  CheckName(folder, name);
  const auto [root_folder, prefix] = RootOf(folder);
  const FileDescriptor root = OpenRoot(root_folder);
  const std::string from_root = prefix + name, shown = folder + "/" + name;

  struct open_how how = {};
  how.flags = static_cast<uint64_t>(kReadFlags);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  FileDescriptor file;
  for (int attempt = 0; attempt < 64; ++attempt) {  // EAGAIN: a folder on the way was renamed meanwhile
    file = FileDescriptor(static_cast<int>(Retry([&] { return syscall(SYS_openat2, root.get(), from_root.c_str(), &how, sizeof how); })));
    if (file.get() >= 0 || errno != EAGAIN) break;
  }
  bool links_followed = true;
  if (file.get() < 0 && (errno == ENOSYS || errno == EPERM)) {  // EPERM: how old sandboxes refuse what they do not know
    links_followed = false;
    file = OpenWithoutLinks(root, from_root);
  }
  if (file.get() < 0) {
    const int error = errno;
    if (error == EXDEV)
      throw Error(ErrorCode::kInvalidInput, fmt::format("{}: is a link that leads out of the folder", shown), "put a copy of the file there");
    if (error == ELOOP)
      throw Error(ErrorCode::kInvalidInput,
                  links_followed ? fmt::format("{}: is a link that leads nowhere or into /proc", shown)
                                 : fmt::format("{}: is a link, and this system cannot say where it leads (no openat2)", shown),
                  "put a copy of the file there");
    ThrowSystem("cannot open", shown, error);
  }
  const struct stat status = StatusOfRegularFile(file.get(), shown);
  if (status.st_nlink > 1)
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: is one of {} hard links to a file; expected one", shown, status.st_nlink),
                "put a copy of the file there");
  return file;
}

bool FileExists(const std::string& path) { return S_ISREG(ModeOf(path)); }

bool FolderExists(const std::string& path) { return S_ISDIR(ModeOf(path)); }

bool LiesIn(const std::string& path, const std::string& folder) {
  std::error_code error;
  const std::string inner = fs::weakly_canonical(path, error).string() + "/", outer = fs::weakly_canonical(folder, error).string() + "/";
  return !path.empty() && inner.starts_with(outer);
}

std::vector<std::string> NamesIn(const std::string& folder) {
  std::vector<std::string> names;
  if (const int error = ReadNames(folder, names); error != 0) ThrowSystem("cannot list", folder, error);
  std::sort(names.begin(), names.end());
  return names;
}

std::string ReadFile(const FileDescriptor& file, const std::string& name, size_t max_bytes) {
  const size_t size = static_cast<size_t>(StatusOfRegularFile(file.get(), name).st_size);
  if (size > max_bytes) throw Error(ErrorCode::kTooLarge, fmt::format("{}: {} bytes, at most {} are read", name, size, max_bytes));
  std::string content(size, '\0');
  size_t filled = 0;
  while (filled < size) {
    const ssize_t count = Retry([&] { return pread(file.get(), content.data() + filled, size - filled, static_cast<off_t>(filled)); });
    if (count < 0) ThrowSystem("cannot read", name, errno);
    if (count == 0) throw Error(ErrorCode::kIo, fmt::format("{}: {} bytes became {} while it was read", name, size, filled));
    filled += static_cast<size_t>(count);
  }
  return content;
}

std::string ReadFile(const std::string& path, size_t max_bytes) { return ReadFile(OpenForReading(path), path, max_bytes); }

MappedFile::MappedFile(const std::string& path) : MappedFile(OpenForReading(path), path) {}

MappedFile::MappedFile(FileDescriptor file, const std::string& name) : file_(std::move(file)), name_(name) {
  const struct stat status = StatusOfRegularFile(file_.get(), name_);
  size_ = static_cast<size_t>(status.st_size);
  modified_ = status.st_mtim;
  if (size_ == 0) return;
  void* address = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file_.get(), 0);
  if (address == MAP_FAILED) ThrowSystem("cannot map", name_, errno);
  data_ = static_cast<const std::byte*>(address);
  Register(data_, size_, name_.c_str());
}

MappedFile::~MappedFile() {
  if (data_ == nullptr) return;
  Unregister(data_);
  munmap(const_cast<std::byte*>(data_), size_);
}

void MappedFile::CheckUnchanged() const {
  const struct stat now = StatusOfRegularFile(file_.get(), name_);
  if (static_cast<size_t>(now.st_size) != size_)
    throw Error(ErrorCode::kIo, fmt::format("{}: had {} bytes when it was opened, has {} now", name_, size_, now.st_size),
                "start again; replace a file that is in use by renaming another over it");
  if (now.st_mtim.tv_sec != modified_.tv_sec || now.st_mtim.tv_nsec != modified_.tv_nsec)
    throw Error(ErrorCode::kIo, fmt::format("{}: was written to while it was in use", name_),
                "start again; replace a file that is in use by renaming another over it");
}

const char* MappedFileAt(const void* address) noexcept {
  const std::byte* byte = static_cast<const std::byte*>(address);
  for (const MappedRange& range : mapped_ranges) {
    const std::byte* begin = range.begin;
    if (begin != nullptr && begin <= byte && byte < range.end) return range.name;
  }
  return nullptr;
}

AtomicFile::AtomicFile(const std::string& path) : path_(path) {
  RefuseNul(path_);
  struct stat old;
  const bool replaces = lstat(path_.c_str(), &old) == 0;
  if (replaces && !S_ISREG(old.st_mode) && !S_ISLNK(old.st_mode))
    throw Error(ErrorCode::kInvalidArgument, fmt::format("{}: expected the name of a file, found {}", path_, KindOfFile(old.st_mode)));
  temporary_ = CreateBeside(path_, [&](const std::string& name) {
    file_ = FileDescriptor(open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666));
    return file_.get();
  });
  if (replaces && S_ISREG(old.st_mode) && fchmod(file_.get(), old.st_mode & 0777) != 0) {
    const int error = errno;
    unlink(temporary_.c_str());
    ThrowSystem("cannot keep the permissions", path_, error);
  }
}

AtomicFile::~AtomicFile() {
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

void AtomicFile::Write(std::string_view content) {
  while (!content.empty()) {
    const ssize_t written = Retry([&] { return write(file_.get(), content.data(), content.size()); });
    if (written <= 0) ThrowSystem("cannot write", path_, written == 0 ? EIO : errno);
    content.remove_prefix(static_cast<size_t>(written));
  }
}

void AtomicFile::Write(std::span<const std::byte> content) {
  Write(std::string_view(reinterpret_cast<const char*>(content.data()), content.size()));
}

void AtomicFile::Commit() {
  SyncFile(file_.get(), path_);
  // Never again after EINTR: Linux has closed the descriptor by then. What close could say of the data, fsync has said.
  if (close(file_.Release()) != 0 && errno != EINTR) ThrowSystem("cannot close", path_, errno);
  if (rename(temporary_.c_str(), path_.c_str()) != 0) ThrowSystem("cannot replace", path_, errno);
  temporary_.clear();
  SyncFolder(FolderAbove(path_));
}

void WriteFileAtomically(const std::string& path, std::string_view content) {
  AtomicFile file(path);
  file.Write(content);
  file.Commit();
}

StagedFolder::StagedFolder(const std::string& target, bool overwrite) : target_(target), overwrite_(overwrite) {
  RefuseNul(target_);
  while (target_.size() > 1 && target_.back() == '/') target_.pop_back();
  const std::string name = fs::path(target_).filename().string();
  if (name.empty() || name == "." || name == "..")
    throw Error(ErrorCode::kInvalidArgument, fmt::format("'{}' cannot be an output folder", target), "give it a name of its own");
  std::error_code error;
  if (overwrite_ && FolderExists(target_) && fs::is_symlink(target_, error)) target_ = fs::canonical(target_, error).string();
  if (error) ThrowSystem("cannot follow the link", target_, error.value());
  CheckTarget(target_, overwrite_);
  staging_ = CreateBeside(target_, [](const std::string& path) { return mkdir(path.c_str(), 0777); });
}

void StagedFolder::RemoveLeftovers(const std::string& target) {
  const std::string above = FolderAbove(target), name = fs::path(target).filename().string() + std::string(kPartial);
  std::vector<std::string> names;
  if (ReadNames(above, names) != 0) return;  // where nothing is, nothing was left
  for (const std::string& found : names) {
    // "-old": the folder that Exchange moved aside.
    if (found.starts_with(name) && (found.size() == name.size() + kPartialLetters || found.ends_with("-old"))) RemoveAll(above + "/" + found);
  }
}

StagedFolder::~StagedFolder() {
  if (staging_.empty()) return;
  try {
    std::error_code ignored;
    RemoveAll(staging_, ignored);
  } catch (const std::bad_alloc&) {  // to list a folder takes memory; RemoveLeftovers has it then
  }
}

void StagedFolder::Commit() {
  SyncTree(staging_);
  CheckTarget(target_, overwrite_);  // again: it took long
  const std::string old = overwrite_ ? Exchange(staging_, target_) : "";
  if (old.empty()) MoveToFreePlace(staging_, target_);
  staging_ = old;
  SyncFolder(FolderAbove(target_));
  std::error_code error;
  if (!old.empty()) RemoveAll(old, error);
  staging_.clear();
  if (error)
    throw Error(ErrorCode::kIo, fmt::format("{}: is written, but the folder that it replaces could not be removed and is now {}: {}", target_, old,
                                            error.message()));
}

}  // namespace mlac
