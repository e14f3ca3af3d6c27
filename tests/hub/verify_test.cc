#include "hub/verify.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "tests/hub/store_folder.h"

namespace mlac {
namespace {

namespace fs = std::filesystem;
using test::StoreFolder;
using testing::ElementsAre;
using testing::IsEmpty;

class VerifyTest : public testing::Test {
 protected:
  VerifyTest() {
    const std::string data = s.Add("data", {{"train.csv", "text,label\na,b\n"}}, {.name = "", .revision = "", .kind = ArtefactKind::kData});
    revision = s.Add("topics", {{"config.json", "{}"}, {"weights", "wwww"}}, {.name = "", .revision = "", .base = "", .data = {{"train", data}}});
    const std::string second = s.Add("topics", {{"config.json", "{}"}, {"weights", "xxxx"}});
    const Aliases aliases(s.store);
    aliases.Publish("topics", second);
    aliases.Promote("topics", revision, "production", "why");
    s.store.OpenFolder(revision);
  }

  // Overwrites a file of the store, whatever its permissions.
  void Put(const std::string& path, const std::string& content) {
    fs::permissions(path, fs::perms::owner_write, fs::perm_options::add);
    std::ofstream(path, std::ios::binary).write(content.data(), static_cast<std::streamsize>(content.size()));
  }
  std::vector<std::string> DamagedPaths() {
    std::vector<std::string> paths;
    for (const Damage& damage : Verify(s.store).damages) paths.push_back(damage.path);
    return paths;
  }

