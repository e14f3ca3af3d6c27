// The model of a power loss itself: what may be lost, what may not, and that files and folders that appear whole do.
#include "tests/faults/power_loss.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <set>
#include <vector>

#include "base/file.h"
#include "base/system_call.h"
#include "tests/hub/store_folder.h"

namespace mlac {
namespace {

namespace fs = std::filesystem;
using test::ForEachPowerLoss;
using test::PowerLoss;
using test::ReadWhole;
using test::TemporaryFolder;
using testing::AnyOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsSubsetOf;
using testing::Not;
using testing::UnorderedElementsAre;

// Each file as "name: content", "-" for none.
std::string Shown(const TemporaryFolder& folder) {
  std::string shown;
  for (const std::string& name : folder.List()) {
    if (!shown.empty()) shown += ", ";
    shown += name;
    if (FileExists(folder / name)) shown += ": " + ReadWhole(folder / name);
  }
  return shown.empty() ? "-" : shown;
}

// What act may leave at any moment, and what behind its end.
struct States {
  std::set<std::string> ever, finished;
};
States StatesOf(const TemporaryFolder& folder, const std::function<void()>& act) {
  States states;
  ForEachPowerLoss(folder, 1, act, [&](const PowerLoss& loss) {
    states.ever.insert(Shown(folder));
    if (loss.finished) states.finished.insert(Shown(folder));
  });
  return states;
}

void Write(const std::string& path, std::string_view content, bool synced) {
  const FileDescriptor file(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  ASSERT_EQ(write(file.get(), content.data(), content.size()), static_cast<ssize_t>(content.size()));
  if (synced) SyncFile(file.get(), path);
}

TEST(PowerLoss, MayTakeTheNameTheContentOrAPartOfAFileThatWasNotSynced) {
  const TemporaryFolder folder;
  const States states = StatesOf(folder, [&] { Write(folder / "f", "abc", /*synced=*/false); });
  const std::vector<std::string> possible = {
      "-", "f: ", "f: a", "f: ab", "f: abc", std::string("f: \0\0\0", 6), std::string("f: a\0\0", 6), std::string("f: ab\0", 6)};
  EXPECT_THAT(states.finished, IsSubsetOf(possible));
  EXPECT_THAT(states.finished, Contains("-"));
  EXPECT_THAT(states.finished, Contains("f: "));
  EXPECT_THAT(states.finished, Contains("f: abc"));
}

TEST(PowerLoss, LeavesTheContentThatWasSyncedButNotTheName) {
  const TemporaryFolder folder;
  EXPECT_THAT(StatesOf(folder, [&] { Write(folder / "f", "abc", /*synced=*/true); }).finished, UnorderedElementsAre("-", "f: abc"));
}

TEST(PowerLoss, LeavesWhatIsSyncedWithItsFolder) {
  const TemporaryFolder folder;
  const States states = StatesOf(folder, [&] {
    Write(folder / "f", "abc", /*synced=*/true);
    SyncFolder(folder.path());
  });
  EXPECT_THAT(states.finished, ElementsAre("f: abc"));
  EXPECT_THAT(states.ever, Contains("-"));
}

TEST(PowerLoss, MayLeaveAFileThatWasRenamedUnsyncedWithoutContent) {
  const TemporaryFolder folder;
  folder.Write("f", "old");
  const States states = StatesOf(folder, [&] {
    Write(folder / "g", "new", /*synced=*/false);
    ASSERT_EQ(rename((folder / "g").c_str(), (folder / "f").c_str()), 0);
    SyncFolder(folder.path());
  });
  EXPECT_THAT(states.finished, Contains("f: "));
  EXPECT_THAT(states.finished, Contains("f: new"));
  EXPECT_THAT(states.finished, Not(Contains("f: old")));
}

TEST(PowerLoss, MayTakeANewFolderWithAllThatWasSyncedInIt) {
  const TemporaryFolder folder;
  const auto make = [&] {
    fs::create_directory(folder / "d");
    WriteFileAtomically(folder / "d/f", "abc");
  };
  EXPECT_THAT(StatesOf(folder, make).finished, UnorderedElementsAre("-", "d, d/f: abc"));
}

TEST(PowerLoss, LeavesAFileThatIsReplacedAtomicallyOldOrNew) {
  const TemporaryFolder folder;
  folder.Write("f", "old");
  const States states = StatesOf(folder, [&] { WriteFileAtomically(folder / "f", "new"); });
  EXPECT_THAT(states.finished, ElementsAre("f: new"));
  for (const std::string& state : states.ever) EXPECT_TRUE(state.starts_with("f: old") || state == "f: new") << state;
}

TEST(PowerLoss, LeavesAStagedFolderOldOrNew) {
  const TemporaryFolder folder;
  folder.Write("d/f", "old");
  folder.Write("d/old", "old");
  const States states = StatesOf(folder, [&] {
    StagedFolder staged(folder / "d", /*overwrite=*/true);
    WriteFileAtomically(staged.path() + "/f", "new");
    fs::create_directory(staged.path() + "/inner");
    WriteFileAtomically(staged.path() + "/inner/g", "new");
    staged.Commit();
  });
  const std::string with_new = " d/f: new, d/inner, d/inner/g: new";
  for (const std::string& state : states.ever) EXPECT_THAT(state, AnyOf(HasSubstr(" d/f: old, d/old: old"), HasSubstr(with_new)));
  for (const std::string& state : states.finished) EXPECT_THAT(state, HasSubstr(with_new));
}

}  // namespace
}  // namespace mlac
