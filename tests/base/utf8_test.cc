#include "base/utf8.h"

#include <gtest/gtest.h>

namespace mlac {
namespace {

constexpr size_t kValid = std::string_view::npos;

bool IsScalarValue(char32_t value) { return value <= 0x10FFFF && (value < 0xD800 || value > 0xDFFF); }

TEST(Utf8, EveryScalarValueIsValidAndSurvivesTheRoundTrip) {
  for (char32_t value = 0; value <= 0x10FFFF; ++value) {
    if (!IsScalarValue(value)) continue;
    std::string text;
    AppendUtf8(text, value);
    ASSERT_EQ(text.size(), value < 0x80 ? 1u : value < 0x800 ? 2u : value < 0x10000 ? 3u : 4u) << static_cast<uint32_t>(value);
    ASSERT_EQ(FindInvalidUtf8(text), kValid) << static_cast<uint32_t>(value);
    size_t position = 0;
    ASSERT_EQ(DecodeUtf8(text, position), value);
    ASSERT_EQ(position, text.size());
  }
}

TEST(Utf8, FindsTheFirstFaultAtAnyPlace) {
  for (size_t before = 0; before < 20; ++before)  // around the words of 8 bytes
    for (size_t behind = 0; behind < 20; ++behind) {
      const std::string text = std::string(before, 'a') + "\xc3\xa9" + std::string(behind, '~');
      EXPECT_EQ(FindInvalidUtf8(text), kValid);
      EXPECT_EQ(FindInvalidUtf8(text + "\x80" + text), text.size());
      EXPECT_EQ(FindInvalidUtf8(text + "\xc3"), text.size());
    }
}

TEST(Utf8, AcceptsExactlyTheEncodingsOfScalarValues) {
  // All sequences of 3 bytes and, at the edges of their ranges, of 4: valid if decoding as table 3-6 of the standard says gives a scalar
  // value that needs that many bytes.
  const auto is_valid = [](const std::string& text) {
    for (size_t position = 0; position < text.size();) {
      const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[position + i]); };
      const size_t length = byte(0) < 0x80 ? 1 : byte(0) >> 5 == 6 ? 2 : byte(0) >> 4 == 14 ? 3 : byte(0) >> 3 == 30 ? 4 : 0;
      if (length == 0 || position + length > text.size()) return false;
      char32_t value = length == 1 ? byte(0) : byte(0) & (0x7F >> length);
      for (size_t i = 1; i < length; ++i) {
        if (byte(i) >> 6 != 2) return false;
        value = value << 6 | (byte(i) & 63);
      }
      std::string shortest;
      if (!IsScalarValue(value)) return false;
      AppendUtf8(shortest, value);
      if (shortest.size() != length) return false;
      position += length;
    }
    return true;
  };
  const auto check = [&](const std::string& text) { ASSERT_EQ(FindInvalidUtf8(text) == kValid, is_valid(text)) << testing::PrintToString(text); };
  const unsigned char edges[] = {0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xED, 0xEF, 0xF0, 0xF1, 0xF4, 0xF5, 0xFF};
  const auto character = [](unsigned value) { return static_cast<char>(value); };
  for (unsigned first = 0; first < 256; ++first)
    for (unsigned second = 0; second < 256; ++second)
      for (const unsigned char third : edges) {
        check({character(first), character(second), character(third)});
        for (const unsigned char fourth : edges) check({character(first), character(second), character(third), character(fourth)});
      }
}

TEST(Utf8, GivesThePositionOfTheFirstFault) {
  EXPECT_EQ(FindInvalidUtf8(""), kValid);
  EXPECT_EQ(FindInvalidUtf8("größe"), kValid);
  EXPECT_EQ(FindInvalidUtf8("a\xff"), 1u);
  EXPECT_EQ(FindInvalidUtf8("ä\x80ö\xff"), 2u);
  EXPECT_EQ(FindInvalidUtf8("ab\xe2\x82"), 2u);         // cut short at the end
  EXPECT_EQ(FindInvalidUtf8("ab\xe2\x82!"), 2u);        // and in the middle: the sequence's first byte
  EXPECT_EQ(FindInvalidUtf8("\xc0\x80"), 0u);           // NUL in two bytes
  EXPECT_EQ(FindInvalidUtf8("x\xed\xa0\x80"), 1u);      // a surrogate
  EXPECT_EQ(FindInvalidUtf8("x\xf4\x90\x80\x80"), 1u);  // above U+10FFFF
  EXPECT_EQ(FindInvalidUtf8(std::string_view("a\0b", 3)), kValid);
}

}  // namespace
}  // namespace mlac
