// Listing, syncing and removing folders: what is in them, that links are not followed, and that a system that refuses is named.
#include "base/folder_contents.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>

#include "base/file.h"
#include "tests/support/system_faults.h"
#include "tests/support/test_support.h"

namespace mlac {
namespace {

namespace fs = std::filesystem;
using test::SystemFault;
using test::TemporaryFolder;
using testing::ElementsAre;

std::vector<std::string> Shown(const std::string& folder) {
  std::vector<std::string> shown;
  for (const FolderEntry& entry : EntriesIn(folder))
    shown.push_back(fmt::format("{}{}{}{} {}", entry.path, entry.is_folder ? " folder" : "", entry.is_link ? " link" : "",
                                entry.is_file ? " file" : "", entry.size));
  return shown;
}

TEST(EntriesIn, ListsAFolderBeforeWhatIsInItAndFollowsNoLinkIntoOne) {
  const TemporaryFolder folder;
  folder.Write("d/b", "12");
  folder.Write("d/a/c", "123");
  folder.Write("e", "");
  fs::create_symlink("d/b", folder / "f");
  fs::create_directory_symlink("d", folder / "g");
  fs::create_symlink("nowhere", folder / "h");
  EXPECT_THAT(Shown(folder.path()),
              ElementsAre("d folder 0", "d/a folder 0", "d/a/c file 3", "d/b file 2", "e file 0", "f link file 2", "g link 0", "h link 0"));
  EXPECT_THAT(Shown(folder / "d/a"), ElementsAre("c file 3"));
  EXPECT_THROW(EntriesIn(folder / "absent"), Error);
}

TEST(RemoveAll, RemovesFilesLinksAndFoldersAndNothingThatALinkLeadsTo) {
  const TemporaryFolder folder;
  folder.Write("kept/f", "kept");
  folder.Write("d/inner/f", "x");
  folder.Write("d/.hidden", "x");
  fs::create_directory_symlink(folder / "kept", folder / "d/link");
  fs::create_directory_symlink(folder / "kept", folder / "link");
  RemoveAll(folder / "d");
  RemoveAll(folder / "link");
  RemoveAll(folder / "absent");
  RemoveAll(folder / "absent/inner");
  EXPECT_THAT(folder.List(), ElementsAre("kept", "kept/f"));
  RemoveAll(folder / "kept/f");
  EXPECT_THAT(folder.List(), ElementsAre("kept"));
}

TEST(RemoveAll, SaysWhatTheSystemRefused) {
  const TemporaryFolder folder;
  folder.Write("d/f", "x");
  for (const std::string_view function : {"unlinkat", "openat"}) {
    const SystemFault fault(function, 0, EIO);
    test::ExpectError(ErrorCode::kIo, folder / "d: cannot remove: Input/output error", [&] { RemoveAll(folder / "d"); });
  }
  const SystemFault interrupted("unlinkat", 1, EINTR);
  RemoveAll(folder / "d");
  EXPECT_TRUE(folder.List().empty());
}

TEST(SyncTree, SyncsEachFileAndFolder) {
  const TemporaryFolder folder;
  folder.Write("d/inner/f", "x");
  folder.Write("d/g", "x");
  fs::create_symlink("nowhere", folder / "d/link");
  size_t count = 0;
  for (;; ++count) {
    const SystemFault fault("fsync", count, EIO);
    try {
      SyncTree(folder / "d");
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kIo);
    }
    if (!fault.struck()) break;
  }
  EXPECT_EQ(count, 4u) << "d, d/inner and two files";
}

}  // namespace
}  // namespace mlac
