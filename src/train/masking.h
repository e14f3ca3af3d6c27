#pragma once
// Which tokens of a text a masked language model is to guess, and what it sees in their place: Devlin et al. 2018, section 3.1 and appendix
// A.1, https://arxiv.org/abs/1810.04805.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/random.h"
#include "tensor/token_batch.h"
#include "text/tokenizer.h"

namespace mlac {

struct MaskingOptions {
  double probability = 0.15;  // the share of tokens to guess
  bool whole_words = false;   // all pieces of a word are guessed or none
  bool line_by_line = false;  // texts are not joined to blocks
};

// A token to guess: where it stands, and which it is.
struct MaskedToken {
  size_t place = 0;
  int32_t token_id = 0;
  bool operator==(const MaskedToken&) const = default;
};

class TokenMasker {
 public:
  // Throws kUnsupported for a tokenizer without a mask token, kInvalidArgument for a probability that is not between 0 and 1.
  TokenMasker(const Tokenizer& tokenizer, double probability, bool whole_words);

  // Draws the tokens to guess, rising by place: round(probability * tokens), at least one where there is one that is not special or
  // unknown; of whole words as many as fit into that, at least one word. Of those, 80 % become the mask token, 10 % some other token, 10 %
  // stay. Depends on ids and random alone.
  std::vector<MaskedToken> Mask(std::span<int32_t> token_ids, Random random) const;

 private:
  bool CanBeGuessed(int32_t token_id) const;

  const Tokenizer& tokenizer_;
  double probability_;
  bool whole_words_;
  std::vector<int32_t> replacements_;  // the tokens that may stand in another's place
};

// The draw of an example in a step of training, which depends on nothing else; and the one that it is measured with, the same for every
// seed.
Random MaskingDraw(uint64_t seed, size_t step, size_t example);
Random MeasuringDraw(size_t example);

// Texts as the sequences to learn from.
struct TextBlocks {
  TokenBatch tokens;
  std::vector<size_t> texts;  // of each block: the text that it begins with

  size_t size() const { return texts.size(); }
};

// Texts one after another, with what ends a sequence ([SEP]) between them, cut to blocks of max_length tokens, each begun and ended as a
// sequence is; the last one may be shorter. line_by_line: each text by itself, in as many blocks as it needs. No token is left out. A text
// without tokens gives none. Throws kInvalidArgument if max_length leaves no room for tokens of a text.
TextBlocks JoinTexts(const Tokenizer& tokenizer, std::span<const std::string> texts, size_t max_length, bool line_by_line);

}  // namespace mlac
