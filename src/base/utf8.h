#pragma once
// UTF-8: validation with the position of the fault, and decoding of text known to be valid.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace mlac {

// The byte offset of the first sequence that is no UTF-8 (overlong forms, surrogates and values above U+10FFFF included), or
// std::string_view::npos if there is none.
size_t FindInvalidUtf8(std::string_view text);

// Decodes the scalar value that starts at `position` and moves `position` behind it. text must be valid UTF-8.
inline char32_t DecodeUtf8(std::string_view text, size_t& position) {  // in line, because tokenizers call it for each letter
  const auto byte = [&](size_t i) { return static_cast<char32_t>(static_cast<unsigned char>(text[position + i])); };
  const auto six_bits = [&](size_t i) { return byte(i) & 0x3F; };
  const char32_t first = byte(0);
  char32_t scalar;
  size_t length;
  if (first < 0x80) {
    scalar = first, length = 1;
  } else if (first < 0xE0) {
    scalar = (first & 0x1F) << 6 | six_bits(1), length = 2;
  } else if (first < 0xF0) {
    scalar = (first & 0x0F) << 12 | six_bits(1) << 6 | six_bits(2), length = 3;
  } else {
    scalar = (first & 0x07) << 18 | six_bits(1) << 12 | six_bits(2) << 6 | six_bits(3), length = 4;
  }
  position += length;
  return scalar;
}

// text must be valid UTF-8.
size_t CountCodePoints(std::string_view text);

void AppendUtf8(std::string& out, char32_t scalar);

}  // namespace mlac
