#include "serve/json_reader.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <nlohmann/json.hpp>
#include <random>
#include <vector>

#include "tests/support/test_support.h"

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

// What the reader gives of a value; a number that is no int64_t as "number".
nlohmann::json Rebuild(JsonValue& value) {
  switch (value.kind()) {
    case JsonValue::Kind::kObject: {
      nlohmann::json object = nlohmann::json::object();
      value.ForEachField([&](std::string_view name, JsonValue& field) { object[std::string(name)] = Rebuild(field); });
      return object;
    }
    case JsonValue::Kind::kArray: {
      nlohmann::json array = nlohmann::json::array();
      value.ForEachItem([&](JsonValue& item) { array.push_back(Rebuild(item)); });
      return array;
    }
    case JsonValue::Kind::kString: return value.String();
    case JsonValue::Kind::kBool: return value.Bool();
    case JsonValue::Kind::kNull: return nullptr;
    case JsonValue::Kind::kNumber: break;
  }
  try {
    return value.Integer(INT64_MIN, INT64_MAX);
  } catch (const HttpError& error) {
    if (error.status() == 400) throw;
    return "number";
  }
}

// The same of nlohmann's value.
void ReplaceNumbers(nlohmann::json& value) {
  if (value.is_structured()) {
    for (nlohmann::json& part : value) ReplaceNumbers(part);
  } else if (value.is_number_float() || (value.is_number_unsigned() && value.get<uint64_t>() > INT64_MAX)) {
    value = "number";
  }
}

TEST(JsonReader, GivesOfChangedTextsWhatAnotherParserGives) {
  const std::vector<std::string> seeds = {
      R"({"inputs":["a cat","the \"dog\"\n",""],"truncate":true,"parameters":{"top_k":5,"x":null}})",
      R"({"input":[[101,-7,0],[3,2054]],"f":[1.5,-0.25e-3,1E+2,0e0],"b":false})",
      R"( { "\u00e9\ud83d\ude00" : "\\\/\b\f\r\t" , "n" : [ [ ] , { } , -0 , "\u0000" ] } )",
      "{\"\xc3\xa9\xe4\xb8\xad\xf0\x9f\x98\x80\":\"a text of more than eight bytes, then \xe4\xb8\xad\\u4e2d\",\"a\":{\"a\":{\"b\":[true,false,null]}}}"};
  const std::string alphabet = "{}[]\",:\\ntfu0123456789.-+eE \t\n\x01\x7f/xAd";
  std::mt19937 random(1);
  const auto below = [&](size_t end) { return random() % end; };
  size_t num_valid = 0;
  for (size_t round = 0; round < 60'000; round += test::kTryEvery) {
    std::string text = seeds[round / test::kTryEvery % seeds.size()];
    for (size_t changes = below(3); changes < 3; ++changes) {
      const size_t place = below(text.size());
      const char c = alphabet[below(alphabet.size())];
      switch (below(4)) {
        case 0: text[place] = c; break;
        case 1: text.insert(place, 1, c); break;
        case 2: text.erase(place, 1 + below(3)); break;
        default: text.insert(place, text.substr(below(text.size()), below(12))); break;
      }
    }
    nlohmann::json found;
    std::string fault;
    try {
      JsonReader reader(text, 422);
      reader.ReadObject([&](std::string_view name, JsonValue& value) { found[std::string(name)] = Rebuild(value); });
    } catch (const HttpError& error) {
      fault = error.what();
    }
    EXPECT_EQ(Fault(text), fault) << text;  // skipped or read
    nlohmann::json expected = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
    const bool is_expected = expected.is_object();
    if (fault.find("stands twice") != std::string::npos) continue;  // which the other takes
    ASSERT_EQ(fault.empty(), is_expected) << text << ": " << fault;
    if (!is_expected) continue;
    ++num_valid;
    ReplaceNumbers(expected);
    if (found.is_null()) found = nlohmann::json::object();
    ASSERT_EQ(found, expected) << text;
  }
  EXPECT_GT(num_valid, 1000u);
}

