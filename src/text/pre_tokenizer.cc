#include "text/pre_tokenizer.h"

#include "base/utf8.h"
#include "text/unicode.h"

namespace mlac {
namespace {

constexpr uint8_t kInside = 0, kSpace = 1, kAlone = 2, kNotAscii = 3;

uint8_t ClassOf(char32_t scalar) {
  const uint8_t flags = PropertiesOf(scalar).flags;
  return flags & kWhiteSpace ? kSpace : flags & kPunctuation ? kAlone : kInside;
}

}  // namespace

BertPreTokenizer::BertPreTokenizer() {
  for (size_t byte = 0; byte < classes_.size(); ++byte) classes_[byte] = byte < 0x80 ? ClassOf(static_cast<char32_t>(byte)) : kNotAscii;
}

bool BertPreTokenizer::MayPartBefore(char c) const { return classes_[static_cast<unsigned char>(c)] != kInside; }

size_t BertPreTokenizer::NextWords(std::string_view text, size_t& position, std::span<Word> words) const {
  size_t count = 0, begin = position;  // begin: of the word that is being read
  const auto put = [&](size_t from, size_t to) { words[count++] = {static_cast<uint32_t>(from), static_cast<uint32_t>(to)}; };
  // A step puts at most two words: the one that ends and a punctuation mark.
  while (position < text.size() && count + 2 <= words.size()) {
    const size_t at = position;
    uint8_t kind = classes_[static_cast<unsigned char>(text[position])];
    if (kind == kNotAscii) {
      kind = ClassOf(DecodeUtf8(text, position));
    } else {
      ++position;
    }
    if (kind == kInside) continue;
    if (begin < at) put(begin, at);
    if (kind == kAlone) put(at, position);
    begin = position;
  }
  if (position == text.size() && begin < position) {
    put(begin, position);  // there is room: only a step that ends a word takes some
  } else {
    position = begin;
  }
  return count;
}

}  // namespace mlac
