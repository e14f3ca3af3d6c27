#include "hub/verify.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <set>

#include "base/error.h"
#include "base/system_call.h"
#include "hub/aliases.h"
#include "hub/checkout.h"
#include "hub/copy_file.h"

namespace mlac {
namespace {

constexpr size_t kShortRevision = 12, kNeededByShown = 3, kLargestScanIndex = size_t{4} << 30;

class Verifier {
 public:
  Verifier(const Store& store, const std::function<void(uint64_t, uint64_t)>& on_progress) : store_(store), on_progress_(on_progress) {}

  VerifyResult Run() {
    VerifyManifests();
    VerifyRecords();
    VerifyAliases();
    VerifyIndexes();
    VerifyBlobs();
    VerifyCheckouts();
    std::sort(result_.damages.begin(), result_.damages.end(), [](const Damage& a, const Damage& b) { return a.path < b.path; });
    return std::move(result_);
  }

 private:
  // "revisions/ab..." of a path in the store.
  std::string Inside(const std::string& path) const { return path.starts_with(store_.folder() + "/") ? path.substr(store_.folder().size() + 1) : path; }

  void Report(const std::string& path, std::string message, std::vector<std::string> needed_by = {}) {
    result_.damages.push_back({.path = Inside(path), .message = std::move(message), .needed_by = std::move(needed_by)});
  }

  // Calls action; what it finds is damage of the file at path, and its message stands without the path.
  template <typename Action>
  void Try(const std::string& path, Action action) {
    try {
      action();
    } catch (const Error& error) {
      if (error.code() == ErrorCode::kResourceExhausted) throw;
      std::string message = error.message();
      if (message.starts_with(path + ": ")) message = message.substr(path.size() + 2);
      Report(path, message);
    }
  }

  bool IsPartial(const std::string& name) const { return name.find(".partial-") != std::string::npos; }

  void VerifyManifests() {
    const std::string folder = store_.Part("revisions");
    for (const std::string& name : NamesIn(folder)) {
      const std::string path = folder + "/" + name;
      if (IsPartial(name)) continue;
      if (!IsRevision(name)) {
        Report(path, "is no revision");
        continue;
      }
      ++result_.num_revisions;
      Try(path, [&] { manifests_.emplace(name, store_.ReadManifest(name)); });
      if (manifests_.contains(name)) continue;
      unreadable_.insert(name);
    }
  }

  bool IsThere(const std::string& revision) const { return manifests_.contains(revision) || unreadable_.contains(revision); }

  void VerifyRecords() {
    const std::string records = store_.Part("records");
    for (const std::string& name : NamesIn(records)) {
      if (!IsArtefactName(name) || !IsFolderItself(records + "/" + name)) {
        Report(records + "/" + name, "is no folder of records");
        continue;
      }
      for (const std::string& file : NamesIn(records + "/" + name)) {
        const std::string path = fmt::format("{}/{}/{}", records, name, file), revision = file.substr(0, std::min(file.size(), kRevisionLength));
        if (IsPartial(file)) continue;
        if (!IsRevision(revision) || file != revision + ".json") {
          Report(path, "is no record");
          continue;
        }
        names_[revision].push_back(name);
        Try(path, [&] { VerifyRecord(path, name, revision); });
      }
    }
  }

  void VerifyRecord(const std::string& path, const std::string& name, const std::string& revision) {
    const std::optional<Record> record = store_.FindRecord(name, revision);
    if (!record) return Report(path, "is no file");
    if (!IsThere(revision)) Report(path, fmt::format("revision {} is missing", revision));
    if (!record->base.empty() && !IsThere(record->base)) Report(path, fmt::format("its base, revision {}, is missing", record->base));
    for (const auto& [role, data] : record->data)
      if (!IsThere(data)) Report(path, fmt::format("its data '{}', revision {}, is missing", role, data));
    if (!record->answers.empty() && !IsThere(record->answers)) Report(path, fmt::format("its recorded answers, revision {}, are missing", record->answers));
  }

  void VerifyAliases() {
    const std::string folder = store_.Part("aliases");
    const Aliases aliases(store_);
    for (const std::string& name : NamesIn(folder)) {
      if (name == ".lock") continue;
      if (!IsArtefactName(name) || !IsFolderItself(folder + "/" + name)) {
        Report(folder + "/" + name, "is no folder of aliases");
        continue;
      }
      for (const std::string& file : NamesIn(folder + "/" + name)) {
        const std::string path = fmt::format("{}/{}/{}", folder, name, file);
        if (IsPartial(file)) continue;
        if (!file.ends_with(".jsonl")) {
          Report(path, "is no alias");
          continue;
        }
        Try(path, [&] {
          const std::optional<std::string> revision = aliases.Find(name, file.substr(0, file.size() - 6));
          if (!revision) Report(path, "is no file");
          if (revision && !IsThere(*revision)) Report(path, fmt::format("revision {} is missing", *revision));
        });
      }
    }
  }

