#include "hub/aliases.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <thread>

#include "base/sha256.h"
#include "tests/hub/store_folder.h"

namespace mlac {
namespace {

namespace fs = std::filesystem;
using test::ExpectError;
using test::StoreFolder;
using testing::ElementsAre;

class AliasesTest : public testing::Test {
 protected:
  AliasesTest() {
    for (const char* content : {"a", "b", "c", "d"}) revisions.push_back(s.Add("topics", {{"f", content}}));
  }
  std::vector<std::string> Moves(const std::string& alias) {
    std::vector<std::string> moves;
    for (const AliasMove& move : aliases.History("topics", alias)) moves.push_back(move.action + " " + std::string(1, Letter(move.revision)));
    return moves;
  }
  char Letter(const std::string& revision) { return static_cast<char>('a' + (std::find(revisions.begin(), revisions.end(), revision) - revisions.begin())); }

  StoreFolder s;
  Aliases aliases{s.store};
  std::vector<std::string> revisions;  // of the contents a, b, c, d
};

TEST_F(AliasesTest, MoveAndKeepTheirHistory) {
  EXPECT_EQ(aliases.Find("topics", "production"), std::nullopt);
  EXPECT_TRUE(aliases.Promote("topics", revisions[0], "production", "first"));
  EXPECT_FALSE(aliases.Promote("topics", revisions[0], "production", "again")) << "it stands there";
  EXPECT_TRUE(aliases.Promote("topics", revisions[1], "production"));
  EXPECT_EQ(aliases.Find("topics", "production"), revisions[1]);
  const std::vector<AliasMove> history = aliases.History("topics", "production");
  ASSERT_EQ(history.size(), 2u);
  EXPECT_EQ(history[0].number, 1u);
  EXPECT_EQ(history[0].action, "promote");
  EXPECT_EQ(history[0].why, "first");
  EXPECT_EQ(history[0].who, Who());
  EXPECT_LE(history[0].time, history[1].time);
  aliases.Promote("topics", revisions[2], "staging");
  EXPECT_TRUE(aliases.Publish("topics", revisions[3]));
  EXPECT_FALSE(aliases.Publish("topics", revisions[3]));
  EXPECT_THAT(aliases.Of("topics"), ElementsAre("latest", "production", "staging"));
  EXPECT_TRUE(aliases.Of("others").empty());
}

TEST_F(AliasesTest, RollbackGoesToTheValueBeforeAndThenToThatBeforeIt) {
  for (const std::string& revision : {revisions[0], revisions[1], revisions[2]}) aliases.Promote("topics", revision, "production");
  EXPECT_EQ(aliases.Rollback("topics", "production", "slow"), revisions[1]);
  EXPECT_EQ(aliases.Rollback("topics", "production"), revisions[0]);
  ExpectError(ErrorCode::kInvalidArgument, fmt::format("topics@production stood nowhere before {}", revisions[0].substr(0, 12)),
              [&] { aliases.Rollback("topics", "production"); });
  aliases.Promote("topics", revisions[3], "production");
  EXPECT_EQ(aliases.Rollback("topics", "production"), revisions[0]);
  EXPECT_THAT(Moves("production"), ElementsAre("promote a", "promote b", "promote c", "rollback b", "rollback a", "promote d", "rollback a"));
  EXPECT_EQ(aliases.History("topics", "production")[3].why, "slow");
}

TEST_F(AliasesTest, AreRefusedWhereTheyMakeNoSense) {
  ExpectError(ErrorCode::kInvalidArgument, "'latest' is moved by what publishes alone", [&] { aliases.Promote("topics", revisions[0], "latest"); });
  ExpectError(ErrorCode::kInvalidArgument, "'latest' is moved by what publishes alone", [&] { aliases.Rollback("topics", "latest"); });
  const std::string unknown(40, 'e');
  ExpectError(ErrorCode::kNotFound, fmt::format("{}: 'topics' has no revision '{}'", s.store.folder(), unknown), [&] { aliases.Promote("topics", unknown, "production"); });
  const std::string other = s.Add("other", {{"f", "other"}});
  ExpectError(ErrorCode::kNotFound, fmt::format("{}: 'topics' has no revision '{}'", s.store.folder(), other), [&] { aliases.Publish("topics", other); });
  aliases.Promote("topics", revisions[0], "production");
  const Error error = ExpectError(ErrorCode::kNotFound, s.store.folder() + ": 'topics' has no alias 'prodution'", [&] { aliases.Rollback("topics", "prodution"); });
  EXPECT_EQ(error.hint(), "did you mean 'production'?");
  EXPECT_THROW(aliases.Rollback("topic", "production"), Error);
}

TEST_F(AliasesTest, OnlyModelsArePromoted) {
  for (const auto& [kind, what] : {std::pair{ArtefactKind::kData, "data"}, {ArtefactKind::kReport, "a report"}}) {
    const std::string name = fmt::format("topics.{}", Name(kind));
    const std::string revision = s.Add(name, {{"f", what}}, {.name = "", .revision = "", .kind = kind});
    const std::string which = fmt::format("{}@{}", name, revision.substr(0, 12));
    EXPECT_EQ(ExpectError(ErrorCode::kInvalidArgument, fmt::format("{} is {}, and only models are promoted", which, what),
                          [&] { aliases.Promote(name, revision, kProduction); })
                  .hint(),
              fmt::format("'mlac show {}' says what it is", which));
    EXPECT_FALSE(aliases.Find(name, kProduction));
    EXPECT_TRUE(aliases.Publish(name, revision)) << "latest stands for the newest of everything";
  }
}

TEST_F(AliasesTest, NoBitOfAHistoryCanFlipUnseen) {
  aliases.Promote("topics", revisions[0], "production", "why \"quoted\"\n日本");
  aliases.Promote("topics", revisions[1], "production");
  EXPECT_EQ(aliases.History("topics", "production")[0].why, "why \"quoted\"\n日本");
  const std::string path = s.store.folder() + "/aliases/topics/production.jsonl", text = test::ReadWhole(path);
  for (size_t i = 0; i < text.size(); ++i) {
    std::string flipped = text;
    flipped[i] = static_cast<char>(flipped[i] ^ (1 << (i % 8)));
    s.folder.Write(".mlac/aliases/topics/production.jsonl", flipped);
    EXPECT_THROW(aliases.Find("topics", "production"), Error) << i;
  }
  const size_t second = text.find('\n') + 1;
  for (const auto& [content, message] : std::vector<std::pair<std::string, std::string>>{
           {"", "is damaged: it is empty"},
           {text.substr(second), "line 1: expected move number 1"},
           {text.substr(0, second) + text.substr(0, second), "line 2: expected move number 2"},
           {text.substr(0, text.size() - 1), "line 2: is damaged: it does not end in its checksum"},
           {text + "x", "line 3: is damaged: it does not end in its checksum"}}) {
    s.folder.Write(".mlac/aliases/topics/production.jsonl", content);
    ExpectError(ErrorCode::kInvalidInput, path + ": " + message, [&] { aliases.Find("topics", "production"); });
    EXPECT_THROW(aliases.Promote("topics", revisions[2], "production"), Error);
    EXPECT_EQ(test::ReadWhole(path), content) << "what is damaged is not written over";
  }
}

TEST_F(AliasesTest, LinksInTheirPlaceAreNotFollowed) {
  s.folder.Write("victim/production.jsonl", "victim");
  fs::create_directory_symlink(s.folder / "victim", s.store.folder() + "/aliases/topics");
  EXPECT_THROW(aliases.Promote("topics", revisions[0], "production"), Error);
  EXPECT_THROW(aliases.Find("topics", "production"), Error);
  EXPECT_TRUE(aliases.Of("topics").empty());
  fs::remove(s.store.folder() + "/aliases/topics");
  fs::create_directories(s.store.folder() + "/aliases/topics");
  fs::create_symlink(s.folder / "victim/production.jsonl", s.store.folder() + "/aliases/topics/production.jsonl");
  EXPECT_THROW(aliases.Promote("topics", revisions[0], "production"), Error);
  EXPECT_EQ(test::ReadWhole(s.folder / "victim/production.jsonl"), "victim");
}

TEST_F(AliasesTest, NoMoveOfSeveralAtOnceIsLost) {
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      const Store store = Store::Open(s.store.folder());
      for (size_t i = 0; i < 10; ++i) Aliases(store).Promote("topics", revisions[(t + i) % 4], "production", fmt::format("{} {}", t, i));
    });
  for (std::thread& thread : threads) thread.join();
  const std::vector<AliasMove> history = aliases.History("topics", "production");
  // A move to where it stands is none; all others are there, each once.
  std::set<std::string> reasons;
  for (size_t i = 0; i < history.size(); ++i) {
    EXPECT_TRUE(reasons.insert(history[i].why).second);
    EXPECT_TRUE(i == 0 || history[i].revision != history[i - 1].revision);
  }
  EXPECT_GE(history.size(), 4u);
  EXPECT_THAT(NamesIn(s.store.folder() + "/aliases/topics"), ElementsAre("production.jsonl"));
}

