#include "base/utf8.h"

#include <cstring>

namespace mlac {
namespace {

// Length of the valid sequence at the start of text, 0 if there is none. Ranges: The Unicode Standard 15.0, table 3-7.
size_t SequenceLength(std::string_view text) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const auto in = [](unsigned value, unsigned low, unsigned high) { return value >= low && value <= high; };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (in(first, 0xC2, 0xDF)) return in(byte(1), 0x80, 0xBF) ? 2 : 0;
  if (in(first, 0xE0, 0xEF)) {
    const unsigned low = first == 0xE0 ? 0xA0 : 0x80, high = first == 0xED ? 0x9F : 0xBF;
    return in(byte(1), low, high) && in(byte(2), 0x80, 0xBF) ? 3 : 0;
  }
  if (in(first, 0xF0, 0xF4)) {
    const unsigned low = first == 0xF0 ? 0x90 : 0x80, high = first == 0xF4 ? 0x8F : 0xBF;
    return in(byte(1), low, high) && in(byte(2), 0x80, 0xBF) && in(byte(3), 0x80, 0xBF) ? 4 : 0;
  }
  return 0;
}

}  // namespace

size_t FindInvalidUtf8(std::string_view text) {
  for (size_t position = 0; position < text.size();) {
    if (uint64_t word; text.size() - position >= sizeof word) {  // ASCII by eight
      std::memcpy(&word, text.data() + position, sizeof word);
      if ((word & 0x8080808080808080) == 0) {
        position += sizeof word;
        continue;
      }
    }
    const size_t length = SequenceLength(text.substr(position, 4));
    if (length == 0) return position;
    position += length;
  }
  return std::string_view::npos;
}

size_t CountCodePoints(std::string_view text) {
  size_t count = 0;
  for (const char c : text) count += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return count;
}

void AppendUtf8(std::string& out, char32_t scalar) {
  const auto byte = [](char32_t bits) { return static_cast<char>(bits); };
  const auto six_bits = [](char32_t bits) { return static_cast<char>(0x80 | (bits & 0x3F)); };
  if (scalar < 0x80) {
    out += byte(scalar);
  } else if (scalar < 0x800) {
    const char bytes[] = {byte(0xC0 | scalar >> 6), six_bits(scalar)};
    out.append(bytes, sizeof(bytes));
  } else if (scalar < 0x10000) {
    const char bytes[] = {byte(0xE0 | scalar >> 12), six_bits(scalar >> 6), six_bits(scalar)};
    out.append(bytes, sizeof(bytes));
  } else {
    const char bytes[] = {byte(0xF0 | scalar >> 18), six_bits(scalar >> 12), six_bits(scalar >> 6), six_bits(scalar)};
    out.append(bytes, sizeof(bytes));
  }
}

}  // namespace mlac
