#include "text/wordpiece.h"

#include <fmt/format.h>

#include <utility>

#include "base/error.h"

namespace mlac {
namespace {

bool HasMoreScalarsThan(std::string_view word, size_t limit) {
  if (word.size() <= limit) return false;  // a scalar takes a byte or more
  size_t count = 0;
  for (const char c : word) count += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return count > limit;
}

}  // namespace

WordPiece::WordPiece(Vocabulary vocabulary, const WordPieceOptions& options, std::string_view where)
    : vocabulary_(std::move(vocabulary)),
      max_input_chars_per_word_(options.max_input_chars_per_word),
      unknown_id_(vocabulary_.Find(options.unk_token)),
      trie_(vocabulary_.num_bytes() / 3) {  // of BERT's vocabulary a third of the bytes are nodes
  if (unknown_id_ < 0) {
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: the unknown token {} is not among the {} tokens", where,
                                                      ShownToken(options.unk_token), vocabulary_.size()));
  }
  for (size_t i = 0; i < vocabulary_.size(); ++i) trie_.Insert(vocabulary_.token(i), vocabulary_.id(i));
  continuation_ = trie_.Walk(ByteTrie::kRoot, options.continuing_subword_prefix);
}

void WordPiece::Tokenize(std::string_view text, uint32_t begin, uint32_t end, std::vector<TokenPiece>& tokens) const {
  const std::string_view word = text.substr(begin, end - begin);
  if (HasMoreScalarsThan(word, max_input_chars_per_word_)) {
    tokens.push_back({unknown_id_, begin, end});
    return;
  }
  if (const int32_t id = vocabulary_.Find(word); id >= 0) {  // most words are one token: one look-up instead of one a byte
    tokens.push_back({id, begin, end});
    return;
  }
  const size_t num_before = tokens.size();
  for (uint32_t position = begin; position < end;) {
    const ByteTrie::Node node = position == begin ? ByteTrie::kRoot : continuation_;
    const ByteTrie::Match match = node == ByteTrie::kNone ? ByteTrie::Match() : trie_.LongestMatch(node, text.substr(position, end - position));
    if (match.value < 0) {  // no piece fits here: the whole word is unknown
      tokens.resize(num_before);
      tokens.push_back({unknown_id_, begin, end});
      return;
    }
    const auto length = static_cast<uint32_t>(match.length);
    tokens.push_back({match.value, position, position + length});
    position += length;
  }
}

}  // namespace mlac
