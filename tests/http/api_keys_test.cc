#include "http/api_keys.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace mlac {
namespace {

std::string ParseFailure(std::string_view text) {
  try {
    ApiKeys::Parse(text, "keys.txt");
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(ApiKeys, KnowsExactlyTheKeysOfTheFile) {
  const ApiKeys keys = ApiKeys::Parse("one\r\n\n  two \nthree", "keys.txt");
  for (const char* key : {"one", "two", "three"}) EXPECT_TRUE(keys.Contains(key)) << key;
  for (const char* key : {"", "One", "on", "one ", "onetwo", "one\n", "four"}) EXPECT_FALSE(keys.Contains(key)) << key;
}

TEST(ApiKeys, RefusesAFileThatHoldsNoKeyOrABrokenOne) {
  EXPECT_EQ(ParseFailure(""), "keys.txt: holds no API key (write one key a line)");
  EXPECT_EQ(ParseFailure("\n \r\n"), "keys.txt: holds no API key (write one key a line)");
  EXPECT_EQ(ParseFailure("one\ntwo three\n"), "keys.txt: line 2: an API key is visible ASCII without blanks");
  EXPECT_EQ(ParseFailure("cl\xc3\xa9"), "keys.txt: line 1: an API key is visible ASCII without blanks");
}

TEST(ApiKeys, WithoutAFileThereIsNone) {
  EXPECT_TRUE(ApiKeys().empty());
  EXPECT_FALSE(ApiKeys().Contains(""));
}

}  // namespace
}  // namespace mlac