  StoreFolder s;
  std::string revision;
};

TEST_F(VerifyTest, FindsNothingInAStoreThatIsAsItWasWritten) {
  uint64_t last = 0, total = 0;
  const VerifyResult result = Verify(s.store, [&](uint64_t done, uint64_t all) { last = done, total = all; });
  EXPECT_THAT(result.damages, IsEmpty());
  EXPECT_EQ(result.num_revisions, 3u);
  EXPECT_EQ(result.num_blobs, 4u);
  EXPECT_EQ(last, result.num_bytes);
  EXPECT_EQ(total, result.num_bytes);
}

TEST_F(VerifyTest, FindsEveryFlippedBitOfEveryFileAndNamesIt) {
  size_t num_files = 0, num_bits = 0;
  for (const std::string& path : s.folder.List()) {
    if (!path.starts_with(".mlac/") || !fs::is_regular_file(fs::symlink_status(s.folder / path))) continue;
    const std::string inside = path.substr(6);
    if (inside == "lock" || inside == "aliases/.lock" || inside == ".gitignore" || inside == "store.json") continue;
    ++num_files;
    const std::string content = test::ReadWhole(s.folder / path);
    // Each byte, a bit of it that moves along; of long files every third byte.
    for (size_t i = 0; i < content.size(); i += content.size() > 300 ? 3 : 1, ++num_bits) {
      std::string flipped = content;
      flipped[i] = static_cast<char>(flipped[i] ^ (1 << (i % 8)));
      Put(s.folder / path, flipped);
      EXPECT_THAT(DamagedPaths(), testing::Contains(inside)) << "byte " << i;
    }
    Put(s.folder / path, content);
  }
  EXPECT_THAT(DamagedPaths(), IsEmpty());
  EXPECT_GE(num_files, 4u + 3 + 3 + 2);  // blobs, manifests, records, aliases
  EXPECT_GT(num_bits, 1000u);

  const std::string format = s.store.folder() + "/store.json", content = test::ReadWhole(format);
  for (size_t i = 0; i < content.size(); ++i) {
    std::string flipped = content;
    flipped[i] = static_cast<char>(flipped[i] ^ (1 << (i % 8)));
    Put(format, flipped);
    EXPECT_THROW(Store::Open(s.store.folder()), Error) << i;
  }
}

TEST_F(VerifyTest, FindsAFlippedBitInALargeFile) {
  const std::string big = s.Add("big", {{"f", std::string(3'000'000, 'b')}});
  const std::string path = s.store.BlobPath(s.store.ReadManifest(big).entries().front().sha256);
  for (const size_t at : {size_t{0}, size_t{1} << 20, size_t{2'999'999}}) {
    std::string content(3'000'000, 'b');
    content[at] = 'c';
    Put(path, content);
    const VerifyResult result = Verify(s.store);
    ASSERT_EQ(result.damages.size(), 1u);
    EXPECT_EQ(result.damages[0].message, "is damaged: it has other bytes than its name says");
    EXPECT_THAT(result.damages[0].needed_by, ElementsAre(fmt::format("big@{} f", big.substr(0, 12))));
  }
}

TEST_F(VerifyTest, FindsEveryFileThatIsMissing) {
  for (const std::string& path : s.folder.List()) {
    if (!path.starts_with(".mlac/") || !fs::is_regular_file(fs::symlink_status(s.folder / path))) continue;
    const std::string inside = path.substr(6);
    const bool is_needed = inside.starts_with("blobs/") || inside.starts_with("revisions/");
    if (!is_needed) continue;
    fs::rename(s.folder / path, s.folder / "aside");
    const std::vector<std::string> damaged = DamagedPaths();
    EXPECT_FALSE(damaged.empty()) << inside;
    if (inside.starts_with("blobs/")) {
      EXPECT_THAT(damaged, ElementsAre(inside));
    }
    fs::rename(s.folder / "aside", s.folder / path);
  }
  EXPECT_THAT(DamagedPaths(), IsEmpty());
}

TEST_F(VerifyTest, SaysWhatIsAmiss) {
  const auto expect = [&](const std::string& path, const std::string& message) {
    std::vector<std::string> found;
    for (const Damage& damage : Verify(s.store).damages) found.push_back(damage.path + ": " + damage.message);
    EXPECT_THAT(found, testing::Contains(path + ": " + message));
    fs::remove_all(s.store.folder() + "/" + path);
  };
  s.folder.Write(".mlac/blobs/ab/stray", "x");
  expect("blobs/ab/stray", "is no blob");
  s.folder.Write(".mlac/blobs/stray", "x");
  expect("blobs/stray", "is no folder of blobs");
  s.folder.Write(".mlac/revisions/stray", "x");
  expect("revisions/stray", "is no revision");
  s.folder.Write(".mlac/records/topics/stray", "x");
  expect("records/topics/stray", "is no record");
  s.folder.Write(".mlac/aliases/topics/stray", "x");
  expect("aliases/topics/stray", "is no alias");
  fs::create_directories(s.store.folder() + "/checkouts/stray");
  expect("checkouts/stray", "is of no revision; 'mlac gc' removes it");
  fs::create_symlink("/etc/passwd", s.store.folder() + "/checkouts/" + revision + "/more");
  expect("checkouts/" + revision, "is not what the revision says; it is made anew when it is next used");
  s.store.OpenFolder(revision);
  // A record of another name in this one's place.
  const std::string data = s.store.Log("data").front().revision;
  fs::copy(fmt::format("{}/records/data/{}.json", s.store.folder(), data), fmt::format("{}/records/topics/{}.json", s.store.folder(), data));
  expect(fmt::format("records/topics/{}.json", data), fmt::format("is the record of 'data' {}", data));
  const std::string manifest = s.store.folder() + "/revisions/" + data;
  fs::rename(manifest, s.folder / "aside");
  expect(fmt::format("records/data/{}.json", data), fmt::format("revision {} is missing", data));
  expect(fmt::format("records/topics/{}.json", revision), fmt::format("its data 'train', revision {}, is missing", data));
}

TEST_F(VerifyTest, CountsWhatNothingNeeds) {
  const std::string revision_of_none = s.Add("x1", {{"f", "unneeded"}});
  fs::remove(s.store.folder() + "/revisions/" + revision_of_none);
  fs::remove(fmt::format("{}/records/x1/{}.json", s.store.folder(), revision_of_none));
  const VerifyResult result = Verify(s.store);
  EXPECT_THAT(result.damages, IsEmpty());
  EXPECT_EQ(result.num_unneeded, 1u);
}

}  // namespace
}  // namespace mlac
