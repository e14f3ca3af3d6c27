#include "hub/collect.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/random.h"
#include "hub/verify.h"
#include "tests/hub/store_folder.h"

namespace mlac {
namespace {

namespace fs = std::filesystem;
using test::ExpectError;
using test::StoreFolder;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

std::string Time(size_t number) { return fmt::format("2026-01-01T00:00:{:02}.{:03}Z", number / 1000, number % 1000); }

std::vector<std::string> Removed(const CollectResult& result) {
  std::vector<std::string> revisions;
  for (const CollectResult::Removed& removed : result.revisions) revisions.push_back(removed.revision);
  return revisions;
}

TEST(CollectGarbage, KeepsTheNewestOfEachNameAndRemovesTheFilesOfOthers) {
  StoreFolder s;
  std::vector<std::string> revisions;
  for (size_t i = 0; i < 5; ++i) revisions.push_back(s.Add("n1", {{"own", fmt::format("{:04}", i)}, {"same", "same"}}, {.name = "", .revision = "", .time = Time(i)}));
  s.store.OpenFolder(revisions[0]);
  const CollectResult dry = CollectGarbage(s.store, {.keep_last = 2, .dry_run = true});
  EXPECT_THAT(Removed(dry), UnorderedElementsAre(revisions[0], revisions[1], revisions[2]));
  EXPECT_EQ(dry.num_blobs_removed, 3u);
  EXPECT_EQ(dry.num_bytes_freed, 12u);
  EXPECT_EQ(s.store.Revisions().size(), 5u) << "a dry run removes nothing";
  EXPECT_TRUE(s.store.Has(revisions[0]));

  const CollectResult result = CollectGarbage(s.store, {.keep_last = 2});
  EXPECT_EQ(Removed(result), Removed(dry));
  EXPECT_EQ(result.num_bytes_freed, dry.num_bytes_freed);
  EXPECT_EQ(result.num_revisions_kept, 2u);
  EXPECT_THAT(s.store.Revisions(), UnorderedElementsAre(revisions[3], revisions[4]));
  EXPECT_EQ(s.store.Log("n1").size(), 2u);
  EXPECT_EQ(s.Read(revisions[4]).at("same"), "same");
  EXPECT_FALSE(fs::exists(s.store.folder() + "/checkouts/" + revisions[0]));
  EXPECT_THAT(Verify(s.store).damages, IsEmpty());
  EXPECT_THAT(CollectGarbage(s.store, {.keep_last = 2}).revisions, IsEmpty());
}

TEST(CollectGarbage, KeepsWhatAnAliasStandsForAndWhereARollbackLeads) {
  StoreFolder s;
  const Aliases aliases(s.store);
  std::vector<std::string> revisions;
  for (size_t i = 0; i < 6; ++i) {
    revisions.push_back(s.Add("n1", {{"f", fmt::format("{}", i)}}, {.name = "", .revision = "", .time = Time(i)}));
    aliases.Promote("n1", revisions.back(), "production");
  }
  aliases.Rollback("n1", "production");  // stands at 4; a rollback leads to 3; the last moves were to 5 and 4
  CollectGarbage(s.store, {.keep_last = 0});
  EXPECT_THAT(s.store.Revisions(), UnorderedElementsAre(revisions[3], revisions[4]));
  EXPECT_EQ(aliases.Rollback("n1", "production"), revisions[3]);
  ExpectError(ErrorCode::kNotFound, fmt::format("{}: n1@production was {} before, which is not there any more", s.store.folder(), revisions[2]),
              [&] { aliases.Rollback("n1", "production"); });
  EXPECT_EQ(aliases.History("n1", "production").size(), 8u) << "the history itself stays";
  EXPECT_THAT(Verify(s.store).damages, IsEmpty());
}

TEST(CollectGarbage, KeepsWhatIsOpenAndWhatACallerNames) {
  StoreFolder s;
  const std::string open = s.Add("n1", {{"f", "open"}}), named = s.Add("n1", {{"f", "named"}}), neither = s.Add("n1", {{"f", "neither"}});
  {
    const RevisionFolder folder = s.store.OpenFolder(open);
    const CollectResult result = CollectGarbage(s.store, {.keep_last = 0, .keep = {named}});
    EXPECT_THAT(Removed(result), ElementsAre(neither));
    EXPECT_THAT(result.in_use, ElementsAre(open));
    EXPECT_EQ(test::ReadWhole(folder.path() + "/f"), "open");
    EXPECT_TRUE(s.store.FindRecord("n1", open));
  }
  EXPECT_THAT(Removed(CollectGarbage(s.store, {.keep_last = 0, .keep = {named}})), ElementsAre(open));
}

TEST(CollectGarbage, RemovesWhatKilledProcessesLeft) {
  StoreFolder s;
  const std::string revision = s.Add("n1", {{"f", "1"}});
  for (const std::string path : {"tmp/add.partial-aaaaaaaa/x", "tmp/stray", "revisions/r.partial-aaaaaaaa", "records/n1/r.partial-aaaaaaaa", "store.json.partial-aaaaaaaa",
                                 "aliases/n1/latest.jsonl.partial-aaaaaaaa", "index/i.partial-aaaaaaaa", "blobs/ab/stray"})
    s.folder.Write(".mlac/" + path, "left");
  const std::string nameless = s.Add("n1", {{"f", "nameless"}});
  fs::remove(fmt::format("{}/records/n1/{}.json", s.store.folder(), nameless));
  fs::create_directories(s.store.folder() + "/checkouts/" + std::string(40, 'a'));
  const CollectResult result = CollectGarbage(s.store);
  EXPECT_THAT(Removed(result), ElementsAre(nameless)) << "an Add that was interrupted before its record";
  for (const std::string& path : s.folder.List())
    for (const char* left : {".partial-", "stray", "aaaaaaaaaa"}) EXPECT_EQ(path.find(left), std::string::npos) << path;
  EXPECT_EQ(s.Read(revision).at("f"), "1");
  EXPECT_THAT(Verify(s.store).damages, IsEmpty());
}

TEST(CollectGarbage, RemovesARevisionThatCameBackAfterItWasHalfRemoved) {
  StoreFolder s;
  const std::string revision = s.Add("n1", {{"f", "1"}});
  s.store.OpenFolder(revision);                                     // its checkout
  s.folder.Write(".mlac/tmp/checkout-" + revision + "/f", "left");  // put aside by a collection that was killed
  EXPECT_THAT(Removed(CollectGarbage(s.store, {.keep_last = 0})), ElementsAre(revision));
  EXPECT_FALSE(fs::exists(s.store.folder() + "/checkouts/" + revision));
  EXPECT_FALSE(fs::exists(s.store.folder() + "/tmp/checkout-" + revision));
}

TEST(CollectGarbage, FollowsNoLinkOutOfTheStore) {
  StoreFolder s;
  s.Add("n1", {{"f", "1"}});
  s.folder.Write("victim/ab/file", "v");
  s.folder.Write("victim/dir/file", "v");
  fs::create_directory_symlink(s.folder / "victim/ab", s.store.folder() + "/blobs/zz");
  fs::create_directory_symlink(s.folder / "victim/dir", s.store.folder() + "/tmp/link");
  fs::create_directory_symlink(s.folder / "victim/dir", s.store.folder() + "/checkouts/link");
  fs::create_directory_symlink(s.folder / "victim/dir", s.store.folder() + "/records/linked");
  s.folder.Write("victim/dir/x.partial-aaaaaaaa", "v");
  CollectGarbage(s.store, {.keep_last = 0});
  for (const char* path : {"victim/ab/file", "victim/dir/file", "victim/dir/x.partial-aaaaaaaa"}) EXPECT_TRUE(fs::exists(s.folder / path)) << path;
}

TEST(CollectGarbage, RemovesNothingWhereARecordManifestOrAliasIsDamaged) {
  for (const std::string part : {"revisions", "records", "aliases"}) {
    StoreFolder s;
    const std::string kept = s.Add("n1", {{"f", "1"}}, {.name = "", .revision = "", .time = Time(1)});
    s.Add("n1", {{"f", "2"}}, {.name = "", .revision = "", .time = Time(0)});
    Aliases(s.store).Publish("n1", kept);
    const std::string path = part == "revisions" ? "revisions/" + kept : part == "records" ? "records/n1/" + kept + ".json" : "aliases/n1/latest.jsonl";
    s.folder.Write(".mlac/" + path, test::ReadWhole(s.store.folder() + "/" + path) + " ");
    const std::vector<std::string> before = s.folder.List();
    try {
      CollectGarbage(s.store, {.keep_last = 1});
      ADD_FAILURE() << part;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidInput);
      EXPECT_NE(error.message().find(path), std::string::npos) << error.message();
    }
    EXPECT_EQ(s.folder.List(), before);
  }
}

// What must stay, computed anew from the rules.
std::set<std::string> NeededBy(const std::map<std::string, std::vector<Record>>& by_name, const std::vector<std::string>& roots, size_t keep_last) {
  std::set<std::string> needed(roots.begin(), roots.end());
  for (auto [name, records] : by_name) {
    std::sort(records.begin(), records.end(), [](const Record& a, const Record& b) { return a.time > b.time; });
    for (size_t i = 0; i < std::min(keep_last, records.size()); ++i) needed.insert(records[i].revision);
  }
  for (size_t size = 0; size != needed.size();) {
    size = needed.size();
    for (const auto& [name, records] : by_name)
      for (const Record& record : records) {
        if (!needed.contains(record.revision)) continue;
        if (!record.base.empty()) needed.insert(record.base);
        for (const auto& [role, revision] : record.data) needed.insert(revision);
      }
  }
  return needed;
}

TEST(CollectGarbage, NeverRemovesWhatIsNeededAndAlwaysTheRestInRandomGraphs) {
  for (uint64_t seed = 0; seed < 25; ++seed) {
    Random random(seed);
    StoreFolder s;
    const Aliases aliases(s.store);
    const size_t keep_last = random.Below(4);
    std::vector<std::string> revisions;
    std::map<std::string, std::vector<Record>> by_name;
    std::map<std::string, std::vector<std::string>> standing;  // of production of each name
    for (size_t i = 0; i < 30; ++i) {
      Record record = {.name = "", .revision = "", .time = Time(i)};
      if (!revisions.empty() && random.Below(2) == 0) record.base = revisions[random.Below(revisions.size())];
      while (!revisions.empty() && random.Below(3) == 0) record.data[fmt::format("d{}", record.data.size())] = revisions[random.Below(revisions.size())];
      const std::string name = fmt::format("n{}", random.Below(4));
      // Few contents, so that files are shared and some revisions have several names.
      const std::string revision = s.Add(name, {{"a", fmt::format("{}", random.Below(6))}, {"b", fmt::format("{}", random.Below(6))}}, record);
      by_name[name].clear();
      for (const Record& found : s.store.Log(name)) by_name[name].push_back(found);
      revisions.push_back(revision);
      if (random.Below(4) == 0 && aliases.Promote(name, revision, "production")) standing[name].push_back(revision);
      if (standing[name].size() > 1 && random.Below(3) == 0) aliases.Rollback(name, "production"), standing[name].pop_back();
    }
    std::vector<std::string> roots;
    for (const auto& [name, stood] : standing) {
      for (size_t i = stood.size() - std::min<size_t>(stood.size(), 2); i < stood.size(); ++i) roots.push_back(stood[i]);
      const std::vector<AliasMove> history = aliases.History(name, "production");
      for (size_t i = history.size() - std::min(history.size(), keep_last); i < history.size(); ++i) roots.push_back(history[i].revision);
    }
    const std::set<std::string> needed = NeededBy(by_name, roots, keep_last);
    std::map<std::string, std::map<std::string, std::string>> contents;
    for (const std::string& revision : needed) contents[revision] = s.Read(revision);
    CollectGarbage(s.store, {.keep_last = keep_last});
    const std::vector<std::string> left = s.store.Revisions();
    EXPECT_EQ(std::set<std::string>(left.begin(), left.end()), needed) << "seed " << seed;
    for (const auto& [revision, files] : contents) EXPECT_EQ(s.Read(revision), files) << "seed " << seed;
    const VerifyResult verified = Verify(s.store);
    EXPECT_THAT(verified.damages, IsEmpty()) << "seed " << seed;
    EXPECT_EQ(verified.num_unneeded, 0u) << "seed " << seed;
  }
}

}  // namespace
}  // namespace mlac
