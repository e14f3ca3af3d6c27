#include "hub/store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <tuple>

#include "base/build_info.h"
#include "base/display.h"
#include "base/error.h"
#include "base/json.h"
#include "base/system_call.h"
#include "hub/blob_writer.h"
#include "hub/checkout.h"
#include "hub/copy_file.h"
#include "hub/private_folder.h"
#include "hub/seal.h"
#include "kernels/instruction_set.h"

namespace mlac {
namespace {

namespace fs = std::filesystem;

constexpr int kFormatVersion = 1;
constexpr std::string_view kFormatFile = "store.json";
constexpr std::array<std::string_view, 7> kParts = {"aliases", "blobs", "checkouts", "index", "records", "revisions", "tmp"};
constexpr size_t kLargestManifest = size_t{1} << 30, kLargestRecord = size_t{16} << 20;

constexpr const char* kMendBlob = "'mlac verify' lists all that is damaged; delete a damaged file and add what it belongs to again";

void MakeFolder(const std::string& path) {
  if (mkdir(path.c_str(), 0777) != 0 && errno != EEXIST) ThrowSystem("cannot create", path, errno);
  // A link would lead what is written, and what is removed, to another place.
  if (!IsFolderItself(path)) throw Error(ErrorCode::kInvalidInput, fmt::format("{}: expected a folder of the store, found a link or a file", path));
}

// Whether what stands in a folder may be a store whose making was interrupted.
bool IsUnfinishedStore(const std::vector<std::string>& names) {
  return std::all_of(names.begin(), names.end(), [](const std::string& name) {
    return std::find(kParts.begin(), kParts.end(), name) != kParts.end() || name == ".gitignore" || name.starts_with(".gitignore.partial-") ||
           name.starts_with(std::string(kFormatFile) + ".partial-");
  });
}

// What the store keeps of a stranger's hand is read only where it is a file of its own.
std::string ReadOwnFile(const std::string& path, size_t max_bytes) {
  const FileDescriptor file(Retry([&] { return open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY); }));
  if (file.get() < 0 && errno == ELOOP) throw Error(ErrorCode::kInvalidInput, fmt::format("{}: expected a file of the store, found a link", path));
  if (file.get() < 0) ThrowSystem("cannot open", path, errno);
  return ReadFile(file, path, max_bytes);
}

[[noreturn]] void ThrowNoRevision(const Store& store, std::string_view revision) {
  throw Error(ErrorCode::kNotFound, fmt::format("{}: there is no revision {}", store.folder(), Quoted(revision)), "'mlac log' lists them");
}

std::string ManifestPath(const Store& store, std::string_view revision) {
  if (!IsRevision(revision)) ThrowNoRevision(store, revision);
  return fmt::format("{}/revisions/{}", store.folder(), revision);
}

std::string RecordPath(const Store& store, std::string_view name, std::string_view revision) {
  return fmt::format("{}/records/{}/{}.json", store.folder(), name, revision);
}

void CheckBlobs(const Store& store, std::string_view revision, const Manifest& manifest) {
  for (const ManifestEntry& entry : manifest.entries()) {
    struct stat status;
    const bool there = lstat(store.BlobPath(entry.sha256).c_str(), &status) == 0 && S_ISREG(status.st_mode);
    if (there && static_cast<uint64_t>(status.st_size) == entry.size) continue;
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("{}: {} of revision {} {}", store.folder(), Quoted(entry.path), revision,
                            there ? fmt::format("has {} bytes; expected {}", status.st_size, entry.size) : "is missing"),
                kMendBlob);
  }
}

// The files of a revision below an empty folder. Throws kInvalidInput where the store has other bytes than the manifest says.
void CopyRevision(const Store& store, const Manifest& manifest, const std::string& folder, unsigned mode) {
  for (const ManifestEntry& entry : manifest.entries()) {
    for (size_t slash = entry.path.find('/'); slash != std::string::npos; slash = entry.path.find('/', slash + 1))
      MakeFolder(folder + "/" + entry.path.substr(0, slash));
    const std::string blob = store.BlobPath(entry.sha256);
    if (CopyFile(OpenForReading(blob), blob, folder + "/" + entry.path, mode) != entry.sha256)
      throw Error(ErrorCode::kInvalidInput, fmt::format("{}: is damaged: it has other bytes than its name says", blob), kMendBlob);
  }
}

}  // namespace

// ---- The store itself ----

