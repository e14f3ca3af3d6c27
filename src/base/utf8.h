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
char32_t DecodeUtf8(std::string_view text, size_t& position);

void AppendUtf8(std::string& out, char32_t scalar);

}  // namespace mlac