  void VerifyIndexes() {
    const std::string folder = store_.Part("index");
    for (const std::string& name : NamesIn(folder)) {
      const std::string path = folder + "/" + name;
      if (!IsPartial(name))
        Try(path, [&] {
          if (!IsWholeIndex(ReadFile(path, kLargestScanIndex))) Report(path, "is damaged; the next scan makes it anew");
        });
    }
  }

  // By SHA-256: what the manifests say of each blob.
  struct Expected {
    uint64_t size = 0;
    std::vector<std::string> needed_by;
  };

  std::map<std::string, Expected> ExpectedBlobs() const {
    std::map<std::string, Expected> expected;
    for (const auto& [revision, manifest] : manifests_) {
      const auto found = names_.find(revision);
      const std::string name = found == names_.end() ? "" : found->second.front() + "@";
      for (const ManifestEntry& entry : manifest.entries()) {
        Expected& blob = expected[entry.sha256];
        blob.size = entry.size;
        if (blob.needed_by.size() < kNeededByShown) blob.needed_by.push_back(fmt::format("{}{} {}", name, revision.substr(0, kShortRevision), entry.path));
      }
    }
    return expected;
  }

  void VerifyBlobs() {
    std::map<std::string, Expected> expected = ExpectedBlobs();
    const std::vector<std::string> found = FindBlobs();
    const std::set<std::string> there(found.begin(), found.end());
    for (const auto& [sha256, blob] : expected) {
      total_ += blob.size;
      if (!there.contains(sha256)) Report(store_.BlobPath(sha256), "is missing", blob.needed_by);
    }
    for (const std::string& sha256 : found) {
      const auto wanted = expected.find(sha256);
      if (wanted == expected.end()) ++result_.num_unneeded;
      VerifyBlob(sha256, wanted == expected.end() ? std::vector<std::string>() : wanted->second.needed_by);
    }
  }

  // The SHA-256s whose blobs are there; what else lies among them is damage.
  std::vector<std::string> FindBlobs() {
    std::vector<std::string> found;
    const std::string blobs = store_.Part("blobs");
    for (const std::string& begin : NamesIn(blobs)) {
      const std::string folder = blobs + "/" + begin;
      if (!IsFolderItself(folder)) {
        Report(folder, "is no folder of blobs");
        continue;
      }
      for (const std::string& name : NamesIn(folder)) {
        const bool is_hash = name.size() == 64 && name.find_first_not_of("0123456789abcdef") == std::string::npos && name.starts_with(begin);
        if (is_hash)
          found.push_back(name);
        else
          Report(folder + "/" + name, "is no blob");
      }
    }
    return found;
  }

  void VerifyBlob(const std::string& sha256, const std::vector<std::string>& needed_by) {
    const std::string path = store_.BlobPath(sha256);
    const FileDescriptor file(Retry([&] { return open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY); }));
    struct stat status;
    if (file.get() < 0 || fstat(file.get(), &status) != 0) return Report(path, fmt::format("cannot be read: {}", std::strerror(errno)), needed_by);
    if (!S_ISREG(status.st_mode)) return Report(path, "is no file", needed_by);
    ++result_.num_blobs;
    result_.num_bytes += static_cast<uint64_t>(status.st_size);
    try {
      if (HashOfFile(file, path) != sha256) Report(path, "is damaged: it has other bytes than its name says", needed_by);
    } catch (const Error& error) {
      Report(path, error.message().substr(std::min(error.message().size(), path.size() + 2)), needed_by);
    }
    if (on_progress_) on_progress_(result_.num_bytes, std::max(total_, result_.num_bytes));
  }

  void VerifyCheckouts() {
    const std::string folder = store_.Part("checkouts");
    for (const std::string& name : NamesIn(folder)) {
      const auto manifest = manifests_.find(name);
      if (manifest == manifests_.end()) {
        if (!unreadable_.contains(name)) Report(folder + "/" + name, "is of no revision; 'mlac gc' removes it");
      } else if (!IsWholeCheckout(folder + "/" + name, manifest->second)) {
        Report(folder + "/" + name, "is not what the revision says; it is made anew when it is next used");
      }
    }
  }

  const Store& store_;
  const std::function<void(uint64_t, uint64_t)>& on_progress_;
  std::map<std::string, Manifest> manifests_;
  std::set<std::string> unreadable_;                         // revisions whose manifest is damaged
  std::map<std::string, std::vector<std::string>> names_;  // by revision
  uint64_t total_ = 0;
  VerifyResult result_;
};

}  // namespace

VerifyResult Verify(const Store& store, const std::function<void(uint64_t done, uint64_t total)>& on_progress) {
  const FileLock lock = store.Lock(LockMode::kShared, "verify");
  return Verifier(store, on_progress).Run();
}

}  // namespace mlac