Store Store::Open(const std::string& folder) {
  if (!FolderExists(folder)) throw Error(ErrorCode::kNotFound, fmt::format("{}: there is no such store", folder), "'mlac store add' makes one");
  std::error_code error;
  const std::string real = fs::canonical(folder, error).string();
  if (error) ThrowSystem("cannot open", folder, error.value());
  const std::string format_file = fmt::format("{}/{}", real, kFormatFile);
  if (!FileExists(format_file))
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: is no store of mlac: there is no {} in it", folder, kFormatFile));
  const nlohmann::ordered_json format = Unsealed(ReadOwnFile(format_file, kLargestRecord), SealForm::kPretty, format_file);
  if (const auto version = format.find("format_version"); version == format.end() || *version != kFormatVersion)
    throw Error(ErrorCode::kUnsupported,
                fmt::format("{}: format_version {} is not known; expected {}", format_file, version == format.end() ? "null" : DumpJson(*version),
                            kFormatVersion),
                "a newer mlac made it");
  Store store(real);
  for (const std::string_view part : kParts) store.Part(part);
  return store;
}

Store Store::OpenOrCreate(const std::string& folder) {
  if (folder.find('\0') != std::string::npos) throw Error(ErrorCode::kInvalidArgument, fmt::format("the path {} holds a NUL byte", Quoted(folder)));
  if (FileExists(fmt::format("{}/{}", folder, kFormatFile))) return Open(folder);
  const bool is_new = mkdir(folder.c_str(), 0777) == 0;
  if (!is_new && errno != EEXIST) ThrowSystem("cannot create", folder, errno);
  if (!FolderExists(folder)) throw Error(ErrorCode::kAlreadyExists, fmt::format("{}: is a file, not a store", folder));
  if (!IsUnfinishedStore(NamesIn(folder)) && !FileExists(fmt::format("{}/{}", folder, kFormatFile)))
    throw Error(ErrorCode::kAlreadyExists, fmt::format("{}: is no store of mlac, and not empty", folder), "choose another folder");
  try {
    SyncFolder(folder + "/..");  // also of a folder that was there: a process that was killed may have made it just now
  } catch (const Error&) {
    if (is_new) throw;  // else it may stand where others cannot look
  }
  for (const std::string_view part : kParts) MakeFolder(fmt::format("{}/{}", folder, part));
  WriteFileAtomically(folder + "/.gitignore", "# Made by mlac.\n*\n");
  // Last: by this file it is a store.
  WriteFileAtomically(fmt::format("{}/{}", folder, kFormatFile), Sealed({{"format_version", kFormatVersion}}, SealForm::kPretty));
  return Open(folder);
}

std::string Store::Find(const std::string& start) {
  std::error_code error;
  fs::path folder = fs::canonical(start, error);
  if (error) ThrowSystem("cannot look for a store", start, error.value());
  while (true) {
    const fs::path candidate = folder / ".mlac";
    if (FileExists((candidate / kFormatFile).string())) return candidate.string();
    if (!folder.has_relative_path()) return "";
    folder = folder.parent_path();
  }
}

std::string Store::Part(std::string_view name) const {
  const std::string path = fmt::format("{}/{}", folder_, name);
  if (!IsFolderItself(path)) MakeFolder(path);
  return path;
}

std::string Store::BlobPath(std::string_view sha256) const { return fmt::format("{}/blobs/{}/{}", folder_, sha256.substr(0, 2), sha256); }

FileLock Store::Lock(LockMode mode, const std::string& purpose, const std::function<void(const std::string&)>& on_wait) const {
  return FileLock::Wait(folder_ + "/lock", mode, purpose, on_wait);
}

// ---- Adding ----

Manifest Store::ScanSource(const std::string& source, const std::function<void(const ScanProgress&)>& on_progress) const {
  if (LiesIn(folder_, source) && FolderExists(source) && !LiesIn(source, folder_) && fs::path(folder_).filename() != ".mlac")
    throw Error(ErrorCode::kInvalidArgument, fmt::format("{}: the store {} lies in it", source, folder_), "choose a folder without it");
  const FileLock lock = Lock(LockMode::kShared, "scan");  // what is being written into the index is no leftover
  return Scan(source, {.index_folder = Part("index"), .on_progress = on_progress, .now = {}});
}

