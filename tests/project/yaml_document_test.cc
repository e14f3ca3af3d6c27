// What a YAML file is read as, and that what would cost memory or time without end is refused at once.
#include "project/yaml_document.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/support/test_support.h"

namespace mlac {
namespace {

using test::ExpectError;
using Kind = YamlNode::Kind;

void ExpectRefused(ErrorCode code, const std::string& message, const std::string& text, const YamlLimits& limits = {}) {
  ExpectError(code, message, [&] { YamlDocument(text, "mlac.yaml", limits); });
}

std::string Times(size_t count, const std::string& text) {
  std::string out;
  for (size_t i = 0; i < count; ++i) out += text;
  return out;
}

TEST(YamlDocument, KeepsOrderLinesColumnsAndQuotes) {
  const YamlDocument document("# a comment\na: 1\nb:\n  - 'x y'\n  - {c: ~}\n", "mlac.yaml");
  const YamlNode& root = document.root();
  ASSERT_EQ(root.kind, Kind::kMap);
  ASSERT_EQ(root.entries.size(), 2u);
  EXPECT_EQ(root.entries[0].key, "a");
  EXPECT_EQ(root.entries[0].line, 2u);
  EXPECT_EQ(root.entries[0].value->text, "1");
  EXPECT_EQ(root.entries[0].value->column, 4u);
  EXPECT_FALSE(root.entries[0].value->quoted);
  const YamlNode& list = *root.entries[1].value;
  ASSERT_EQ(list.items.size(), 2u);
  EXPECT_EQ(list.items[0]->text, "x y");
  EXPECT_TRUE(list.items[0]->quoted);
  EXPECT_EQ(list.items[0]->line, 4u);
  EXPECT_EQ(list.items[1]->entries[0].value->kind, Kind::kNull);
  EXPECT_EQ(root.num_nodes, 6u);
}

TEST(YamlDocument, AnEmptyFileIsNull) {
  for (const char* text : {"", "\n\n", "# only a comment\n", "---\n"}) EXPECT_EQ(YamlDocument(text, "x").root().kind, Kind::kNull) << text;
}

TEST(YamlDocument, AliasesAndMergeKeysStandForWhatTheyName) {
  const YamlDocument document("base: &b {x: 1, y: 2}\nother: *b\nmerged: {<<: *b, y: 3, z: 4}\nlist: {<<: [*b, {w: 0}]}\n", "mlac.yaml");
  const auto& entries = document.root().entries;
  EXPECT_EQ(entries[1].value, entries[0].value);
  const YamlNode& merged = *entries[2].value;
  ASSERT_EQ(merged.entries.size(), 3u);
  EXPECT_EQ(merged.entries[0].value->text, "3") << "what the map says itself counts";
  EXPECT_EQ(merged.entries[2].key, "x");
  EXPECT_EQ(entries[3].value->entries.size(), 3u);
}

TEST(YamlDocument, RefusesWhatIsNoYamlWithTheLine) {
  ExpectRefused(ErrorCode::kInvalidInput, "mlac.yaml line 2: this is no YAML: illegal map value", "a: 1\nb: c: d\n");
  ExpectRefused(ErrorCode::kInvalidInput, "mlac.yaml line 3: the key 'a' stands twice", "a: 1\nb: 2\na: 3\n");
  ExpectRefused(ErrorCode::kInvalidInput, "mlac.yaml line 1: expected a word as key", "? [a, b]\n: c\n");
  ExpectRefused(ErrorCode::kInvalidInput, "mlac.yaml line 1: the tag 'tag:yaml.org,2002:python/object' has no meaning here",
                "a: !!python/object x\n");
  ExpectRefused(ErrorCode::kInvalidInput, "mlac.yaml: expected one document, found a second one behind '---'", "a: 1\n---\nb: 2\n");
  ExpectRefused(ErrorCode::kInvalidInput, "mlac.yaml line 2: a byte that is no text (expected UTF-8)", "a: 1\nb: \xff\n");
  ExpectRefused(ErrorCode::kInvalidInput, "mlac.yaml line 1: a byte that is no text (expected UTF-8)", std::string("a: \0", 4));
  ExpectRefused(ErrorCode::kInvalidInput, "mlac.yaml line 1: '<<' takes a map", "{<<: 3}\n");
}

TEST(YamlDocument, RefusesCycles) {
  ExpectRefused(ErrorCode::kInvalidInput, "mlac.yaml line 1: an alias stands inside what it is the name of", "a: &a [*a]\n");
  ExpectRefused(ErrorCode::kInvalidInput, "mlac.yaml line 3: an alias stands inside what it is the name of", "a: &a\n  b:\n    c: *a\n");
  ExpectRefused(ErrorCode::kInvalidInput, "mlac.yaml line 1: an alias stands inside what it is the name of", "&a {<<: *a}\n");
}

TEST(YamlDocument, RefusesABombOfAliases) {
  std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 30; ++i)
    text += fmt::format("a{0}: &a{0} [{1}]\n", i, Times(9, fmt::format("*a{}, ", i - 1)) + fmt::format("*a{}", i - 1));
  ExpectRefused(ErrorCode::kTooLarge, "mlac.yaml line 6: more than 300000 values, those of aliases counted at each use", text);
}

TEST(YamlDocument, TheNumberOfValuesHasAnEdge) {
  const YamlLimits limits = {.max_nodes = 10};
  YamlDocument(fmt::format("[{}x]", Times(8, "x, ")), "mlac.yaml", limits);
  ExpectRefused(ErrorCode::kTooLarge, "mlac.yaml line 1: more than 10 values, those of aliases counted at each use",
                fmt::format("[{}x]", Times(9, "x, ")), limits);
}

TEST(YamlDocument, TheNumberOfLinesHasAnEdge) {
  const YamlLimits limits = {.max_lines = 3};
  YamlDocument("- a\n- b\n- c\n", "mlac.yaml", limits);
  YamlDocument("- a\n- b\n- c", "mlac.yaml", limits);
  ExpectRefused(ErrorCode::kTooLarge, "mlac.yaml: more than 3 lines", "- a\n- b\n- c\n- d", limits);
  ExpectRefused(ErrorCode::kTooLarge, "mlac.yaml: more than 300000 lines", Times(1'500'000, "- a\n"));
}

TEST(YamlDocument, NestingHasAnEdgeInEveryForm) {
  const std::string message = "mlac.yaml line 1: nested deeper than 32";
  YamlDocument(Times(32, "[") + Times(32, "]"), "mlac.yaml");
  ExpectRefused(ErrorCode::kTooLarge, message, Times(33, "[") + Times(33, "]"));
  ExpectRefused(ErrorCode::kTooLarge, message, Times(33, "{a: ") + Times(33, "}"));
  ExpectRefused(ErrorCode::kTooLarge, message, Times(33, "- ") + "x");
  ExpectRefused(ErrorCode::kTooLarge, message, Times(4'000'000, "["));
  ExpectRefused(ErrorCode::kTooLarge, message, Times(100'000, "- "));
  std::string deep;
  for (size_t i = 0; i < 33; ++i) deep += std::string(i, ' ') + "a:\n";
  ExpectRefused(ErrorCode::kTooLarge, "mlac.yaml line 33: nested deeper than 32", deep + std::string(40, ' ') + "x");
}

TEST(YamlDocument, SizeHasAnEdge) {
  const YamlLimits limits = {.max_bytes = 10};
  YamlDocument("a: 1234567", "mlac.yaml", limits);
  ExpectRefused(ErrorCode::kTooLarge, "mlac.yaml: 11 bytes; at most 10 are read", "a: 12345678", limits);
}

TEST(YamlDocument, ALineHasAnEdge) {
  const YamlLimits limits = {.max_line_bytes = 10};
  YamlDocument("a: 1234567\nb: 1234567\n", "mlac.yaml", limits);
  ExpectRefused(ErrorCode::kTooLarge, "mlac.yaml line 2: is longer than 10 bytes", "a: 1\nb: 12345678\n", limits);
  ExpectRefused(ErrorCode::kTooLarge, "mlac.yaml line 1: is longer than 262144 bytes", Times(100'000, "!!a "));
  ExpectRefused(ErrorCode::kTooLarge, "mlac.yaml line 1: is longer than 262144 bytes", Times(100'000, "&a "));
}

TEST(YamlDocument, ALongFlowIsRefusedBeforeItIsKeptInMemory) {
  const YamlLimits limits = {.max_flow_bytes = 100};
  YamlDocument("a: [" + Times(30, "x, ") + "x]\nb: [" + Times(30, "x, ") + "x]", "mlac.yaml", limits);
  const std::string message = "mlac.yaml line 2: what stands in brackets here is longer than 100 bytes";
  ExpectRefused(ErrorCode::kTooLarge, message, "b: 1\na: [" + Times(40, "x,\n"), limits);
  ExpectRefused(ErrorCode::kTooLarge, message, "b: \"[\" # [ {\na: {x: \"" + Times(40, "yyy") + "\"}", limits);
}

TEST(YamlDocument, BracketsThatOpenNothingCountForNothing) {
  const YamlLimits limits = {.max_depth = 3, .max_flow_bytes = 30};
  const std::string text = Times(20, "# [[[[[{{{{ don't\n") +
                           "a: it's [[[[ plain\nb: '[[[[[[ \" [[[['\nc: \"[[[[ \\\" [[[[ '\"\nd: |\n  a {{{{{{{{{ block\n" +
                           Times(50, "e: x\n").substr(0, 4);
  EXPECT_EQ(YamlDocument(text, "mlac.yaml", limits).root().entries[1].value->text, "[[[[[[ \" [[[[");
}

}  // namespace
}  // namespace mlac
