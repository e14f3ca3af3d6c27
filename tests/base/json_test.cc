#include "base/json.h"

#include <gtest/gtest.h>

#include <bit>
#include <charconv>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/random.h"
#include "base/utf8.h"
#include "tests/support/test_support.h"

namespace mlac {
namespace {

using test::ExpectError;

std::string Message(std::string_view text, size_t max_depth = 64) {
  try {
    ParseJson(text, "f", max_depth);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidInput);
    EXPECT_EQ(error.message().find('\n'), std::string::npos);
    return error.message();
  }
  return "accepted";
}

TEST(ParseJson, ReadsEveryKindOfValue) {
  const nlohmann::json value = ParseJson(R"({"a":[1,-2,3.5,true,false,null,"\u00e9\ud83d\ude00"],"b":{}} )", "f");
  EXPECT_EQ(value["a"].size(), 7u);
  EXPECT_EQ(value["a"][6], "é😀");
  EXPECT_EQ(ParseJson("18446744073709551615", "f").get<uint64_t>(), std::numeric_limits<uint64_t>::max());
}

TEST(ParseJson, AllowsSoManyLevelsAndNoMore) {
  EXPECT_EQ(Message("[[[]]]", 3), "accepted");
  EXPECT_EQ(Message("[[[[]]]]", 3), "f: nested deeper than 3 levels");
  EXPECT_EQ(Message(R"({"a":{"b":{}}})", 3), "accepted");
  EXPECT_EQ(Message(R"({"a":{"b":{"c":[]}}})", 3), "f: nested deeper than 3 levels");
  EXPECT_EQ(Message("[[],[],[],[[]]]", 3), "accepted");  // width is not depth
  EXPECT_EQ(Message(std::string(1'000'000, '[')), "f: nested deeper than 64 levels");
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += R"({"a":)";
  EXPECT_EQ(Message(objects), "f: nested deeper than 64 levels");
}

TEST(ParseJson, RefusesAKeyThatStandsTwiceInOneObject) {
  EXPECT_EQ(Message(R"({"a":1,"b":2,"a":1})"), "f: key 'a' stands twice");
  EXPECT_EQ(Message(R"({"a":1,"\u0061":1})"), "f: key 'a' stands twice");
  EXPECT_EQ(Message(R"({"x":{"a":1},"a":[{"a":1},{"a":1}]})"), "accepted");
  EXPECT_EQ(Message("{\"\\n\":1,\"\\n\":1}"), "f: key '\\n' stands twice");
}

TEST(ParseJson, SaysAtWhichByteTextStopsBeingJson) {
  EXPECT_TRUE(Message("").starts_with("f: no valid JSON at byte 1: unexpected end of input")) << Message("");
  EXPECT_TRUE(Message("[1,]").starts_with("f: no valid JSON at byte 4: unexpected ']'")) << Message("[1,]");
  EXPECT_TRUE(Message("{\"a\":1}x").starts_with("f: no valid JSON at byte 8: invalid literal")) << Message("{\"a\":1}x");
  for (const std::string_view text : {"{", "[", "\"", "{\"a\"}", "{a:1}", "{'a':1}", "[01]", "[1.]", "[.5]", "[+1]", "[0x1]", "[1e]", "nul", "NaN", "Infinity",
                                      "-Infinity", "[1]//", "/**/[1]", "\"\\x\"", "\"\\ud800\"", "\"\\udc00\"", "\"\t\"", "\"\xff\"", "\xEF\xBB\xBF[", "[1] [2]"})
    EXPECT_TRUE(Message(text).starts_with("f: no valid JSON at byte ")) << text << ": " << Message(text);
}

TEST(ParseJson, RefusesNumbersBeyondF64) { EXPECT_NE(Message("[1e309]"), "accepted"); }

TEST(ParseOrderedJson, KeepsTheOrderOfTheTextAndHasTheSameLimits) {
  EXPECT_EQ(DumpJson(ParseOrderedJson(R"({"b": 1, "a": {"d": 2, "c": 3}})", "f")), R"({"b":1,"a":{"d":2,"c":3}})");
  ExpectError(ErrorCode::kInvalidInput, "f: key 'b' stands twice", [] { ParseOrderedJson(R"({"b":1,"a":2,"b":3})", "f"); });
  ExpectError(ErrorCode::kInvalidInput, "f: nested deeper than 2 levels", [] { ParseOrderedJson("[[[]]]", "f", 2); });
}

TEST(ParseJsonOrDiscard, TakesWhatJsonIsAndDiscardsWhatIsNone) {
  EXPECT_EQ(ParseJsonOrDiscard(R"({"a":1,"a":2})"), nlohmann::json({{"a", 2}}));
  EXPECT_EQ(DumpJson(ParseOrderedJsonOrDiscard(R"({"b":1,"a":2})")), R"({"b":1,"a":2})");
  for (const char* text : {"", "x", "{", "[1,]", "{} {}", "\"\xff\""}) {
    EXPECT_TRUE(ParseJsonOrDiscard(text).is_discarded()) << text;
    EXPECT_TRUE(ParseOrderedJsonOrDiscard(text).is_discarded()) << text;
  }
}

TEST(DumpJson, WritesOneLineOrIndentedAndReplacesWhatIsNoUtf8) {
  const nlohmann::ordered_json value = {{"b", {1, 2}}, {"a", "\xff\u00e9"}};
  EXPECT_EQ(DumpJson(value), "{\"b\":[1,2],\"a\":\"\uFFFD\u00e9\"}");
  EXPECT_EQ(DumpJson(value, 2), "{\n  \"b\": [\n    1,\n    2\n  ],\n  \"a\": \"\uFFFD\u00e9\"\n}");
  EXPECT_EQ(DumpJson(nlohmann::json({{"b", 1}, {"a", 2}})), R"({"a":2,"b":1})");
}

TEST(ReadJsonFile, NamesTheFileAndHoldsItsLimit) {
  const test::TemporaryFolder folder;
  const std::string path = folder.Write("config.json", R"({"a":1})");
  EXPECT_EQ(ReadJsonFile(path)["a"], 1);
  ExpectError(ErrorCode::kTooLarge, path + ": 7 bytes, at most 6 are read", [&] { ReadJsonFile(path, 6); });
  ExpectError(ErrorCode::kNotFound, folder / "none: cannot open: No such file or directory", [&] { ReadJsonFile(folder / "none"); });
}

std::string Shown(float value) {
  std::string out = "x";
  AppendFloat(out, value);
  EXPECT_EQ(out[0], 'x');
  return out.substr(1);
}

TEST(AppendFloat, WritesTheShortestDecimalThatReadsBackAsTheSameBits) {
  EXPECT_EQ(Shown(0.1f), "0.1");
  EXPECT_EQ(Shown(1.0f), "1");
  EXPECT_EQ(Shown(-0.0f), "-0");
  EXPECT_EQ(Shown(16777216.0f), "16777216");
  EXPECT_EQ(Shown(0.3333333433f), "0.33333334");
  EXPECT_EQ(Shown(std::numeric_limits<float>::max()), "3.4028235e+38");
  EXPECT_EQ(Shown(std::numeric_limits<float>::denorm_min()), "1e-45");
  Random random(1);
  for (int i = 0; i < 200'000; ++i) {
    const float value = std::bit_cast<float>(random.Next());
    const std::string text = Shown(value);
    if (!std::isfinite(value)) {
      ASSERT_EQ(text, "null");
      continue;
    }
    float back = 0;
    ASSERT_EQ(std::from_chars(text.data(), text.data() + text.size(), back).ptr, text.data() + text.size()) << text;
    ASSERT_EQ(std::bit_cast<uint32_t>(back), std::bit_cast<uint32_t>(value)) << text;
    ASSERT_TRUE(nlohmann::json::accept(text)) << text;
    ASSERT_LE(text.size(), 16u) << text;
  }
}

TEST(AppendFloat, WritesNullForWhatJsonCannotSay) {
  EXPECT_EQ(Shown(std::numeric_limits<float>::quiet_NaN()), "null");
  EXPECT_EQ(Shown(std::numeric_limits<float>::infinity()), "null");
  EXPECT_EQ(Shown(-std::numeric_limits<float>::infinity()), "null");
}

TEST(AppendJsonString, EveryCharacterReadsBack) {
  std::string all;
  for (char32_t value = 0; value < 0x3000; ++value) AppendUtf8(all, value);
  AppendUtf8(all, 0x10FFFF);
  std::string out;
  AppendJsonString(out, all);
  EXPECT_EQ(ParseJson(out, "f").get<std::string>(), all);
}

TEST(AppendJsonString, EscapesAsFewCharactersAsTheReferenceLibraries) {
  std::string out;
  AppendJsonString(out, "a\"\\/\b\f\n\r\t\x01\x1f\x7fé");
  EXPECT_EQ(out, "\"a\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7fé\"");
}

}  // namespace
}  // namespace mlac
