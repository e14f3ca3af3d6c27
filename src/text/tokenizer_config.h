#pragma once
// The small files beside a tokenizer: tokenizer_config.json and special_tokens_map.json, as transformers 4 and 5 write them.
#include <optional>
#include <string>
#include <vector>

#include "text/added_tokens.h"

namespace mlac {

struct TokenizerConfig {
  std::string tokenizer_class;  // "" if not said
  std::optional<bool> do_lower_case, tokenize_chinese_chars;
  std::optional<std::optional<bool>> strip_accents;  // the outer: whether it is said; the inner: null
  bool clean_up_tokenization_spaces = false;
  // Contents; "" if said to be null; the names of BERT if not said.
  std::string cls_token = "[CLS]", sep_token = "[SEP]", pad_token = "[PAD]", mask_token = "[MASK]", unk_token = "[UNK]";
  std::vector<AddedToken> added_tokens;  // of added_tokens_decoder, in the order of their ids, and of additional_special_tokens
};

// Reads what is there of the two files; a folder without them gives the defaults. Throws kInvalidInput with file and field.
TokenizerConfig ReadTokenizerConfig(const std::string& folder);

}  // namespace mlac
