#include "base/error.h"

#include <array>
#include <cassert>

#include "base/utf8.h"

namespace mlac {
namespace {

// The characters that move a cursor, end a line or turn the direction of text: C0, DEL, C1, U+200E and F, U+2028 to U+202E, U+2066 to U+2069.
bool SteersTerminal(char32_t scalar) {
  return scalar < 0x20 || (scalar >= 0x7F && scalar < 0xA0) || scalar == 0x200E || scalar == 0x200F || (scalar >= 0x2028 && scalar <= 0x202E) ||
         (scalar >= 0x2066 && scalar <= 0x2069);
}

constexpr size_t kLongestQuote = 100;

}  // namespace

const ErrorKind& Kind(ErrorCode code) {
  static constexpr std::array<ErrorKind, 10> kKinds = {{
      {"invalid_argument", 1, 400},
      {"invalid_input", 1, 400},
      {"not_found", 1, 404},
      {"already_exists", 1, 409},
      {"unsupported", 1, 422},
      {"too_large", 1, 413},
      {"resource_exhausted", 1, 429},
      {"io", 1, 500},
      {"cancelled", 130, 503},
      {"internal", 1, 500},
  }};
  return kKinds[static_cast<size_t>(code)];
}

Error::Error(ErrorCode code, std::string message, std::string hint) : code_(code), message_(std::move(message)), hint_(std::move(hint)) {
  what_ = hint_.empty() ? message_ : message_ + " (" + hint_ + ")";
}

std::string Quoted(std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string quoted = "'";
  const auto escape = [&](std::string_view bytes) {
    for (const char c : bytes) {
      quoted += "\\x";
      quoted += kHex[static_cast<unsigned char>(c) >> 4];
      quoted += kHex[c & 15];
    }
  };
  for (size_t position = 0; position < text.size();) {
    if (position >= kLongestQuote) {
      quoted += "...";
      break;
    }
    if (FindInvalidUtf8(text.substr(position, 4)) == 0) {  // 4: the longest sequence; one that begins later is looked at in its turn
      escape(text.substr(position++, 1));
      continue;
    }
    size_t end = position;
    const char32_t scalar = DecodeUtf8(text, end);
    const std::string_view bytes = text.substr(position, end - position);
    if (SteersTerminal(scalar)) {
      escape(bytes);
    } else {
      quoted += bytes;
    }
    position = end;
  }
  return quoted + "'";
}

}  // namespace mlac
