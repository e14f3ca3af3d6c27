#pragma once
// WordPiece: a word is cut, from its start on, into the longest pieces that are in the vocabulary.
// Wu et al. 2016, section 4.1, https://arxiv.org/abs/1609.08144; the greedy search of BERT.
#include <string>

#include "text/piece_table.h"
#include "text/token_model.h"

namespace mlac {

struct WordPieceOptions {
  std::string unk_token = "[UNK]";
  std::string continuing_subword_prefix = "##";
  size_t max_input_chars_per_word = 100;  // a longer word is unknown as a whole
};

class WordPiece final : public TokenModel {
 public:
  // where: the file and field of the vocabulary, for messages. Throws kInvalidInput if it lacks unk_token.
  WordPiece(Vocabulary vocabulary, const WordPieceOptions& options, std::string_view where);

  std::string_view kind() const override { return "WordPiece"; }
  const Vocabulary& vocabulary() const override { return vocabulary_; }
  int32_t unknown_id() const override { return unknown_id_; }
  bool ContinuesWord(int32_t id) const override;
  void Tokenize(std::string_view text, std::span<const Word> words, std::vector<TokenPiece>& tokens) const override;
  void Tokenize(std::string_view text, std::span<const Word> words, std::vector<int32_t>& token_ids) const override;

 private:
  // Token: TokenPiece or int32_t.
  template <typename Token>
  void TokenizeInto(std::string_view text, std::span<const Word> words, std::vector<Token>& tokens) const;
  template <typename Token>
  void Cut(std::string_view text, const Word& word, std::vector<Token>& tokens) const;

  Vocabulary vocabulary_;
  std::string continuing_subword_prefix_;
  size_t max_input_chars_per_word_;
  int32_t unknown_id_;
  PieceTable pieces_;
};

}  // namespace mlac
