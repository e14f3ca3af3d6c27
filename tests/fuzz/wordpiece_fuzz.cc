// Any bytes as a text: BertPreTokenizer and WordPiece, which work on blocks of bytes and on tables, give what their definitions give,
// and a tokenizer the same ids with and without offsets.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/utf8.h"
#include "tests/text/words_reference.h"
#include "text/tokenizer.h"

namespace {

using namespace mlac;

constexpr char kTokenizer[] = R"({
  "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true},
  "pre_tokenizer": {"type": "BertPreTokenizer"},
  "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 60,
    "vocab": {"[UNK]": 0, "a": 1, "b": 2, "##a": 3, "##b": 4, "ab": 5, "abab": 6, "##bab": 7, "##ababababababab": 8,
              "##abababababababab": 9, "aaaaaaaaaaaaaaaaa": 10, ".": 11, "\u0436": 12, "##\u0436": 13, "##\u0436\u0436\u0436a": 14}}
})";

constexpr std::string_view kTokens[] = {"[UNK]",
                                        "##",
                                        "#",
                                        "a",
                                        "b",
                                        "##a",
                                        "##b",
                                        "ab",
                                        "abab",
                                        "##bab",
                                        "##ababababababab",    // 14 bytes
                                        "##abababababababab",  // 16
                                        "##ababababababababa",
                                        "aaaaaaaaaaaaaaaa",
                                        "aaaaaaaaaaaaaaaaaaaa",
                                        ".",
                                        "\u0436",
                                        "##\u0436",
                                        "##\u0436\u0436\u0436a"};

Vocabulary MakeVocabulary() {
  std::vector<VocabularyEntry> entries;
  for (const std::string_view token : kTokens) entries.push_back({token, static_cast<int64_t>(entries.size())});
  return Vocabulary(std::move(entries), "fuzz");
}

void Check(bool holds) {
  if (!holds) abort();
}

bool Same(const std::vector<Word>& a, const std::vector<Word>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Word& x, const Word& y) { return x.begin == y.begin && x.end == y.end; });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (FindInvalidUtf8(text) != std::string::npos) return 0;

  static const BertPreTokenizer pre_tokenizer;
  std::vector<Word> words, some(2 + size % 130);
  for (size_t position = 0; const size_t count = pre_tokenizer.NextWords(text, position, some);)
    words.insert(words.end(), some.begin(), some.begin() + static_cast<ptrdiff_t>(count));
  Check(Same(words, ReferenceWords(text)));

  static const WordPieceOptions options = {.max_input_chars_per_word = 60};
  static const Vocabulary vocabulary = MakeVocabulary();
  static const WordPiece model(MakeVocabulary(), options, "fuzz");
  std::vector<TokenPiece> expected, tokens;
  std::vector<int32_t> ids;
  for (const Word& word : words) ReferenceTokens(vocabulary, options, text, word, expected);
  model.Tokenize(text, words, tokens);
  model.Tokenize(text, words, ids);
  Check(tokens.size() == expected.size() && ids.size() == expected.size());
  for (size_t i = 0; i < ids.size(); ++i) {
    Check(tokens[i].id == expected[i].id && tokens[i].begin == expected[i].begin && tokens[i].end == expected[i].end);
    Check(ids[i] == expected[i].id);
  }

  static const Tokenizer tokenizer = Tokenizer::FromJson(kTokenizer);
  Check(tokenizer.Encode(text).token_ids == tokenizer.Encode(text, {.with_offsets = true}).token_ids);
  return 0;
}
