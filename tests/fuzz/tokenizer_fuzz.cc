// Any bytes as a tokenizer.json (if they start with '{') up to the first NUL, and any bytes behind it as a text; or as a vocab.txt, and behind it
// the class of tokenizer_config.json: a tokenizer whose answers fit together, or an Error of one line.
// Reader: src/text/tokenizer_json.cc src/text/vocab_txt.cc src/text/vocabulary.cc
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/error.h"
#include "text/tokenizer.h"
#include "text/tokenizer_parts.h"

namespace {

void Check(bool holds) {
  if (!holds) abort();
}

void CheckEncoding(const mlac::Tokenizer& tokenizer, const mlac::Encoding& encoding, std::string_view text) {
  const size_t count = encoding.token_ids.size();
  Check(encoding.token_type_ids.size() == count && encoding.special_tokens_mask.size() == count && encoding.sequence_ids.size() == count);
  Check(encoding.offsets.size() == count);
  for (const int32_t id : encoding.token_ids) Check(id >= 0 && id <= tokenizer.largest_id());
  for (const mlac::TextSpan& span : encoding.offsets) Check(span.begin <= span.end && span.end <= text.size());
  for (const mlac::TextSpan& span : mlac::CodePointOffsets(encoding, text, text)) Check(span.begin <= span.end && span.end <= text.size());
}

void Fuzz(std::string_view file, std::string_view text) {
  using namespace mlac;
  if (!file.starts_with('{')) {
    TokenizerConfig config;
    config.tokenizer_class = text;
    const TokenizerParts parts = ParseVocabTxt(std::string(file), "fuzz", config);
    const Vocabulary& vocabulary = parts.model->vocabulary();
    Check(vocabulary.Find(config.cls_token) >= 0 && vocabulary.TokenOf(vocabulary.Find(config.cls_token)) == config.cls_token);
    return;
  }
  const Tokenizer tokenizer = Tokenizer::FromJson(std::string(file), "fuzz");
  const Encoding encoding = tokenizer.Encode(text, {.with_offsets = true});
  CheckEncoding(tokenizer, encoding, text);
  Check(tokenizer.Encode(text).token_ids == encoding.token_ids);
  tokenizer.Decode(encoding.token_ids, /*skip_special_tokens=*/false);
  const Encoding cut = tokenizer.EncodePair(text, text, {.with_offsets = true, .max_length = 9, .truncate = true});
  CheckEncoding(tokenizer, cut, text);
  Check(cut.token_ids.size() <= 9 && cut.truncated == (cut.num_tokens_before_truncation > 9));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t nul = std::min(input.find('\0'), size);
  try {
    Fuzz(input.substr(0, nul), input.substr(std::min(nul + 1, size)));
  } catch (const mlac::Error& error) {
    Check(error.code() != mlac::ErrorCode::kInternal && error.message().find('\n') == std::string::npos);
  }
  return 0;
}