std::string Store::Add(const std::string& source, Record record, const AddOptions& options) const {
  CheckArtefactName(record.name);
  if (!std::isfinite(record.duration_seconds)) throw Error(ErrorCode::kInvalidArgument, "the duration of a record is no number");
  const FileLock lock = Lock(LockMode::kShared, fmt::format("add {}", record.name), options.on_wait);
  if (!record.base.empty() && !Has(record.base)) ThrowNoRevision(*this, record.base);
  for (const auto& [role, revision] : record.data)
    if (!Has(revision)) ThrowNoRevision(*this, revision);
  if (!record.answers.empty() && !Has(record.answers)) ThrowNoRevision(*this, record.answers);

  const Manifest manifest = ScanSource(source, options.on_progress);
  const std::string revision = manifest.Revision();
  BlobWriter writer(*this);
  const bool is_folder = FolderExists(source);
  for (const ManifestEntry& entry : manifest.entries()) {
    if (HasBlob(entry)) continue;
    const FileDescriptor file = is_folder ? OpenBeneath(source, entry.path) : OpenForReading(source);
    writer.Add(entry, file, is_folder ? source + "/" + entry.path : source);
  }
  writer.Commit();

  // Blobs, then what names them, then what names that: whatever ends this, nothing names what is not there.
  if (!Has(revision)) WriteFileAtomically(Part("revisions") + "/" + revision, manifest.Text());
  record.revision = revision;
  if (record.mlac_version.empty()) record.mlac_version = GetBuildInfo().version;
  if (record.instruction_set.empty()) record.instruction_set = kernels::InstructionSetInUse();
  if (record.who.empty()) record.who = Who();
  if (record.time.empty()) record.time = TimeNow();
  const std::string path = RecordPath(*this, record.name, revision);
  Part("records/" + record.name);
  if (!FileExists(path)) {
    WriteFileAtomically(path, RecordText(record));
    SyncFolder(Part("records"));
  }
  return revision;
}

bool Store::HasBlob(const ManifestEntry& entry) const {
  struct stat status;
  return lstat(BlobPath(entry.sha256).c_str(), &status) == 0 && S_ISREG(status.st_mode) && static_cast<uint64_t>(status.st_size) == entry.size;
}

// ---- Reading ----

bool Store::Has(std::string_view revision) const {
  struct stat status;
  return IsRevision(revision) && lstat(ManifestPath(*this, revision).c_str(), &status) == 0 && S_ISREG(status.st_mode);
}

Manifest Store::ReadManifest(std::string_view revision) const {
  if (!Has(revision)) ThrowNoRevision(*this, revision);
  const std::string path = ManifestPath(*this, revision);
  Manifest manifest = Manifest::Parse(ReadOwnFile(path, kLargestManifest), path);
  if (manifest.Revision() != revision) throw Error(ErrorCode::kInvalidInput, fmt::format("{}: is damaged: its content is that of another revision", path));
  return manifest;
}

std::optional<Record> Store::FindRecord(std::string_view name, std::string_view revision) const {
  CheckArtefactName(name);
  const std::string path = RecordPath(*this, name, revision);
  if (!IsRevision(revision) || !IsFolderItself(fmt::format("{}/records/{}", folder_, name)) || !FileExists(path)) return std::nullopt;
  Record record = ParseRecord(ReadOwnFile(path, kLargestRecord), path);
  if (record.name != name || record.revision != revision)
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: is the record of {} {}", path, Quoted(record.name), record.revision));
  return record;
}

std::vector<Record> Store::RecordsOf(std::string_view revision) const {
  if (!Has(revision)) ThrowNoRevision(*this, revision);
  std::vector<Record> records;
  for (const std::string& name : Names())
    if (std::optional<Record> record = FindRecord(name, revision)) records.push_back(std::move(*record));
  return records;
}

std::vector<std::string> Store::Revisions() const {
  std::vector<std::string> revisions = NamesIn(Part("revisions"));
  std::erase_if(revisions, [](const std::string& name) { return !IsRevision(name); });
  return revisions;
}

std::vector<std::string> Store::Names() const {
  std::vector<std::string> names = NamesIn(Part("records"));
  std::erase_if(names, [&](const std::string& name) { return !IsArtefactName(name) || !IsFolderItself(fmt::format("{}/records/{}", folder_, name)); });
  return names;
}

std::vector<std::string> Store::RevisionsOf(std::string_view name) const {
  CheckArtefactName(name);
  const std::string folder = fmt::format("{}/records/{}", folder_, name);
  if (!IsFolderItself(folder)) return {};
  std::vector<std::string> revisions;
  for (const std::string& file : NamesIn(folder))
    if (file.ends_with(".json") && IsRevision(std::string_view(file).substr(0, file.size() - 5))) revisions.push_back(file.substr(0, file.size() - 5));
  return revisions;
}

