#include "base/display.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace mlac {
namespace {

TEST(DisplayWidth, CountsColumnsAndNotBytes) {
  EXPECT_EQ(DisplayWidth(""), 0u);
  EXPECT_EQ(DisplayWidth("naïve"), 5u);
  EXPECT_EQ(DisplayWidth("e\u0301"), 1u);  // a combining accent
  EXPECT_EQ(DisplayWidth("日本"), 4u);
  EXPECT_EQ(DisplayWidth("한글"), 4u);
  EXPECT_EQ(DisplayWidth("😀"), 2u);
  EXPECT_EQ(DisplayWidth("a\u200Db"), 2u);  // a joiner
  EXPECT_EQ(DisplayWidth("\u00AD"), 1u);    // the soft hyphen is shown
}

TEST(Printable, ShowsWhatATerminalWouldObey) {
  EXPECT_EQ(Printable("a\nb\r\tc"), "a\\nb\\r\\tc");
  EXPECT_EQ(Printable("\x1b[31mred"), "\\x1b[31mred");
  EXPECT_EQ(Printable(std::string_view("\0", 1)), "\\x00");
  EXPECT_EQ(Printable("\u009b"), "\\x9b");  // the one-character CSI
  EXPECT_EQ(Printable("a\u202Eb\u2028"), "a\\u202eb\\u2028");
  EXPECT_EQ(Printable("caf\xE9!"), "caf\\xe9!");
  EXPECT_EQ(Printable("日本 naïve"), "日本 naïve");
}

TEST(Printable, CutsToAWidthAndSaysSo) {
  EXPECT_EQ(Printable("abcd", 4), "abcd");
  EXPECT_EQ(Printable("abcde", 4), "abc…");
  EXPECT_EQ(Printable("日本語", 6), "日本語");
  EXPECT_EQ(Printable("日本語", 5), "日本…");
  EXPECT_EQ(Printable("日本語", 4), "日…");  // half a character is not shown
  EXPECT_EQ(Printable("ab\n", 4), "ab\\n");
  EXPECT_EQ(Printable("abc\n", 4), "abc…");
}

TEST(Quoted, ShowsAStrangersNameInOneBoundedLine) {
  EXPECT_EQ(Quoted(""), "''");
  EXPECT_EQ(Quoted("größe 重み"), "'größe 重み'");
  EXPECT_EQ(Quoted("a\n\xff"), "'a\\n\\xff'");
  EXPECT_EQ(Quoted(std::string(100, 'x')), fmt::format("'{:x<100}'", ""));
  EXPECT_EQ(Quoted(std::string(101, 'x')), fmt::format("'{:x<99}…'", ""));
  std::string marks;
  for (int i = 0; i < 1000; ++i) marks += "\u0301";
  EXPECT_EQ(Quoted(marks), fmt::format("'{}…'", marks.substr(0, 400)));
}

TEST(PadRight, FillsUpToColumns) {
  EXPECT_EQ(PadRight("日", 4), "日  ");
  EXPECT_EQ(PadRight("abcd", 3), "abcd");
}

}  // namespace
}  // namespace mlac
