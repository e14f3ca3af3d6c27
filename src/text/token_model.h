#pragma once
// Token models: a word to token ids. WordPiece is one.
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "text/pre_tokenizer.h"
#include "text/vocabulary.h"

namespace mlac {

// A token of bytes [begin, end) of the text that its word is part of.
struct TokenPiece {
  int32_t id;
  uint32_t begin, end;
};

class TokenModel {
 public:
  virtual ~TokenModel() = default;
  virtual std::string_view kind() const = 0;  // as tokenizer.json names it: "WordPiece"
  virtual const Vocabulary& vocabulary() const = 0;
  virtual int32_t unknown_id() const = 0;  // -1 if the model has no such token
  virtual bool ContinuesWord(int32_t id) const = 0;  // whether the token goes on with a word that others begin

  // Appends the tokens, or their ids alone, of words of text, which is valid UTF-8. Safe to call from several threads.
  virtual void Tokenize(std::string_view text, std::span<const Word> words, std::vector<TokenPiece>& tokens) const = 0;
  virtual void Tokenize(std::string_view text, std::span<const Word> words, std::vector<int32_t>& token_ids) const = 0;
};

}  // namespace mlac