// ---- References ----

TEST_F(AliasesTest, AReferenceIsARevisionItsBeginningOrANameWithOne) {
  aliases.Publish("topics", revisions[3]);
  aliases.Promote("topics", revisions[1], "production");
  const std::string& revision = revisions[1];
  for (const std::string& reference : {revision, revision.substr(0, 12), "topics@" + revision, "topics@" + revision.substr(0, 12), std::string("topics@production")}) {
    const ResolvedReference found = Resolve(s.store, reference);
    EXPECT_EQ(found.revision, revision) << reference;
    EXPECT_EQ(found.name, "topics");
  }
  EXPECT_EQ(Resolve(s.store, "topics").revision, revisions[3]);
  EXPECT_EQ(Resolve(s.store, "topics@latest").revision, revisions[3]);

  const auto refuse = [&](const std::string& reference, const std::string& message, const std::string& hint) {
    EXPECT_EQ(ExpectError(ErrorCode::kNotFound, s.store.folder() + ": " + message, [&] { Resolve(s.store, reference); }).hint(), hint);
  };
  refuse("topic@production", "nothing is called 'topic'", "did you mean 'topics'?");
  refuse("zzz", "nothing is called 'zzz'", "'mlac log' lists the names");
  refuse("topics@prod", "'topics' has no alias 'prod'", "did you mean 'production'?");
  refuse("topics@nope", "'topics' has no alias 'nope'", "there are latest, production");
  refuse("topics@latst", "'topics' has no alias 'latst'", "did you mean 'latest'?");
  s.Add("fresh", {{"f", "fresh"}});
  refuse("fresh", "'fresh' has no alias 'latest'", "it has none yet");
  std::string none = "0000";
  for (const std::string& known : revisions)
    if (known.starts_with(none)) none = "ffff";
  refuse(none, fmt::format("no revision begins with '{}'", none), "'mlac log' lists them");
  refuse("topics@" + none, fmt::format("'topics' has no revision that begins with '{}'", none), "'mlac log topics' lists them");
}

