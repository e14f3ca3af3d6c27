#pragma once
// Pre-tokenizers: normalised text to words, the pieces that a token never crosses.
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace mlac {

// Bytes [begin, end) of the text that is split; never empty.
struct Word {
  uint32_t begin, end;
};

class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  // Finds the next words of text, which is valid UTF-8, from byte `position` on; moves position behind them. Returns how many of
  // `words` (room for 2 or more) it filled; 0 at the end of the text. Safe to call from several threads.
  virtual size_t NextWords(std::string_view text, size_t& position, std::span<Word> words) const = 0;
  // Whether no word goes across the place before an ASCII character c, whatever stands there.
  virtual bool MayPartBefore(char c) const = 0;
};

// BertPreTokenizer of `tokenizers`: words are parted by white space, which is dropped, and each punctuation mark is its own word.
class BertPreTokenizer final : public PreTokenizer {
 public:
  BertPreTokenizer();
  size_t NextWords(std::string_view text, size_t& position, std::span<Word> words) const override;
  bool MayPartBefore(char c) const override;

 private:
  std::array<uint8_t, 256> classes_;  // what each byte is to a word, if it is ASCII
};

}  // namespace mlac