// Blanks are passed over eight at a time: every number of them, before and behind every token.
TEST(JsonReader, TakesAnyNumberOfBlanksOfAnyKindWhereverTheyMayStand) {
  const std::vector<std::string> tokens = {"{", "\"a\"", ":", "[", "1", ",", "2.5", ",", "\"x\"", ",", "{", "\"b\"", ":", "true", "}", "]", ",",
                                           "\"c\"", ":", "null", ",", "\"d\"", ":", "-3", "}"};
  const auto read = [](const std::string& text) {
    nlohmann::json found = nlohmann::json::object();
    JsonReader(text, 422).ReadObject([&](std::string_view name, JsonValue& value) { found[std::string(name)] = Rebuild(value); });
    return found;
  };
  std::string plain;
  for (const std::string& token : tokens) plain += token;
  const nlohmann::json expected = read(plain);
  for (size_t place = 0; place <= tokens.size(); ++place)
    for (size_t count = 0; count <= 40; ++count)
      for (const std::string& blanks : {std::string(count, ' '), std::string(count, '\n'), "\n" + std::string(count, ' '), std::string(count, ' ') + "\t",
                                        "\r\n" + std::string(count, ' ') + "\n" + std::string(count, ' ')}) {
        std::string text;
        for (size_t i = 0; i < tokens.size(); ++i) text += (i == place ? blanks : "") + tokens[i];
        if (place == tokens.size()) text += blanks;
        ASSERT_EQ(Fault(text), "") << text;
        ASSERT_EQ(read(text), expected) << text;
      }
  for (int indent = 0; indent <= 20; ++indent) ASSERT_EQ(Fault(nlohmann::json::parse(plain).dump(indent)), "") << indent;
}

TEST(JsonReader, KnowsWhichNumbersAreOutOfRange) {
  const std::string zeros(400, '0');
  for (const std::string& number :
       {std::string("18446744073709551615"), std::string("-9223372036854775808"), std::string("999999999999999999"),
        std::string("1.7976931348623157e308"), std::string("-1.7976931348623157E+308"), std::string("17976931348623157e292"), std::string("1e-400"),
        std::string("0e99999999999999999999"), std::string("0.000e+999"), "0." + zeros + "1e708", "1" + zeros + "e-92", "1" + zeros + ".0e-99999999999999999999"})
    EXPECT_EQ(Fault("{\"a\":" + number + "}"), "") << number;
  for (const std::string& number :
       {std::string("18446744073709551616"), std::string("-9223372036854775809"), std::string("99999999999999999999"), "1" + zeros,
        std::string("1.7976931348623159e308"), std::string("17976931348623159e292"), std::string("1e309"), std::string("-1e309"),
        std::string("1e99999999999999999999"), "0." + zeros + "1e710", "1" + zeros + "e-91", "1" + zeros + ".0"})
    EXPECT_EQ(Fault("{\"a\":" + number + "}"), "no valid JSON at byte 5: a number that is malformed or out of range") << number;
}

TEST(JsonReader, FindsTheEndAndTheFaultsOfAStringOfAnyLength) {
  for (size_t length = 0; length < 40; ++length) {  // around the words of 8 bytes
    const std::string plain(length, 'a');
    const size_t quote = 5, behind = quote + 1 + length;
    std::string read;
    JsonReader("{\"a\":\"" + plain + "\\u00e9\x7f\xc3\xa9" + plain + "\"}", 422).ReadObject([&](std::string_view, JsonValue& value) { read = value.String(); });
    EXPECT_EQ(read, plain + "\xc3\xa9\x7f\xc3\xa9" + plain);
    const auto at = [](size_t position, const char* what) { return "no valid JSON at byte " + std::to_string(position) + ": " + what; };
    EXPECT_EQ(Fault("{\"a\":\"" + plain), at(quote, "a string without an end"));
    EXPECT_EQ(Fault("{\"a\":\"" + plain + "\\"), at(quote, "a string without an end"));
    EXPECT_EQ(Fault("{\"a\":\"" + plain + "\\\"}"), at(quote, "a string without an end"));
    EXPECT_EQ(Fault("{\"a\":\"" + plain + "\\u12"), at(quote, "a string without an end"));
    EXPECT_EQ(Fault("{\"a\":\"" + plain + "\\x\"}"), at(quote, "a string with a wrong escape"));
    EXPECT_EQ(Fault("{\"a\":\"" + plain + "\x1f\"}"), at(behind, "a control character in a string"));
    EXPECT_EQ(Fault("{\"a\":\"" + plain + std::string(1, '\0') + "\"}"), at(behind, "a control character in a string"));
    EXPECT_EQ(Fault("{\"a\":\"" + plain + "\"\n}"), "");
  }
}

TEST(JsonReader, ReadsNothingBehindAFault) {
  const auto read = [](JsonValue& value) { value.ForEachItem([](JsonValue& item) { item.String(); }); };
  EXPECT_EQ(FieldFault("{\"t\":[\"a\",0, tru", read), "t[1]: 't[1]' must be a string, is a number (byte 10)");
  EXPECT_EQ(Fault("{\"t\":[tru, \"\n"), "no valid JSON at byte 6: not what may stand here");
  EXPECT_EQ(Fault("{\"t\":[tru, \"\xff"), "no valid JSON at byte 12: bytes that are no UTF-8");
}

TEST(JsonReader, ReadsATextOfTheCallerAsOftenAsWanted) {
  const std::string text = R"({"a":1})";
  for (int i = 0; i < 2; ++i) {
    int64_t number = 0;
    JsonReader(text, 422).ReadObject([&](std::string_view, JsonValue& value) { number = value.Integer(0, 1); });
    EXPECT_EQ(number, 1);
  }
}

