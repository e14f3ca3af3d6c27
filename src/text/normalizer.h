#pragma once
// Normalisers: the first step of a tokenizer, text to text.
#include <array>
#include <cstdint>
#include <optional>

#include "text/aligned_text.h"

namespace mlac {

class Normalizer {
 public:
  virtual ~Normalizer() = default;
  // Appends the normalised form of `in`, which is valid UTF-8. Time and memory are linear in its length. Safe to call from several
  // threads.
  virtual void Normalize(const TextPiece& in, AlignedText& out) const = 0;
  // Whether a text may be parted before each ASCII character c and the parts be normalised one by one, c staying what it is.
  virtual bool MayPartBefore(char c) const = 0;
};

struct BertNormalizerOptions {
  bool clean_text = true;             // controls are removed, all sorts of white space become a space
  bool handle_chinese_chars = true;   // spaces around each ideograph
  std::optional<bool> strip_accents;  // unset: as lowercase
  bool lowercase = true;
};

// BertNormalizer of `tokenizers`: the four steps of its options, in that order. Its offsets are reproduced too, with what they do
// where NFD moves one mark before another: the n-th scalar written takes the place of the n-th scalar read.
class BertNormalizer final : public Normalizer {
 public:
  explicit BertNormalizer(const BertNormalizerOptions& options);
  void Normalize(const TextPiece& in, AlignedText& out) const override;
  bool MayPartBefore(char c) const override { return ascii_[static_cast<unsigned char>(c)] == static_cast<unsigned char>(c); }

 private:
  void AppendAscii(std::string_view ascii, AlignedText& out) const;

  BertNormalizerOptions options_;
  bool strip_accents_;
  std::array<uint8_t, 128> ascii_;  // what each ASCII byte becomes; kRemoved (0xFF) if it is removed
};

}  // namespace mlac