std::vector<Record> Store::Log(std::string_view name) const {
  std::vector<Record> records;
  for (const std::string& revision : RevisionsOf(name))
    if (std::optional<Record> record = FindRecord(name, revision)) records.push_back(std::move(*record));
  std::sort(records.begin(), records.end(), [](const Record& a, const Record& b) { return std::tie(b.time, b.revision) < std::tie(a.time, a.revision); });
  return records;
}

FileDescriptor Store::Lease(std::string_view revision) const {
  const std::string path = ManifestPath(*this, revision);
  FileDescriptor file(Retry([&] { return open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK); }));
  if (file.get() < 0 && errno == ENOENT) ThrowNoRevision(*this, revision);
  if (file.get() < 0) ThrowSystem("cannot open", path, errno);
  if (Retry([&] { return flock(file.get(), LOCK_SH); }) != 0) ThrowSystem("cannot lock", path, errno);
  // A garbage collection may have held it to remove it.
  struct stat opened, there;
  if (fstat(file.get(), &opened) != 0) ThrowSystem("cannot read", path, errno);
  if (lstat(path.c_str(), &there) != 0 || there.st_ino != opened.st_ino) ThrowNoRevision(*this, revision);
  return file;
}

// Whether the links of a revision can be made where they belong. What is not there yet is made beside them.
bool Store::MayCheckOut() const {
  const auto may_write = [](const std::string& path) { return faccessat(AT_FDCWD, path.c_str(), W_OK | X_OK, AT_EACCESS) == 0; };
  const auto may_write_part = [&](const char* part) { return may_write(fmt::format("{}/{}", folder_, part)) || errno == ENOENT; };
  return may_write(folder_) && may_write_part("checkouts") && may_write_part("tmp");
}

RevisionFolder Store::OpenFolder(std::string_view revision) const {
  FileDescriptor lease = Lease(revision);
  const Manifest manifest = ReadManifest(revision);
  CheckBlobs(*this, revision, manifest);
  const std::string path = fmt::format("{}/checkouts/{}", folder_, revision);
  if (IsWholeCheckout(path, manifest)) return RevisionFolder(std::string(revision), path, std::move(lease));
  if (!MayCheckOut()) {
    // A copy and no links: what a name in a file may lead to stays inside the folder (OpenBeneath).
    auto copy = std::make_shared<const PrivateFolder>();
    CopyRevision(*this, manifest, copy->path(), 0400);
    const std::string copied = copy->path();
    return RevisionFolder(std::string(revision), copied, std::move(lease), std::move(copy));
  }
  Part("checkouts");
  const std::string purpose = fmt::format("open {}", revision.substr(0, 12));
  const FileLock lock = Lock(LockMode::kShared, purpose),
                 only_one = FileLock::Wait(folder_ + "/checkout.lock", LockMode::kExclusive, purpose);
  StagedFolder staged(Part("tmp") + "/checkout", /*overwrite=*/false);
  const std::string made = staged.path() + "/" + std::string(revision);
  MakeFolder(made);
  MakeCheckout(made, manifest);
  // Nothing is synced: a checkout that a power loss leaves in pieces is not whole, and is made again.
  if (!IsWholeCheckout(path, manifest)) {  // still: another process may have made it
    if (rename(path.c_str(), (staged.path() + "/damaged").c_str()) != 0 && errno != ENOENT) ThrowSystem("cannot replace", path, errno);
    if (rename(made.c_str(), path.c_str()) != 0) ThrowSystem("cannot create", path, errno);
  }
  return RevisionFolder(std::string(revision), path, std::move(lease));
}

std::string Store::OnlyFile(const RevisionFolder& folder) const {
  const Manifest manifest = ReadManifest(folder.revision());
  if (manifest.entries().size() != 1)
    throw Error(ErrorCode::kInvalidArgument, fmt::format("revision {} has {} files; expected one", folder.revision(), manifest.entries().size()));
  return folder.path() + "/" + manifest.entries().front().path;
}

void Store::Export(std::string_view revision, const std::string& target, bool overwrite) const {
  const FileDescriptor lease = Lease(revision);
  const Manifest manifest = ReadManifest(revision);
  CheckBlobs(*this, revision, manifest);
  StagedFolder staged(target, overwrite);
  CopyRevision(*this, manifest, staged.path(), 0666);
  staged.Commit();
}

}  // namespace mlac
