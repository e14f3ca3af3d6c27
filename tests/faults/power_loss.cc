#include "tests/faults/power_loss.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <map>
#include <set>
#include <vector>

#include "base/random.h"
#include "base/sha256.h"

namespace mlac::test {
namespace {

using Kind = FileOperation::Kind;

constexpr uint64_t kSeeds = 4;  // random states at each point

bool IsSync(Kind kind) { return kind == Kind::kSync || kind == Kind::kSyncAll; }
bool IsOfContent(Kind kind) { return kind == Kind::kWrite || kind == Kind::kResize; }

// The node whose sync brings the operation to the disk: the file, or the folder that the name stands in.
int SyncedBy(const FileOperation& operation) { return IsOfContent(operation.kind) ? operation.node : operation.folder; }

// Which operations a later sync has brought to the disk, of the first `count`.
std::vector<bool> OnDisk(const std::vector<FileOperation>& operations, size_t count) {
  std::vector<bool> on_disk(count, false);
  std::set<int> synced;
  bool all = false;
  for (size_t i = count; i-- > 0;) {
    const FileOperation& operation = operations[i];
    if (operation.kind == Kind::kSyncAll) all = true;
    if (operation.kind == Kind::kSync) synced.insert(operation.node);
    const bool moves = operation.kind == Kind::kRename || operation.kind == Kind::kExchange;
    // A change of permissions is of no consequence here.
    on_disk[i] =
        all || operation.kind == Kind::kMode || synced.contains(SyncedBy(operation)) || (moves && synced.contains(operation.from_folder));
  }
  return on_disk;
}

// Part of a write: its beginning, or room for it that was never filled.
FileOperation Torn(FileOperation write, Random& random) {
  const size_t kept = random.Below(write.bytes.size() + 1);
  if (random.Below(2) == 0)
    write.bytes.resize(kept);
  else
    write.bytes.replace(kept, std::string::npos, write.bytes.size() - kept, '\0');
  return write;
}

std::string Fingerprint(const Disk& disk) {
  Sha256 hash;
  for (const DiskNode& node : Normalized(disk)) {
    hash.AddField(fmt::format("{} {:o}", static_cast<int>(node.kind), node.mode));
    hash.AddField(node.content);
    for (const auto& [name, entry] : node.entries) hash.AddField(fmt::format("{} {}", name, entry));
  }
  return hash.Finish();
}

}  // namespace

Disk AfterPowerLoss(const FileLog& log, size_t num_operations, Loss loss, uint64_t seed) {
  const std::vector<FileOperation>& operations = log.operations();
  const std::vector<bool> on_disk = OnDisk(operations, num_operations);
  std::map<int, size_t> left;  // of the calls that were not synced: how many reach the disk, by what they change
  for (size_t i = 0; i < num_operations; ++i)
    if (!on_disk[i] && !IsSync(operations[i].kind)) ++left[SyncedBy(operations[i])];
  Random random(seed);
  for (auto& [node, count] : left) {
    const bool is_file = log.before()[static_cast<size_t>(node)].kind == DiskNode::Kind::kFile;
    if (loss == Loss::kEverything || (loss == Loss::kContent && is_file)) count = 0;
    if (loss != Loss::kSome) continue;
    const uint64_t choice = random.Below(3);  // all of them and none are what happens most often
    count = choice == 0 ? 0 : choice == 1 ? count : random.Below(count + 1);
  }
  Disk disk = log.before();
  std::set<int> torn;  // one write of each file at most
  for (size_t i = 0; i < num_operations; ++i) {
    const FileOperation& operation = operations[i];
    if (IsSync(operation.kind)) continue;
    const int node = SyncedBy(operation);
    if (on_disk[i]) {
      Apply(operation, disk);
    } else if (left[node] > 0) {
      --left[node];
      Apply(operation, disk);
    } else if (operation.kind == Kind::kWrite && loss == Loss::kSome && torn.insert(node).second) {
      Apply(Torn(operation, random), disk);
    }
  }
  return disk;
}

size_t ForEachPowerLoss(const TemporaryFolder& folder, size_t every, const std::function<void()>& act,
                        const std::function<void(const PowerLoss&)>& check) {
  FileLog log(folder.path());
  act();
  log.Stop();
  EXPECT_TRUE(Normalized(log.after()) == ReadDisk(folder.path())) << "the log has missed a call that changed files";
  const size_t count = log.operations().size(), stride = Stride(every);
  std::set<std::string> seen;
  for (size_t i = 0; i <= count; ++i) {
    if (i % stride != 0 && i != count) continue;
    for (uint64_t seed = 0; seed < kSeeds + 3; ++seed) {
      const Loss loss = seed < 3 ? std::array{Loss::kNothing, Loss::kEverything, Loss::kContent}[seed] : Loss::kSome;
      const Disk disk = AfterPowerLoss(log, i, loss, seed + i * kSeeds);
      // The same state is more than enough behind the end, where it must be the new one.
      if (!seen.insert(Fingerprint(disk) + (i == count ? " finished" : "")).second) continue;
      WriteDisk(disk, folder.path());
      check({.where = fmt::format("behind operation {} of {}, state {}", i, count, seed), .num_operations = i, .finished = i == count});
    }
  }
  return seen.size();
}

size_t Stride(size_t quick) { return std::getenv("MLAC_EVERY_POINT") != nullptr ? 1 : quick; }

}  // namespace mlac::test
