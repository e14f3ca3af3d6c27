#pragma once
// Decoders: tokens back to text.
#include <span>
#include <string>
#include <string_view>

namespace mlac {

class Decoder {
 public:
  virtual ~Decoder() = default;
  virtual std::string Decode(std::span<const std::string_view> tokens) const = 0;
};

// No decoder: the tokens with a space between two.
class SpaceDecoder final : public Decoder {
 public:
  std::string Decode(std::span<const std::string_view> tokens) const override;
};

// Pieces that continue a word are joined to it, words get a space between. clean_up takes out the space before punctuation and
// English contractions, within each token as `tokenizers` does.
class WordPieceDecoder final : public Decoder {
 public:
  WordPieceDecoder(std::string prefix, bool clean_up) : prefix_(std::move(prefix)), clean_up_(clean_up) {}
  std::string Decode(std::span<const std::string_view> tokens) const override;

 private:
  std::string prefix_;
  bool clean_up_;
};

// The same clean-up over a whole text, as transformers does where tokenizer_config.json says clean_up_tokenization_spaces.
std::string CleanUpSpaces(std::string text);

}  // namespace mlac
