#include "data/json_lines.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/data_sets/reading.h"

namespace mlac {
namespace {

using ::testing::ElementsAre;
using ::testing::StartsWith;

Rows ReadJson(std::string_view content) {
  return ReadRows(*OpenTable(ByteStream(content, "t.jsonl"), TableFormat::kJsonLines, {.columns = {"text", "label"}}));
}

std::string JsonError(std::string_view content) {
  return ErrorOf([&] { ReadJson(content); });
}

std::string Label(std::string_view written) { return ReadJson("{\"text\": \"x\", \"label\": " + std::string(written) + "}").cells[0][1]; }

TEST(JsonLines, ReadsWantedKeysInAnyOrderAndPassesOverTheRest) {
  const Rows rows = ReadJson(
      "\xEF\xBB\xBF{\"text\": \"one\", \"label\": \"a\"}\r\n  \n{\"id\": [1, {\"text\": 2}], \"label\": \"b\", \"text\": \"t\\u00e9\\nx\", "
      "\"more\": null}");
  EXPECT_THAT(rows.cells, ElementsAre(Row{"one", "a"}, Row{"té\nx", "b"}));
  EXPECT_THAT(rows.lines, ElementsAre(1, 3));
}

TEST(JsonLines, NamesALabelAlikeAsStringAndAsNumber) {
  for (const std::string_view three : {"3", "\"3\"", "3.0", "3e0", "0.3e1"}) EXPECT_EQ(Label(three), "3") << three;
  EXPECT_EQ(Label("-7"), "-7");
  EXPECT_EQ(Label("0.5"), "0.5");
  EXPECT_EQ(Label("-0.0"), "0");
  EXPECT_EQ(Label("1e300"), "1e+300");
  EXPECT_EQ(Label("18446744073709551615"), "18446744073709551615");
  EXPECT_EQ(Label("123456789012345678901234567890"), "123456789012345678901234567890");
  EXPECT_EQ(Label("true"), "true");
  EXPECT_EQ(Label("false"), "false");
}

TEST(JsonLines, RefusesValuesThatAreNoNames) {
  EXPECT_EQ(JsonError("{\"text\": \"x\", \"label\": null}"),
            "t.jsonl: line 1: expected a string, a number or a boolean under 'label', found null");
  EXPECT_EQ(JsonError("{\"text\": \"x\", \"label\": [1]}"),
            "t.jsonl: line 1: expected a string, a number or a boolean under 'label', found an array");
  EXPECT_EQ(JsonError("{\"text\": {}, \"label\": 1}"),
            "t.jsonl: line 1: expected a string, a number or a boolean under 'text', found an object");
}

TEST(JsonLines, NamesLineAndColumnOfBrokenJson) {
  EXPECT_THAT(JsonError("{\"text\": \"a\", \"label\": 1}\n{\"text\": é}"), StartsWith("t.jsonl: line 2, column 10: no valid JSON: "));
  EXPECT_THAT(JsonError("{\"text\": \"éé\" x}"), StartsWith("t.jsonl: line 1, column 15: no valid JSON: "));  // characters, not bytes
  EXPECT_THAT(JsonError("{\"text\": \"a\", \"label\": 1"), StartsWith("t.jsonl: line 1, column 25: no valid JSON: "));
  EXPECT_THAT(JsonError("{\"text\": \"a\", \"label\": 1} {}"), StartsWith("t.jsonl: line 1, column 27: no valid JSON: "));
  EXPECT_THAT(JsonError("{\"text\": \"\\ud800\", \"label\": 1}"), StartsWith("t.jsonl: line 1, column 17: no valid JSON: "));
  EXPECT_THAT(JsonError("{\"text\": \"a\", \"label\": 1e999}"), StartsWith("t.jsonl: line 1, column 28: no valid JSON: "));
  EXPECT_THAT(JsonError("text,label\n"), testing::EndsWith("(expected one JSON object a line)"));
}

TEST(JsonLines, NamesMissingAndDoubledKeys) {
  EXPECT_EQ(JsonError("{\"text\": \"a\", \"label\": 1}\n{\"text\": \"a\", \"lable\": 1}"),
            "t.jsonl: line 2: expected a column 'label', found 'text', 'lable' (did you mean 'lable'?)");
  EXPECT_EQ(JsonError("{}"), "t.jsonl: line 1: expected a column 'text', found none");
  EXPECT_EQ(JsonError("{\"text\": \"a\", \"label\": 1, \"text\": \"b\"}"), "t.jsonl: line 1: key 'text' stands twice");
}

TEST(JsonLines, RefusesWhatIsNoObject) {
  EXPECT_EQ(JsonError("[{\"text\": \"a\", \"label\": 1}]"),
            "t.jsonl: line 1: expected a JSON object, found an array (a JSON array becomes one object a line with: jq -c '.[]' FILE > "
            "NEW.jsonl)");
  EXPECT_EQ(JsonError("\"text\""), "t.jsonl: line 1: expected a JSON object, found a string");
  EXPECT_EQ(JsonError("7"), "t.jsonl: line 1: expected a JSON object, found a number");
  EXPECT_EQ(JsonError(""), "t.jsonl: the file is empty");
  EXPECT_EQ(JsonError(" \n\n"), "t.jsonl: expected rows, found none");
}

TEST(JsonLines, LimitsTheDepthAndTheLength) {
  const auto nested = [](size_t arrays) {
    return "{\"text\": \"a\", \"label\": 1, \"x\": " + std::string(arrays, '[') + std::string(arrays, ']') + "}";
  };
  EXPECT_EQ(JsonError(nested(63)), "");
  EXPECT_EQ(JsonError(nested(64)), "t.jsonl: line 1: nested deeper than 64 levels");
  EXPECT_EQ(JsonError(std::string(size_t{17} << 20, '[')), "t.jsonl: line 1 is longer than 16777216 bytes");
}

}  // namespace
}  // namespace mlac
