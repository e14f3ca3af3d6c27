#pragma once
// What BertPreTokenizer and WordPiece give, by their definitions alone: a scalar at a time, a vocabulary look-up a prefix. Slow.
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "base/utf8.h"
#include "text/token_model.h"
#include "text/unicode.h"
#include "text/wordpiece.h"

namespace mlac {

inline std::vector<Word> ReferenceWords(std::string_view text) {
  std::vector<Word> words;
  bool inside = false;
  for (size_t position = 0; position < text.size();) {
    const auto begin = static_cast<uint32_t>(position);
    const uint8_t flags = PropertiesOf(DecodeUtf8(text, position)).flags;
    const auto end = static_cast<uint32_t>(position);
    const bool alone = flags & kPunctuation && !(flags & kWhiteSpace), was_inside = inside;
    inside = !alone && !(flags & kWhiteSpace);
    if (inside && was_inside) {
      words.back().end = end;
    } else if (inside || alone) {
      words.push_back({begin, end});
    }
  }
  return words;
}

// Appends the tokens of one word: the longest piece first, then the longest that continues it, and so on.
inline void ReferenceTokens(const Vocabulary& vocabulary, const WordPieceOptions& options, std::string_view text, const Word& word,
                            std::vector<TokenPiece>& tokens) {
  const int32_t unknown = vocabulary.Find(options.unk_token);
  const auto is_start = [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; };
  const std::string_view bytes = text.substr(word.begin, word.end - word.begin);
  std::vector<TokenPiece> pieces;
  bool is_known = static_cast<size_t>(std::count_if(bytes.begin(), bytes.end(), is_start)) <= options.max_input_chars_per_word;
  for (uint32_t begin = word.begin; is_known && begin < word.end;) {
    const std::string prefix = begin == word.begin ? "" : options.continuing_subword_prefix;
    uint32_t end = word.end;
    int32_t id = -1;
    for (; end > begin && id < 0; --end) id = vocabulary.Find(prefix + std::string(text.substr(begin, end - begin)));
    is_known = id >= 0;
    pieces.push_back({id, begin, end + 1});
    begin = end + 1;
  }
  if (!is_known) pieces = {{unknown, word.begin, word.end}};
  tokens.insert(tokens.end(), pieces.begin(), pieces.end());
}

}  // namespace mlac
