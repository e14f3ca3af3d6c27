#include "text/pre_tokenizer.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/utf8.h"
#include "text/unicode.h"

namespace mlac {
namespace {

constexpr uint8_t kInside = 0, kSpace = 1, kAlone = 2, kNotAscii = 3;

uint8_t ClassOf(char32_t scalar) {
  const uint8_t flags = PropertiesOf(scalar).flags;
  return flags & kWhiteSpace ? kSpace : flags & kPunctuation ? kAlone : kInside;
}

// ---- 64 bytes at once, eight in each of eight words (Knuth, The Art of Computer Programming 4A, section 7.1.3)

constexpr size_t kBlock = 64;
constexpr uint64_t kOnes = 0x0101010101010101, kHighBits = 0x80 * kOnes;

// The high bit of each byte of `bytes`, all below 0x80, that is at least `least`.
constexpr uint64_t AtLeast(uint64_t bytes, uint64_t least) { return (bytes + (0x80 - least) * kOnes) & kHighBits; }
constexpr uint64_t InRange(uint64_t bytes, uint64_t least, uint64_t most) { return AtLeast(bytes, least) & ~AtLeast(bytes, most + 1); }

// The high bits of the eight bytes as eight bits, that of the first byte lowest.
constexpr uint64_t Gather(uint64_t high_bits) { return (high_bits >> 7) * 0x0102040810204080 >> 56; }

// Bit i: what byte i of a block is to a word. A byte that is neither is inside one. Only right if the block is all ASCII.
struct BlockClasses {
  uint64_t space = 0, alone = 0;
  bool all_ascii;
};

BlockClasses ClassifyBlock(const char* block) {
  BlockClasses classes;
  uint64_t any = 0;
  for (size_t i = 0; i < kBlock; i += 8) {
    uint64_t bytes;
    std::memcpy(&bytes, block + i, sizeof(bytes));  // little-endian, as all machines are that mlac runs on
    any |= bytes;
    bytes &= ~kHighBits;
    const uint64_t alphanumeric = InRange(bytes, '0', '9') | InRange(bytes | 0x20 * kOnes, 'a', 'z');
    classes.space |= Gather(InRange(bytes, '\t', '\r') | InRange(bytes, ' ', ' ')) << i;
    classes.alone |= Gather(InRange(bytes, '!', '~') & ~alphanumeric) << i;
  }
  classes.all_ascii = (any & kHighBits) == 0;
  return classes;
}

// Fills a span of words, of each its begin and later its end.
class WordWriter {
 public:
  explicit WordWriter(std::span<Word> words) : words_(words) {}

  size_t num_whole() const { return num_ended_; }
  bool is_inside() const { return num_begun_ > num_ended_; }
  size_t begin() const { return words_[num_ended_].begin; }  // of the word that is_inside
  size_t room() const { return words_.size() - num_begun_; }

  void Begin(size_t at) { words_[num_begun_++].begin = static_cast<uint32_t>(at); }
  void End(size_t at) { words_[num_ended_++].end = static_cast<uint32_t>(at); }
  void Put(uint8_t kind, size_t begin, size_t end) {
    if (kind == kInside) {
      if (!is_inside()) Begin(begin);
      return;
    }
    if (is_inside()) End(begin);
    if (kind == kAlone) Begin(begin), End(end);
  }
  // The same for each of the bytes [at, at + kBlock).
  void PutBlock(const BlockClasses& classes, size_t at) {
    const uint64_t inside = ~(classes.space | classes.alone), behind_inside = inside << 1 | uint64_t{is_inside()};
    for (uint64_t left = classes.alone | (inside & ~behind_inside); left != 0; left &= left - 1)
      Begin(at + static_cast<size_t>(std::countr_zero(left)));
    for (uint64_t left = classes.alone << 1 | (behind_inside & ~inside); left != 0; left &= left - 1)
      End(at + static_cast<size_t>(std::countr_zero(left)));
    if (classes.alone >> (kBlock - 1)) End(at + kBlock);
  }

 private:
  std::span<Word> words_;
  size_t num_begun_ = 0, num_ended_ = 0;
};

}  // namespace

BertPreTokenizer::BertPreTokenizer() {
  for (size_t byte = 0; byte < classes_.size(); ++byte) classes_[byte] = byte < 0x80 ? ClassOf(static_cast<char32_t>(byte)) : kNotAscii;
}

bool BertPreTokenizer::MayPartBefore(char c) const { return classes_[static_cast<unsigned char>(c)] != kInside; }

size_t BertPreTokenizer::NextWords(std::string_view text, size_t& position, std::span<Word> words) const {
  WordWriter writer(words);
  size_t at = position;
  while (at < text.size() && writer.room() > 0) {
    if (writer.room() >= kBlock) {  // a block begins a word at each byte at most
      char last_block[kBlock];
      const char* block = text.data() + at;
      const size_t num_bytes = std::min(kBlock, text.size() - at);
      if (num_bytes < kBlock) {  // with spaces behind the text nothing changes but that its last word ends
        std::memset(last_block, ' ', kBlock);
        std::memcpy(last_block, block, num_bytes);
        block = last_block;
      }
      if (const BlockClasses classes = ClassifyBlock(block); classes.all_ascii) {
        writer.PutBlock(classes, at);
        at += num_bytes;
        continue;
      }
    }
    for (const size_t stop = at + std::min({kBlock, text.size() - at, writer.room()}); at < stop;) {
      const size_t begin = at;
      uint8_t kind = classes_[static_cast<unsigned char>(text[at])];
      if (kind == kNotAscii) {
        kind = ClassOf(DecodeUtf8(text, at));
      } else {
        ++at;
      }
      writer.Put(kind, begin, at);
    }
  }
  if (writer.is_inside() && at == text.size()) writer.End(at);
  position = writer.is_inside() ? writer.begin() : at;  // a word without an end yet is left for the next call
  return writer.num_whole();
}

}  // namespace mlac
