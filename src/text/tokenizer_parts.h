#pragma once
// A tokenizer's parts, and the two kinds of files that they are read from.
#include <memory>
#include <string>

#include "text/added_tokens.h"
#include "text/decoder.h"
#include "text/normalizer.h"
#include "text/post_processor.h"
#include "text/pre_tokenizer.h"
#include "text/token_model.h"
#include "text/tokenizer_config.h"

namespace mlac {

struct TokenizerParts {
  std::unique_ptr<Normalizer> normalizer;       // null: the text as it is
  std::unique_ptr<PreTokenizer> pre_tokenizer;  // null: the whole text is one word
  std::unique_ptr<TokenModel> model;
  std::unique_ptr<AddedTokens> added_tokens;
  PostProcessor post_processor;
  std::unique_ptr<Decoder> decoder;
};

// Reads a tokenizer.json. Its `truncation` and `padding` are ignored. config: do_lower_case, strip_accents and
// tokenize_chinese_chars, where tokenizer_config.json says them, go before a BertNormalizer's own, as in transformers. where: the
// file, for messages. Throws kInvalidInput, or kUnsupported for a type of part that mlac does not have.
TokenizerParts ParseTokenizerJson(std::string text, const std::string& where, const TokenizerConfig& config);

// Builds BERT's tokenizer from a vocab.txt, one token a line, as transformers does for a folder without tokenizer.json.
TokenizerParts ParseVocabTxt(const std::string& text, const std::string& where, const TokenizerConfig& config);

}  // namespace mlac
