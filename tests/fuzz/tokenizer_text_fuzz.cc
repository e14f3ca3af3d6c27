// Any bytes as a text for a tokenizer with added tokens of all kinds: its tokens cover the text in order, or the text is no UTF-8.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "base/utf8.h"
#include "text/tokenizer.h"

namespace {

constexpr char kTokenizer[] = R"({
  "added_tokens": [
    {"id": 1, "content": "[MASK]", "single_word": false, "lstrip": true, "rstrip": false, "normalized": false, "special": true},
    {"id": 14, "content": "[R]", "single_word": false, "lstrip": false, "rstrip": true, "normalized": false, "special": true},
    {"id": 15, "content": "word", "single_word": true, "lstrip": true, "rstrip": true, "normalized": false, "special": false},
    {"id": 16, "content": "  ", "single_word": false, "lstrip": true, "rstrip": true, "normalized": false, "special": false},
    {"id": 17, "content": "ÉB", "single_word": false, "lstrip": true, "rstrip": true, "normalized": true, "special": false},
    {"id": 18, "content": "eb c", "single_word": true, "lstrip": false, "rstrip": true, "normalized": true, "special": false}],
  "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true},
  "pre_tokenizer": {"type": "BertPreTokenizer"},
  "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
  "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 10,
    "vocab": {"[UNK]": 0, "[MASK]": 1, "a": 2, "##a": 3, "b": 4, "##b": 5, "ab": 6, "##ab": 7, ".": 8, "e": 9, "##e": 10, "i": 11, "##\u0307": 12, "##bab": 13}}
})";

void Check(bool holds) {
  if (!holds) abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mlac;
  static const Tokenizer tokenizer = Tokenizer::FromJson(kTokenizer);
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const bool valid = FindInvalidUtf8(text) == std::string::npos;
  try {
    const Encoding encoding = tokenizer.Encode(text, {.with_offsets = true});
    Check(valid && encoding.offsets.size() == encoding.token_ids.size());
    const auto is_border = [&](size_t at) { return at == size || (static_cast<unsigned char>(text[at]) & 0xC0) != 0x80; };
    size_t last_begin = 0;
    for (const TextSpan& span : encoding.offsets) {
      Check(span.begin < span.end && span.end <= size && is_border(span.begin) && is_border(span.end));
      // White space that one token stripped may be the start of the next; all else is in order.
      Check(span.begin >= last_begin || text[span.begin] == ' ');
      last_begin = span.begin;
    }
    Check(tokenizer.Encode(text).token_ids == encoding.token_ids);
    Check(FindInvalidUtf8(tokenizer.Decode(encoding.token_ids)) == std::string::npos);
  } catch (const Error& error) {
    Check(!valid && error.code() == ErrorCode::kInvalidInput);
  }
  return 0;
}