TEST(Resolve, SaysWhichRevisionsABeginningMayMean) {
  StoreFolder s;
  // Contents whose revisions share four digits: of some 300 revisions two do, by chance alone.
  std::map<std::string, std::string> by_beginning;
  std::string first, second;
  for (int i = 0; first.empty(); ++i) {
    const std::string content = fmt::format("{}", i);
    Sha256 hash;
    hash.Add(content);
    const std::string revision = Manifest({{"f", content.size(), hash.Finish()}}).Revision();
    const auto [entry, is_new] = by_beginning.emplace(revision.substr(0, 4), content);
    if (!is_new) first = s.Add("n1", {{"f", entry->second}}), second = s.Add("n2", {{"f", content}});
  }
  ASSERT_EQ(first.substr(0, 4), second.substr(0, 4));
  const auto [low, high] = std::minmax(first, second);
  const Error error = ExpectError(ErrorCode::kInvalidArgument, fmt::format("'{}' is the beginning of 2 revisions: {}, {}", first.substr(0, 4), low.substr(0, 12), high.substr(0, 12)),
                                  [&] { Resolve(s.store, first.substr(0, 4)); });
  EXPECT_EQ(error.hint(), "give more digits");
  EXPECT_EQ(Resolve(s.store, "n1@" + first.substr(0, 4)).revision, first) << "among those of a name it is the only one";
  EXPECT_EQ(Resolve(s.store, "n2@" + first.substr(0, 4)).revision, second);
}

TEST(IsReference, IsDecidedByTheCharacters) {
  for (const std::string text : {"topics@latest", "a@b", "MiniLM-L6_v2@3fa9"}) EXPECT_TRUE(IsReference(text)) << text;
  for (const std::string text : {"topics", "@", "a@", "@b", "a@b@c", "./a@b", "a/b@c", "a@b/c", "a b@c", "~@x", "a@../b", "user@host:path"}) EXPECT_FALSE(IsReference(text)) << text;
}

// ---- Names that lead out (checks of every place that takes one) ----

