#include "serve/json_reader.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <nlohmann/json.hpp>
#include <vector>

namespace mlac {
namespace {

// Reads everything and says what is wrong, "" if nothing.
std::string Fault(std::string text) {
  try {
    JsonReader(std::move(text), 422).ReadObject([](std::string_view, JsonValue&) {});
  } catch (const HttpError& error) {
    EXPECT_EQ(error.status(), 400);
    return error.what();
  }
  return "";
}

std::string FieldFault(std::string text, const std::function<void(JsonValue&)>& read) {
  try {
    JsonReader(std::move(text), 422).ReadObject([&](std::string_view, JsonValue& value) { read(value); });
  } catch (const HttpError& error) {
    EXPECT_EQ(error.status(), 422);
    return error.field() + ": " + error.what();
  }
  return "";
}

TEST(JsonReader, GivesTheFieldsInOrderAndTheirValues) {
  std::vector<std::string> names;
  std::vector<int64_t> numbers;
  std::string text;
  bool truth = false;
  JsonReader reader(R"( {"a":"\u00e9\n", "skipped":{"x":[1,{}]}, "b":true, "c":[1,-2,3], "n":null} )", 422);
  reader.ReadObject([&](std::string_view name, JsonValue& value) {
    names.emplace_back(name);
    if (name == "a") text = value.String();
    if (name == "b") truth = value.Bool();
    if (name == "c") value.ForEachItem([&](JsonValue& item) { numbers.push_back(item.Integer(-2, 3)); });
    EXPECT_EQ(value.kind() == JsonValue::Kind::kNull, name == "n");
  });
  EXPECT_EQ(names, (std::vector<std::string>{"a", "skipped", "b", "c", "n"}));
  EXPECT_EQ(text, "\xc3\xa9\n");
  EXPECT_TRUE(truth);
  EXPECT_EQ(numbers, (std::vector<int64_t>{1, -2, 3}));
}

TEST(JsonReader, SaysWhereTextIsNoJson) {
  EXPECT_EQ(Fault(""), "no valid JSON at byte 0: the body is empty");
  EXPECT_EQ(Fault("  "), "no valid JSON at byte 0: the body is empty");
  EXPECT_EQ(Fault("\xef\xbb\xbf{}"), "no valid JSON at byte 0: a byte order mark");
  EXPECT_EQ(Fault("{\"a\":\"\xff\"}"), "no valid JSON at byte 6: bytes that are no UTF-8");
  EXPECT_EQ(Fault("{\"a\":\"b"), "no valid JSON at byte 5: a string without an end");
  EXPECT_EQ(Fault("{\"a\":\"b\nc\"}"), "no valid JSON at byte 7: a control character in a string");
  EXPECT_EQ(Fault("{\"a\":1e309}"), "no valid JSON at byte 5: a number that is malformed or out of range");
  EXPECT_EQ(Fault("{\"a\":[0,01]}"), "no valid JSON at byte 8: a number that is malformed or out of range");
  EXPECT_EQ(Fault("{\"a\":NaN}"), "no valid JSON at byte 5: not what may stand here");
  EXPECT_EQ(Fault("{\"a\":\"\\x\"}"), "no valid JSON at byte 5: a string with a wrong escape");
  EXPECT_EQ(Fault("{\"a\":\"\\ud800\"}"), "no valid JSON at byte 5: a string with a wrong escape");
  EXPECT_EQ(Fault("{\"a\":1,\"b\":2,\"a\":3}"), "no valid JSON at byte 13: a name that stands twice in its object");
  EXPECT_EQ(Fault("{\"a\":1,\"\\u0061\":3}"), "no valid JSON at byte 7: a name that stands twice in its object");
  EXPECT_EQ(Fault("{\"x\":{\"a\":1,\"a\":3}}"), "no valid JSON at byte 12: a name that stands twice in its object");
  EXPECT_EQ(Fault("{\"a\":1}}"), "no valid JSON at byte 7: more behind the object");
  EXPECT_EQ(Fault("{\"a\":1} x"), "no valid JSON at byte 8: more behind the object");
  EXPECT_EQ(Fault("{\"a\":1} {\"b\":"), "no valid JSON at byte 8: more behind the object");
  EXPECT_EQ(Fault("[1]"), "the body must be a JSON object (byte 0)");
  EXPECT_EQ(Fault(" \"a\""), "the body must be a JSON object (byte 1)");
  EXPECT_EQ(Fault("{\"a\":[1"), "no valid JSON at byte 7: it ends too early");
}

TEST(JsonReader, AgreesWithAnotherParserOnWhatIsJson) {
  for (const char* text :
       {"{}", "{\"a\":{}}", "{\"a\":[]}", "{\"a\":[[],[1]]}", "{\"a\":0}", "{\"a\":-0}", "{\"a\":1.5e-3}", "{\"a\":1E+2}", "{\"a\":true,\"b\":false,\"c\":null}",
        "{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u1234\\ud83d\\ude00\"}", "\t\r\n{ \"a\" : 1 }\n", "{\"\":1}", "{\"a\":18446744073709551615}", "{\"a\":-9223372036854775808}",
        // and what is none
        "{", "}", "{}}", "{{}}", "{,}", "{\"a\"}", "{\"a\":}", "{\"a\" 1}", "{\"a\":1,}", "{\"a\":1 \"b\":2}", "{\"a\":1;\"b\":2}", "{\"a\"::1}", "{a:1}", "{'a':1}", "{1:1}",
        "{\"a\":[1,]}", "{\"a\":[,1]}", "{\"a\":[1 2]}", "{\"a\":[1}", "{\"a\":[1}]", "{\"a\":[}", "{\"a\":]}", "{\"a\":1]", "{\"a\":+1}", "{\"a\":-}", "{\"a\":.5}", "{\"a\":5.}",
        "{\"a\":1e}", "{\"a\":0x1}", "{\"a\":1a}", "{\"a\":00}", "{\"a\":-01}", "{\"a\":tru}", "{\"a\":truex}", "{\"a\":True}", "{\"a\":nul}", "{\"a\":nullx}", "{\"a\":falsey}",
        "{\"a\":Infinity}", "{\"a\":-Infinity}", "{\"a\":undefined}", "{\"a\":\"\\u12\"}", "{\"a\":\"\\u12g4\"}", "{\"a\":\"\\ude00\"}", "{\"a\":\"\\ud83d\\u0041\"}",
        "{\"a\":/**/1}", "{\"a\":1}//", "{\"a\":\"b\"\"c\"}", "{\"a\":\"b\" \"c\"}", "{\"a\" \"b\":1}", "{\"a\":{}{}}", "{\"a\":[][]}", "{\"a\":1}{\"b\":2}", "{\"a\":1},", "{\"a\":1e99999}",
        "{\"a\":\"\\u0000\"}", "{\"a\\ud800\":1}", "{\"a\":{\"b\":[{\"c\":}]}}", "{\"a\":\"\t\"}", "{\"a\":\x0b" "1}", "{\"a\":1\x00}"}) {
    EXPECT_EQ(Fault(text).empty(), nlohmann::json::accept(std::string(text))) << text << ": " << Fault(text);
  }
}

TEST(JsonReader, LimitsDepthAndNames) {
  const auto nested = [](size_t depth) { return "{\"a\":" + std::string(depth - 1, '[') + std::string(depth - 1, ']') + "}"; };
  EXPECT_EQ(Fault(nested(JsonReader::kMaxDepth)), "");
  EXPECT_EQ(Fault(nested(JsonReader::kMaxDepth + 1)).substr(0, 24), "no valid JSON at byte 36");
  std::string names = "{\"a\":0";
  for (size_t i = 1; i < JsonReader::kMaxKeys; ++i) names += ",\"" + std::to_string(i) + "\":0";
  EXPECT_EQ(Fault(names + "}"), "");
  EXPECT_EQ(Fault(names + ",\"b\":0}"), "no valid JSON at byte " + std::to_string(names.size() + 1) + ": more than 1000 names");
}

TEST(JsonReader, NeedsLittleStackForAMillionBrackets) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 64 << 10);
  std::string brackets = "{\"a\":" + std::string(1'000'000, '['), fault;
  std::pair<std::string*, std::string*> shared(&brackets, &fault);
  pthread_t thread;
  ASSERT_EQ(pthread_create(
                &thread, &attributes,
                [](void* argument) -> void* {
                  auto& [text, result] = *static_cast<std::pair<std::string*, std::string*>*>(argument);
                  *result = Fault(std::move(*text));
                  return nullptr;
                },
                &shared),
            0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
  EXPECT_EQ(fault, "no valid JSON at byte 36: nested deeper than 32 levels");
}

TEST(JsonReader, NamesTheFieldThatIsWrong) {
  const auto integer = [](JsonValue& value) { value.Integer(1, 384); };
  EXPECT_EQ(FieldFault("{\"d\":1}", integer), "");
  EXPECT_EQ(FieldFault("{\"d\":384}", integer), "");
  EXPECT_EQ(FieldFault("{\"d\":0}", integer), "d: 'd' must be an integer from 1 to 384, is 0 (byte 5)");
  EXPECT_EQ(FieldFault("{\"d\":385}", integer), "d: 'd' must be an integer from 1 to 384, is 385 (byte 5)");
  EXPECT_EQ(FieldFault("{\"d\":-1}", integer), "d: 'd' must be an integer from 1 to 384, is -1 (byte 5)");
  EXPECT_EQ(FieldFault("{\"d\":1.0}", integer), "d: 'd' must be an integer from 1 to 384, is no integer (byte 5)");
  EXPECT_EQ(FieldFault("{\"d\":1e308}", integer), "d: 'd' must be an integer from 1 to 384, is no integer (byte 5)");
  EXPECT_EQ(FieldFault("{\"d\":18446744073709551615}", integer), "d: 'd' must be an integer from 1 to 384, is 18446744073709551615 (byte 5)");
  EXPECT_EQ(FieldFault("{\"d\":\"1\"}", integer), "d: 'd' must be an integer from 1 to 384, is a string (byte 5)");
  EXPECT_EQ(FieldFault("{\"t\":[\"a\", null]}", [](JsonValue& value) { value.ForEachItem([](JsonValue& item) { item.String(); }); }),
            "t[1]: 't[1]' must be a string, is null (byte 11)");
  EXPECT_EQ(FieldFault("{\"b\":1}", [](JsonValue& value) { value.Bool(); }), "b: 'b' must be true or false, is a number (byte 5)");
  EXPECT_EQ(FieldFault("{\"b\":{}}", [](JsonValue& value) { value.ForEachItem([](JsonValue&) {}); }), "b: 'b' must be an array, is an object (byte 5)");
  EXPECT_EQ(FieldFault("{\"f\":\"hex\"}", [](JsonValue& value) { value.Choice({"float", "base64"}); }), "f: 'f' must be one of 'float', 'base64' (byte 5)");
  EXPECT_EQ(FieldFault("{\"f\":7}", [](JsonValue& value) { value.Choice({"float", "base64"}); }), "f: 'f' must be one of 'float', 'base64' (byte 5)");
}

}  // namespace
}  // namespace mlac
