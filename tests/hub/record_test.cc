#include "hub/record.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/program.h"
#include "tests/support/test_support.h"

namespace mlac {
namespace {

using test::ExpectError;

Record Example() {
  return {.name = "topics",
          .revision = std::string(40, 'a'),
          .kind = ArtefactKind::kModel,
          .made_by = "train",
          .base = std::string(40, 'b'),
          .data = {{"train", std::string(40, 'c')}, {"test", std::string(40, 'd')}},
          .parameters = {{"lr", "1e-4"}, {"a \"quote\"\n", "日本"}},
          .answers = std::string(40, 'f'),
          .seed = 18446744073709551615u,
          .git_commit = std::string(40, 'e'),
          .git_dirty = true,
          .mlac_version = "0.1.0",
          .instruction_set = "avx512",
          .duration_seconds = 0.1,
          .who = "ann@laptop",
          .time = "2026-11-27T23:55:24.123Z"};
}

TEST(Record, ComesBackAsItWasWritten) {
  EXPECT_EQ(ParseRecord(RecordText(Example()), "r"), Example());
  Record plain = {.name = "n", .revision = std::string(40, '0')};
  EXPECT_EQ(ParseRecord(RecordText(plain), "r"), plain);
}

TEST(Record, NoBitOfItCanFlipUnseen) {
  const std::string text = RecordText(Example());
  for (size_t i = 0; i < text.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = text;
      flipped[i] = static_cast<char>(flipped[i] ^ (1 << bit));
      EXPECT_THROW(ParseRecord(flipped, "r"), Error) << "byte " << i << " bit " << bit;
    }
  }
  for (size_t length = 0; length < text.size(); ++length) EXPECT_THROW(ParseRecord(text.substr(0, length), "r"), Error) << length;
  ExpectError(ErrorCode::kInvalidInput, "r: is damaged: it does not end in its checksum", [&] { ParseRecord(text + "\n", "r"); });
  ExpectError(ErrorCode::kInvalidInput, "r: is damaged: its checksum is of other content", [&] { ParseRecord(" " + text, "r"); });
}

TEST(Names, AreLettersDigitsDotsAndDashes) {
  for (const std::string name : {"topics", "d", "a1", "topics.train", "MiniLM-L6_v2", "v1", "abc", "1.0", "cafe.v1", "deadbeef-x"}) {
    EXPECT_NO_THROW(CheckArtefactName(name)) << name;
    EXPECT_NO_THROW(CheckAliasName(name)) << name;
  }
  EXPECT_NO_THROW(CheckArtefactName(std::string(100, 'x')));
  const std::string rule = ": expected letters, digits, '.', '_' and '-', a letter or digit first, at most 100";
  for (const std::string& name : {std::string(""), std::string("."), std::string(".."), std::string("../x"), std::string("a/b"), std::string("/abs"), std::string("-x"),
                                  std::string("_x"), std::string(".x"), std::string("a b"), std::string("a\\b"), std::string("a@b"), std::string("ä"),
                                  std::string("~"), std::string("$HOME"), std::string("a%2fb"), std::string(101, 'x')}) {
    EXPECT_FALSE(IsArtefactName(name));
    if (name.size() < 90) ExpectError(ErrorCode::kInvalidArgument, fmt::format("the name '{}'{}", name, rule), [&] { CheckArtefactName(name); });
    EXPECT_THROW(CheckAliasName(name), Error) << name;
  }
  ExpectError(ErrorCode::kInvalidArgument, "the name 'a\\x00b'" + rule, [] { CheckArtefactName(std::string("a\0b", 3)); });
  ExpectError(ErrorCode::kInvalidArgument, "the alias 'a\\n'" + rule, [] { CheckAliasName("a\n"); });
  for (const std::string name : {"cafe", "1234", "DEAD", "facade"})
    ExpectError(ErrorCode::kInvalidArgument, fmt::format("the alias '{}': it could be taken for a revision; expected a character that is no hexadecimal digit", name),
                [&] { CheckAliasName(name); });
  ExpectError(ErrorCode::kInvalidArgument, "the name 'a.partial-b': '.partial-' marks files that are being written", [] { CheckArtefactName("a.partial-b"); });
}

TEST(Kinds, AreThree) {
  for (const ArtefactKind kind : {ArtefactKind::kModel, ArtefactKind::kData, ArtefactKind::kReport}) EXPECT_EQ(ArtefactKindOf(Name(kind)), kind);
  ExpectError(ErrorCode::kInvalidArgument, "the kind 'table': expected model, data, report", [] { ArtefactKindOf("table"); });
}

TEST(TimeNow, IsSortableText) { EXPECT_THAT(TimeNow(), testing::MatchesRegex("2[0-9]+-[0-9]+-[0-9]+T[0-9]+:[0-9]+:[0-9]+\\.[0-9]+Z")); }

TEST(GitStateOf, GivesTheCommitAndWhetherFilesWereChanged) {
  const test::TemporaryFolder folder;
  EXPECT_EQ(GitStateOf(folder.path()).commit, "");
  const auto git = [&](const std::string& arguments) {
    const ProgramResult result = RunProgram({"sh", "-c", "cd \"$0\" && git -c user.name=n -c user.email=e@x -c init.defaultBranch=main " + arguments, folder.path()});
    EXPECT_EQ(result.status, 0) << result.error;
    return result.out;
  };
  git("init -q");
  EXPECT_EQ(GitStateOf(folder.path()).commit, "") << "there is no commit yet";
  folder.Write("f", "1");
  folder.Write(".gitignore", "ignored\n");
  git("add -A");
  git("commit -qm first");
  GitState state = GitStateOf(folder.path());
  EXPECT_EQ(state.commit + "\n", git("rev-parse HEAD"));
  EXPECT_FALSE(state.dirty);
  folder.Write("ignored", "");
  EXPECT_FALSE(GitStateOf(folder.path()).dirty);
  folder.Write("new", "");
  EXPECT_TRUE(GitStateOf(folder.path()).dirty);
  EXPECT_TRUE(GitStateOf(folder.path()).commit == state.commit);
}

}  // namespace
}  // namespace mlac
