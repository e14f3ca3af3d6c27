#pragma once
// How many tokens of a text a model takes.
#include <cstddef>
#include <optional>
#include <string>

namespace mlac {

struct LengthLimit {
  size_t num_tokens;   // special tokens included; 0: no limit
  std::string source;  // what set it, for messages: "--max-length", "sentence_bert_config.json", "tokenizer_config.json", "config.json"
};

// The limit of the model in folder: `requested` (--max-length) if given, else max_seq_length of sentence_bert_config.json, else
// model_max_length of tokenizer_config.json, where 1e9 and more mean none; never above max_position_embeddings (of config.json; 0: the
// model has no positions to run out of). Throws kInvalidArgument if requested is 0 or above max_position_embeddings, kInvalidInput for
// a file whose field is no positive number.
LengthLimit FindLengthLimit(const std::string& folder, std::optional<size_t> requested, size_t max_position_embeddings);

class Tokenizer;
// Throws kInvalidArgument for a --max-length within which nothing of a text has room beside the special tokens around it.
void CheckHoldsText(const Tokenizer& tokenizer, std::optional<size_t> requested);

}  // namespace mlac