TEST(PathEscape, NoNameAliasOrReferenceLeadsOutOfTheStore) {
  StoreFolder s;
  const std::string revision = s.Add("topics", {{"f", "1"}});
  const Aliases aliases(s.store);
  aliases.Publish("topics", revision);
  s.folder.Write("outside/secret", "s");
  const std::vector<std::string> before = s.folder.List();
  std::vector<std::string> evil = {"", ".", "..", "../outside", "../../outside", "/etc", "//etc", "a/../../outside", "outside/..", "topics/..", "./topics", "topics/", "/", "\\", "..\\outside",
                                   "topics\\..\\..", "%2e%2e", "%2e%2e%2foutside", "%252e%252e%252f", "..%c0%af", "\xc0\xae\xc0\xae/outside", ".\xe2\x80\x8b./outside", "~", "~root", "$HOME",
                                   "`id`", "a;b", "a|b", "-rf", "--", "a\nb", "a\tb", "a b", "con:", "c:\\x", "file:///etc", "/proc/self/root", "/dev/stdin", "topics.partial-aaaaaaaa", "a@b",
                                   "\xff\xfe", std::string("topics\0x", 8), std::string(1, '\0'), std::string(5000, 'a'), "*", "?", "[a]"};
  size_t cases = 0;
  const auto refused = [&](const std::string& what, const std::function<void()>& action) {
    ++cases;
    try {
      action();
      ADD_FAILURE() << what << " was taken";
    } catch (const Error& error) {
      EXPECT_NE(error.code(), ErrorCode::kInternal) << error.message();
      EXPECT_EQ(error.message().find('\n'), std::string::npos) << error.message();
      EXPECT_EQ(error.message().find('\0'), std::string::npos);
    }
  };
  for (const std::string& name : evil) {
    const std::string shown = fmt::format("'{}'", name.substr(0, 40));
    refused("Add " + shown, [&] { s.store.Add(s.folder / "source1", {.name = name, .revision = ""}); });
    refused("Log " + shown, [&] { s.store.Log(name); });
    refused("RevisionsOf " + shown, [&] { s.store.RevisionsOf(name); });
    refused("FindRecord " + shown, [&] { s.store.FindRecord(name, revision); });
    refused("Publish " + shown, [&] { aliases.Publish(name, revision); });
    refused("Publish revision " + shown, [&] { aliases.Publish("topics", name); });
    refused("Promote name " + shown, [&] { aliases.Promote(name, revision, "production"); });
    refused("Promote alias " + shown, [&] { aliases.Promote("topics", revision, name); });
    refused("Promote revision " + shown, [&] { aliases.Promote("topics", name, "production"); });
    refused("Rollback name " + shown, [&] { aliases.Rollback(name, "production"); });
    refused("Rollback alias " + shown, [&] { aliases.Rollback("topics", name); });
    refused("Find " + shown, [&] { aliases.Find("topics", name); });
    refused("History " + shown, [&] { aliases.History(name, "latest"); });
    refused("Resolve " + shown, [&] { Resolve(s.store, name); });
    refused("Resolve alias " + shown, [&] { Resolve(s.store, "topics@" + name); });
    refused("Resolve name " + shown, [&] { Resolve(s.store, name + "@latest"); });
    refused("OpenFolder " + shown, [&] { s.store.OpenFolder(name); });
    refused("ReadManifest " + shown, [&] { s.store.ReadManifest(name); });
    refused("RecordsOf " + shown, [&] { s.store.RecordsOf(name); });
    refused("base " + shown, [&] {
      if (!name.empty()) s.store.Add(s.folder / "source1", {.name = "n", .revision = "", .base = name});
      else throw Error(ErrorCode::kInvalidArgument, "none");
    });
    EXPECT_FALSE(s.store.Has(name));
    EXPECT_EQ(s.store.FindRecord("topics", name), std::nullopt);
  }
  EXPECT_GE(cases, 200u);
  std::vector<std::string> after = s.folder.List();
  std::erase_if(after, [](const std::string& path) { return path == ".mlac/aliases/.lock" || path == ".mlac/lock"; });
  std::vector<std::string> expected = before;
  std::erase_if(expected, [](const std::string& path) { return path == ".mlac/aliases/.lock" || path == ".mlac/lock"; });
  EXPECT_EQ(after, expected) << "nothing was made anywhere";
}

}  // namespace
}  // namespace mlac