TEST(JsonReader, RefusesANameThatStandsTwiceAmongFewAndAmongMany) {
  for (const size_t count : {1, 2, 15, 16, 17, 18, 300}) {  // around 16, up to which they are compared one by one
    std::string names = "{\"x\":{\"n0\":0}";  // the same name in another object
    for (size_t i = 0; i < count; ++i) names += ",\"n" + std::to_string(i) + "\":{\"n0\":{}}";
    EXPECT_EQ(Fault(names + "}"), "") << count;
    for (const size_t twice : {size_t{0}, count - 1})
      EXPECT_EQ(Fault(names + ",\"n" + std::to_string(twice) + "\":0}"),
                "no valid JSON at byte " + std::to_string(names.size() + 1) + ": a name that stands twice in its object")
          << count;
  }
}

TEST(JsonReader, AppendsTheIntegersOfAList) {
  const auto append = [](const std::string& list, std::vector<int64_t>& integers, size_t& num_calls) {
    return FieldFault("{\"l\":" + list + "}", [&](JsonValue& value) {
      value.ForEachItem([&](JsonValue& item) {
        ++num_calls;
        item.AppendIntegers(-10, 999'999'999'999'999'999, integers);
      });
    });
  };
  for (const char* list : {"[]", "[7]", "[0,1,-10,999999999999999999]", "[ 1,\t2,\n 3]", "[1 ,2 , 3 ]", "[-0,0]", "[1,2 ,3,4]"}) {
    std::vector<int64_t> integers;
    size_t num_calls = 0;
    EXPECT_EQ(append(list, integers, num_calls), "") << list;
    EXPECT_EQ(nlohmann::json(integers), nlohmann::json::parse(list)) << list;
    const bool has_blanks_before_commas = std::string_view(list).find(" ,") != std::string_view::npos;
    EXPECT_TRUE(num_calls <= 1 || has_blanks_before_commas) << list;
  }
  for (const auto& [item, what] : std::vector<std::pair<std::string, std::string>>{{"-11", "-11"},
                                                                                  {"1000000000000000000", "1000000000000000000"},
                                                                                  {"18446744073709551615", "18446744073709551615"},
                                                                                  {"1.0", "no integer"},
                                                                                  {"1e0", "no integer"},
                                                                                  {"\"1\"", "a string"},
                                                                                  {"[]", "an array"}}) {
    for (const size_t before : {0, 1, 2, 5000}) {
      std::string list = "[";
      for (size_t i = 0; i < before; ++i) list += "1,";
      std::vector<int64_t> integers;
      size_t num_calls = 0;
      const std::string path = "l[" + std::to_string(before) + "]";
      EXPECT_EQ(append(list + item + ",2]", integers, num_calls), path + ": '" + path + "' must be an integer from -10 to 999999999999999999, is " +
                                                                      what + " (byte " + std::to_string(5 + list.size()) + ")");
      EXPECT_EQ(integers.size(), before);
    }
  }
  const auto fault = [](const std::string& text) {
    std::vector<int32_t> ids;
    try {
      JsonReader(text, 422).ReadObject([&](std::string_view, JsonValue& value) {
        if (value.kind() == JsonValue::Kind::kNumber) return value.AppendIntegers(0, 9, ids);
        value.ForEachItem([&](JsonValue& item) { item.AppendIntegers(0, 9, ids); });
      });
    } catch (const HttpError& error) {
      return std::string(error.what());
    }
    return std::to_string(ids.size()) + " ids";
  };
  EXPECT_EQ(fault("{\"l\":[1,2,3],\"m\":[4]}"), "4 ids");
  EXPECT_EQ(fault("{\"l\":1,\"m\":2}"), "2 ids");  // no items of a list
  EXPECT_EQ(fault("{\"l\":1,2}"), "no valid JSON at byte 7: not what may stand here");
  EXPECT_EQ(fault("{\"l\":[1,02]}"), "no valid JSON at byte 8: a number that is malformed or out of range");
  EXPECT_EQ(fault("{\"l\":[1,2,]}"), "no valid JSON at byte 10: not what may stand here");
  EXPECT_EQ(fault("{\"l\":[1,2x]}"), "no valid JSON at byte 8: a number that is malformed or out of range");
  EXPECT_EQ(fault("{\"l\":[1,2"), "no valid JSON at byte 9: it ends too early");
  EXPECT_EQ(fault("{\"l\":[1,2,"), "no valid JSON at byte 10: it ends too early");
  EXPECT_EQ(fault("{\"l\":[1,-]}"), "no valid JSON at byte 8: a number that is malformed or out of range");
  EXPECT_EQ(fault("{\"l\":[1,2}"), "no valid JSON at byte 9: not what may stand here");
}

}  // namespace
}  // namespace mlac
