// Serving, and following an alias, from a store that the server may only read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

#include "hub/aliases.h"
#include "serve/alias_follower.h"
#include "tests/hub/read_only_access.h"
#include "tests/hub/store_folder.h"
#include "tests/serve/server_fixture.h"

namespace mlac {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class ReadOnlyStoreTest : public ModelServerTest {
 protected:
  ReadOnlyStoreTest() {
    fs::create_directory(cache_);
    fs::permissions(cache_, fs::perms::all);
    setenv("CACHE_DIRECTORY", cache_.c_str(), 1);
  }
  ~ReadOnlyStoreTest() override {
    follower_.reset();
    server_.reset();
    unsetenv("CACHE_DIRECTORY");
  }

  // Without the folder of links that a promotion makes, as one of an older mlac.
  std::string Promote(int shift) {
    const std::string revision = files_.Add("m", {{"shift", std::to_string(shift)}}, {.name = "", .revision = ""});
    Aliases(files_.store).Promote("m", revision, kProduction);
    fs::remove_all(files_.store.folder() + "/checkouts/" + revision);
    return revision;
  }
  static std::unique_ptr<ServedModel> Open(const std::string& folder) {
    return std::make_unique<FakeModel>(FakeModelOptions{.normalizes = false, .shift = std::stoi(test::ReadWhole(folder + "/shift"))});
  }
  void Follow(const std::string& revision) {
    const Store store = Store::Open(files_.store.folder());
    RevisionFolder folder = store.OpenFolder(revision);
    std::vector<NamedModel> models;
    models.push_back({"m", Open(folder.path()), OriginOf(store, "m", std::move(folder))});
    ModelServerOptions options;
    options.open.model = Open;
    ServeModels(std::move(models), std::move(options));
    follower_.emplace(FollowOptions{.store = store,
                                    .aliases = {{.model = "m", .name = "m", .alias = std::string(kProduction), .revision = revision}},
                                    .on_event = [this](const FollowEvent& event) { events_.push_back(event); },
                                    .interval = std::chrono::milliseconds(0),
                                    .first_retry = std::chrono::seconds(0)},
                      server_->loader(), server_->models(), metrics_);
  }
  std::string Served() { return Ask(Get("/info")).Field("x-model-revision"); }

  test::StoreFolder files_;
  const std::string cache_ = files_.folder / "cache";
  ServeMetrics metrics_;
  std::vector<FollowEvent> events_;
  std::optional<AliasFollower> follower_;
};

TEST_F(ReadOnlyStoreTest, IsServedFromAndFollowed) {
  const std::string first = Promote(0);
  std::optional<test::ReadOnlyAccess> access;
  access.emplace(files_.store.folder());
  if (!access->is_given()) GTEST_SKIP() << "root cannot become another user here";
  Follow(first);
  EXPECT_EQ(Served(), first);
  access.reset();
  const std::string second = Promote(1);
  access.emplace(files_.store.folder());
  follower_->Look();
  EXPECT_EQ(Served(), second);
  ASSERT_EQ(events_.size(), 1u);
  EXPECT_EQ(events_[0].kind, FollowEvent::Kind::kSwapped) << events_[0].message;
  follower_.reset();
  server_.reset();
  EXPECT_TRUE(fs::is_empty(cache_)) << "copies go with the models";
}

TEST_F(ReadOnlyStoreTest, KeepsTheModelWhereWhatItMovesToIsDamagedOrGone) {
  const std::string first = Promote(0);
  std::optional<test::ReadOnlyAccess> access;
  access.emplace(files_.store.folder());
  if (!access->is_given()) GTEST_SKIP() << "root cannot become another user here";
  Follow(first);
  access.reset();
  const std::string second = Promote(1), third = Promote(2);
  const std::string blob = files_.store.BlobPath(files_.store.ReadManifest(third).Find("shift")->sha256);
  fs::permissions(blob, fs::perms::owner_all);
  files_.folder.Write(blob.substr(files_.folder.path().size() + 1), "9");  // of the same size
  fs::permissions(blob, fs::perms::owner_all | fs::perms::group_read | fs::perms::others_read);
  access.emplace(files_.store.folder());
  follower_->Look();
  EXPECT_EQ(Served(), first);
  ASSERT_EQ(events_.size(), 1u);
  EXPECT_EQ(events_[0].message, blob + ": is damaged: it has other bytes than its name says");
  access.reset();
  Aliases(files_.store).Rollback("m", kProduction);
  fs::remove_all(files_.store.folder() + "/checkouts/" + second);
  fs::remove(files_.store.folder() + "/revisions/" + second);  // as by a collection that came between
  access.emplace(files_.store.folder());
  follower_->Look();
  EXPECT_EQ(Served(), first);
  ASSERT_EQ(events_.size(), 2u);
  EXPECT_THAT(events_[1].message, HasSubstr("there is no revision '" + second + "'"));
}

}  // namespace
}  // namespace mlac
