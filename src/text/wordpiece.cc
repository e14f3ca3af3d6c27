#include "text/wordpiece.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.h"
#include "base/utf8.h"

namespace mlac {
namespace {

bool HasMoreScalarsThan(std::string_view word, size_t limit) { return word.size() > limit && CountCodePoints(word) > limit; }  // a scalar has a byte or more

void Append(int32_t id, size_t, size_t, std::vector<int32_t>& ids) { ids.push_back(id); }
void Append(int32_t id, size_t begin, size_t end, std::vector<TokenPiece>& tokens) {
  tokens.push_back({id, static_cast<uint32_t>(begin), static_cast<uint32_t>(end)});
}

}  // namespace

WordPiece::WordPiece(Vocabulary vocabulary, const WordPieceOptions& options, std::string_view where)
    : vocabulary_(std::move(vocabulary)),
      continuing_subword_prefix_(options.continuing_subword_prefix),
      max_input_chars_per_word_(options.max_input_chars_per_word),
      unknown_id_(vocabulary_.Find(options.unk_token)),
      pieces_(vocabulary_, options.continuing_subword_prefix) {
  if (unknown_id_ < 0) {
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: the unknown token {} is not among the {} tokens", where,
                                                      ShownToken(options.unk_token), vocabulary_.size()));
  }
}

bool WordPiece::ContinuesWord(int32_t id) const {
  return !continuing_subword_prefix_.empty() && vocabulary_.TokenOf(id).starts_with(continuing_subword_prefix_);
}

void WordPiece::Tokenize(std::string_view text, std::span<const Word> words, std::vector<TokenPiece>& tokens) const {
  TokenizeInto(text, words, tokens);
}

void WordPiece::Tokenize(std::string_view text, std::span<const Word> words, std::vector<int32_t>& token_ids) const {
  TokenizeInto(text, words, token_ids);
}

// Most words are one token. They are looked up first, many in a row, so that the processor waits for the memory of several at once;
// then the others are cut.
template <typename Token>
void WordPiece::TokenizeInto(std::string_view text, std::span<const Word> words, std::vector<Token>& tokens) const {
  std::array<int32_t, 64> whole;  // the id of each word that is one token, else -1
  while (!words.empty()) {
    const std::span<const Word> some = words.first(std::min(words.size(), whole.size()));
    words = words.subspan(some.size());
    for (size_t i = 0; i < some.size(); ++i) {
      const size_t num_bytes = some[i].end - some[i].begin;
      const bool can_be_whole = num_bytes <= PieceTable::kMaxShort && num_bytes <= max_input_chars_per_word_;
      whole[i] = can_be_whole ? pieces_.FindWord(text, some[i].begin, some[i].end) : -1;
    }
    for (size_t i = 0; i < some.size(); ++i) {
      if (whole[i] >= 0) {
        Append(whole[i], some[i].begin, some[i].end, tokens);
      } else {
        Cut(text, some[i], tokens);
      }
    }
  }
}

template <typename Token>
void WordPiece::Cut(std::string_view text, const Word& word, std::vector<Token>& tokens) const {
  if (HasMoreScalarsThan(text.substr(word.begin, word.end - word.begin), max_input_chars_per_word_))
    return Append(unknown_id_, word.begin, word.end, tokens);
  const size_t num_before = tokens.size();
  PieceTable::Kind kind = PieceTable::kBegins;
  for (size_t position = word.begin; position < word.end; kind = PieceTable::kContinues) {
    const PieceTable::Match match = pieces_.LongestMatch(kind, text, position, word.end);
    if (match.id < 0) {  // no piece fits here: the whole word is unknown
      tokens.resize(num_before);
      return Append(unknown_id_, word.begin, word.end, tokens);
    }
    Append(match.id, position, position + match.length, tokens);
    position += match.length;
  }
}

}  // namespace mlac
