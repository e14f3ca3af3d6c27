#include "hub/manifest.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/random.h"
#include "base/sha256.h"
#include "tests/support/test_support.h"

namespace mlac {
namespace {

using test::ExpectError;

const std::string kHash(64, 'a'), kOtherHash(64, 'b');

TEST(Manifest, RevisionIsTheBeginningOfTheHashOfItsSortedText) {
  const std::vector<ManifestEntry> entries = {{"b/c", 10, kHash}, {"a", 0, kOtherHash}, {"b.txt", 3, kHash}};
  const Manifest manifest(entries);
  EXPECT_EQ(manifest.Text(), kOtherHash + " 0 a\n" + kHash + " 3 b.txt\n" + kHash + " 10 b/c\n");
  Sha256 hash;
  hash.Add(manifest.Text());
  EXPECT_EQ(manifest.Revision(), hash.Finish().substr(0, 40));
  EXPECT_EQ(manifest.num_bytes(), 13u);

  std::vector<ManifestEntry> shuffled = entries;
  Random random(1);
  for (int attempt = 0; attempt < 10; ++attempt) {
    Shuffle(std::span(shuffled), random);
    EXPECT_EQ(Manifest(shuffled), manifest);
  }
  EXPECT_EQ(Manifest::Parse(manifest.Text(), "m"), manifest);
  EXPECT_EQ(manifest.Find("b/c")->size, 10u);
  EXPECT_EQ(manifest.Find("b"), nullptr);
}

TEST(Manifest, EveryChangeOfAFileIsAnotherRevision) {
  const Manifest manifest({{"a", 1, kHash}, {"b", 1, kHash}});
  for (const Manifest& other : {Manifest({{"a", 2, kHash}, {"b", 1, kHash}}), Manifest({{"a", 1, kOtherHash}, {"b", 1, kHash}}),
                                Manifest({{"a", 1, kHash}, {"c", 1, kHash}}), Manifest({{"a", 1, kHash}})})
    EXPECT_NE(other.Revision(), manifest.Revision());
}

TEST(Manifest, ParsesNothingThatItWouldNotWrite) {
  const auto refuse = [](const std::string& text, const std::string& message) {
    ExpectError(ErrorCode::kInvalidInput, message, [&] { Manifest::Parse(text, "m"); });
  };
  const std::string expected = ": expected 'SHA256 SIZE PATH'";
  refuse("", "m: holds no file");
  refuse("\n", "m: line 1" + expected);
  refuse(kHash + " 1 a", "m: line 1" + expected);
  refuse(kHash + " 1 a\n" + kHash + " 1\n", "m: line 2" + expected);
  refuse(kHash + "  1 a\n", "m: line 1" + expected);
  refuse(kHash + " 01 a\n", "m: line 1" + expected);
  refuse(kHash + " -1 a\n", "m: line 1" + expected);
  refuse(kHash + " 1x a\n", "m: line 1" + expected);
  refuse(kHash + " 18446744073709551616 a\n", "m: line 1" + expected);
  refuse(kHash.substr(1) + " 1 a\n", "m: line 1" + expected);
  refuse("A" + kHash.substr(1) + " 1 a\n", "m: line 1" + expected);
  refuse(kHash + " 1 b\n" + kHash + " 1 a\n", "m: line 2: expected paths in the order of their bytes");
  refuse(kHash + " 1 a\n" + kHash + " 1 a\n", "m: line 2: expected paths in the order of their bytes");
  refuse(kHash + " 1 a\n" + kHash + " 1 a/b\n", "m: the file name 'a/b' lies in another file");
  EXPECT_EQ(Manifest::Parse(kHash + " 18446744073709551615 a b  c\n", "m").entries().front().path, "a b  c");
}

TEST(Manifest, TakesNoPathThatCouldLeadOutOfItsFolder) {
  const std::string long_path(4097, 'p');
  for (const auto& [path, why] : std::vector<std::pair<std::string, std::string>>{
           {"", "is empty"},
           {"/", "is absolute; expected one inside the folder"},
           {"/etc/passwd", "is absolute; expected one inside the folder"},
           {"//a", "is absolute; expected one inside the folder"},
           {"..", "has a part that is empty, '.' or '..'"},
           {".", "has a part that is empty, '.' or '..'"},
           {"../a", "has a part that is empty, '.' or '..'"},
           {"a/..", "has a part that is empty, '.' or '..'"},
           {"a/../b", "has a part that is empty, '.' or '..'"},
           {"a/./b", "has a part that is empty, '.' or '..'"},
           {"a//b", "has a part that is empty, '.' or '..'"},
           {"a/", "has a part that is empty, '.' or '..'"},
           {"..\\a", "holds a backslash or a control character"},
           {"a\\..\\b", "holds a backslash or a control character"},
           {"a\n", "holds a backslash or a control character"},
           {std::string("a\0b", 3), "holds a backslash or a control character"},
           {"a\x7f", "holds a backslash or a control character"},
           {"\xc0\xae\xc0\xae/a", "is no UTF-8"},
           {"a\xff", "is no UTF-8"},
           {"\xed\xa0\x80", "is no UTF-8"},
       }) {
    try {
      Manifest({{path, 0, kHash}}, "m");
      ADD_FAILURE() << path << " was taken";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidInput);
      EXPECT_TRUE(error.message().starts_with("m: the file name '")) << error.message();
      EXPECT_TRUE(error.message().ends_with("' " + why)) << error.message();
    }
  }
  EXPECT_THROW(Manifest({{long_path, 0, kHash}}), Error);
  EXPECT_NO_THROW(Manifest({{long_path.substr(1), 0, kHash}}));
  for (const std::string path : {"...", "..a", "a..", ".hidden", "%2e%2e", "%252e%252e%252f", "a b", "日本/naïve", "-rf"}) EXPECT_NO_THROW(Manifest({{path, 0, kHash}}));
}

TEST(Manifest, ARevisionIsFortyDigitsOfSmallHexadecimal) {
  EXPECT_TRUE(IsRevision(std::string(40, 'f')));
  for (const std::string& text : {std::string(39, 'f'), std::string(41, 'f'), std::string(40, 'F'), std::string(39, 'f') + "g", std::string("../") + std::string(37, 'f')})
    EXPECT_FALSE(IsRevision(text)) << text;
}

}  // namespace
}  // namespace mlac
