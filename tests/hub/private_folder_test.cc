#include "hub/private_folder.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <optional>

#include "hub/collect.h"
#include "tests/hub/read_only_access.h"
#include "tests/hub/store_folder.h"

namespace mlac {
namespace {

namespace fs = std::filesystem;
using test::ExpectError;
using test::StoreFolder;

// What a variable of the environment says while this lives; nullptr: nothing.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) {
    if (const char* before = getenv(name)) before_ = before;
    Set(value);
  }
  ~Variable() { Set(before_ ? before_->c_str() : nullptr); }

 private:
  void Set(const char* value) const { value == nullptr ? unsetenv(name_) : setenv(name_, value, 1); }
  const char* name_;
  std::optional<std::string> before_;
};

TEST(PrivateFolder, IsMadeInTheFirstPlaceThatCanBeWrittenAndGoesWithTheObject) {
  const test::TemporaryFolder folder;
  const std::string cache = folder / "cache", xdg = folder / "xdg";
  fs::create_directory(cache);
  fs::create_directory(xdg);
  const Variable cache_variable("CACHE_DIRECTORY", (cache + ":/nowhere").c_str()), xdg_variable("XDG_CACHE_HOME", xdg.c_str());
  std::string path;
  {
    const PrivateFolder made;
    path = made.path();
    EXPECT_EQ(fs::path(path).parent_path(), cache);
    EXPECT_EQ(fs::status(path).permissions(), fs::perms::owner_all);
    folder.Write(path.substr(folder.path().size() + 1) + "/inner/file", "a");
  }
  EXPECT_FALSE(fs::exists(path));
  setenv("CACHE_DIRECTORY", "/proc/nowhere", 1);
  EXPECT_EQ(fs::path(PrivateFolder().path()).parent_path(), xdg + "/mlac");
  setenv("CACHE_DIRECTORY", "relative", 1);
  EXPECT_EQ(fs::path(PrivateFolder().path()).parent_path(), xdg + "/mlac");
}

TEST(PrivateFolder, RemovesWhatAKilledProcessLeftAndNothingElse) {
  const test::TemporaryFolder folder;
  const Variable variable("CACHE_DIRECTORY", folder.path().c_str());
  const PrivateFolder held;
  ASSERT_EQ(test::InChild([] {
              const PrivateFolder left;
              _exit(0);
              return 1;
            }),
            0);
  folder.Write("other/file", "a");
  EXPECT_EQ(NamesIn(folder.path()).size(), 3u);
  const PrivateFolder next;
  EXPECT_EQ(NamesIn(folder.path()).size(), 3u) << "the leftover has gone, the new one has come";
  EXPECT_TRUE(fs::exists(held.path()));
  EXPECT_TRUE(fs::exists(folder / "other/file"));
}

// A store with a revision whose folder of links nobody has made.
struct OpenReadOnly : testing::Test {
  OpenReadOnly() : revision(s.Add("m", {{"config.json", "{}"}, {"1_Pooling/config.json", "[]"}})) { fs::create_directory(cache); }
  StoreFolder s;
  const std::string revision, cache = s.folder / "cache";
  const Variable variable{"CACHE_DIRECTORY", cache.c_str()};
};

TEST_F(OpenReadOnly, ARevisionIsCopiedAndTheCopyGoesWithIt) {
  fs::permissions(cache, fs::perms::all);
  const test::ReadOnlyAccess access(s.store.folder());
  if (!access.is_given()) GTEST_SKIP() << "root cannot become another user here";
  std::string path;
  {
    const Store store = Store::Open(s.store.folder());
    const RevisionFolder folder = store.OpenFolder(revision);
    path = folder.path();
    EXPECT_EQ(fs::path(path).parent_path(), cache);
    EXPECT_EQ(ReadFile(OpenBeneath(path, "1_Pooling/config.json"), "config.json", 10), "[]");
    const RevisionFolder again = store.OpenFolder(revision);
    EXPECT_NE(again.path(), path);
    EXPECT_TRUE(fs::exists(path));
  }
  EXPECT_FALSE(fs::exists(path));
}

TEST_F(OpenReadOnly, ARevisionWhoseLinksAreThereIsNotCopied) {
  s.store.OpenFolder(revision);
  const test::ReadOnlyAccess access(s.store.folder());
  if (!access.is_given()) GTEST_SKIP() << "root cannot become another user here";
  EXPECT_EQ(s.store.OpenFolder(revision).path(), s.store.folder() + "/checkouts/" + revision);
}

TEST_F(OpenReadOnly, WhatIsPromotedHasItsLinks) {
  Aliases(s.store).Promote("m", revision, kProduction);
  EXPECT_EQ(test::ReadWhole(s.store.folder() + "/checkouts/" + revision + "/config.json"), "{}");
}

TEST_F(OpenReadOnly, BytesThatAreNotThoseOfTheRevisionAreRefused) {
  fs::permissions(cache, fs::perms::all);
  const std::string blob = s.store.BlobPath(s.store.ReadManifest(revision).Find("config.json")->sha256);
  fs::permissions(blob, fs::perms::owner_all);
  s.folder.Write(blob.substr(s.folder.path().size() + 1), "[]");  // of the same size
  fs::permissions(blob, fs::perms::owner_all | fs::perms::group_read | fs::perms::others_read);
  const test::ReadOnlyAccess access(s.store.folder());
  if (!access.is_given()) GTEST_SKIP() << "root cannot become another user here";
  ExpectError(ErrorCode::kInvalidInput, blob + ": is damaged: it has other bytes than its name says",
              [&] { s.store.OpenFolder(revision); });
  EXPECT_TRUE(fs::is_empty(cache));
}

TEST_F(OpenReadOnly, AGarbageCollectionOfTheOwnerLeavesWhatIsOpenAndSaysWhatHasGone) {
  fs::permissions(cache, fs::perms::all);
  const std::string other = s.Add("m", {{"config.json", "{ }"}}, {.name = "", .revision = "", .time = "2999-01-01T00:00:00Z"});
  Aliases(s.store).Publish("m", other);
  std::optional<RevisionFolder> folder;
  {
    const test::ReadOnlyAccess access(s.store.folder());
    if (!access.is_given()) GTEST_SKIP() << "root cannot become another user here";
    folder.emplace(s.store.OpenFolder(revision));
  }
  const CollectResult kept = CollectGarbage(s.store, {.keep_last = 1});
  EXPECT_EQ(kept.in_use, std::vector<std::string>{revision});
  EXPECT_EQ(test::ReadWhole(folder->path() + "/config.json"), "{}");
  folder.reset();
  CollectGarbage(s.store, {.keep_last = 1});
  const test::ReadOnlyAccess access(s.store.folder());
  ExpectError(ErrorCode::kNotFound, s.store.folder() + ": there is no revision '" + revision + "'", [&] { s.store.OpenFolder(revision); });
}

}  // namespace
}  // namespace mlac
