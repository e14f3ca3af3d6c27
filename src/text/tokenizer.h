#pragma once
// Text to token ids and back, as the `tokenizers` library does it for the same files.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mlac {

// Bytes (or code points, where said) [begin, end) of the original text. {0, 0} for a token that stands for no text, such as [CLS].
struct TextSpan {
  size_t begin = 0, end = 0;
  bool operator==(const TextSpan&) const = default;
};

// One text or a pair, ready for a model. All vectors have one element a token.
struct Encoding {
  std::vector<int32_t> token_ids;
  std::vector<int32_t> token_type_ids;
  std::vector<uint8_t> special_tokens_mask;  // 1 for what the post-processor added
  std::vector<int8_t> sequence_ids;          // 0 or 1: the text that the token is of; -1 where special_tokens_mask is 1
  std::vector<TextSpan> offsets;             // in bytes of its text; empty unless asked for
  size_t num_tokens_before_truncation = 0;   // special tokens included
  bool truncated = false;
};

// Which text of a pair is cut where both together are too long.
enum class Truncation {
  kLongestFirst,  // the longer one until both are equally long, then both
  kOnlyFirst,
};

struct EncodeOptions {
  bool add_special_tokens = true;
  bool with_offsets = false;
  size_t max_length = 0;  // in tokens, special ones included; 0: no limit
  bool truncate = false;  // cut what is longer; else it is an error
  Truncation truncation = Truncation::kLongestFirst;
};

struct SpecialTokenIds {
  int32_t cls = -1, sep = -1, pad = -1, mask = -1, unk = -1;  // -1: there is none
};

// All member functions may be called from several threads at once.
class Tokenizer {
 public:
  // Reads folder/tokenizer.json, else folder/vocab.txt, and what tokenizer_config.json and special_tokens_map.json add. `truncation`
  // and `padding` in tokenizer.json are ignored. Throws kNotFound if there is neither; kInvalidInput for a broken file; kUnsupported,
  // with what is supported, for a type of tokenizer that mlac does not have.
  static Tokenizer Load(const std::string& folder);
  // The same from the content of a tokenizer.json alone. where: what it is, for messages.
  static Tokenizer FromJson(std::string tokenizer_json, const std::string& where = "tokenizer.json");

  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  // Throws kInvalidInput with the byte offset for text that is no UTF-8; kTooLarge for a text of more tokens than max_length (unless
  // options.truncate) or above 4 GiB / 3; kInvalidArgument if max_length leaves no room for the special tokens. Takes time and memory linear
  // in the length of the text.
  Encoding Encode(std::string_view text, const EncodeOptions& options = {}) const;
  // With Truncation::kOnlyFirst also throws kTooLarge for a second text that leaves no room.
  Encoding EncodePair(std::string_view first, std::string_view second, const EncodeOptions& options = {}) const;

  // Ids that no token has are left out, as `tokenizers` does.
  std::string Decode(std::span<const int32_t> token_ids, bool skip_special_tokens = true) const;

  // The text of tokens given as strings, as Decode joins them; some may be words of a text instead.
  std::string DecodeTokens(std::span<const std::string_view> tokens) const;

  std::string_view kind() const;  // "WordPiece"
  size_t vocab_size() const;      // added tokens included
  int32_t largest_id() const;     // that Encode can give
  const SpecialTokenIds& special_ids() const;
  int32_t FindToken(std::string_view token) const;  // its id, or -1
  // The token with this id; data() is nullptr if there is none. Valid as long as the tokenizer.
  std::string_view TokenOf(int32_t token_id) const;
  // Whether it is a piece that goes on with a word ("##ing").
  bool ContinuesWord(int32_t token_id) const;
  bool lowercases() const;      // whether "A" and "a" are the same to it
  bool strips_accents() const;  // whether "e" with an acute accent and "e" are

  // Throws kInvalidInput if some token has an id that an embedding of vocab_size rows (config.json) does not have.
  void CheckEmbeddingSize(size_t vocab_size) const;

 private:
  struct Impl;
  explicit Tokenizer(std::unique_ptr<const Impl> impl);
  std::unique_ptr<const Impl> impl_;
};

// The offsets of an encoding in code points instead of bytes. second: the other text of a pair.
std::vector<TextSpan> CodePointOffsets(const Encoding& encoding, std::string_view text, std::string_view second = {});

}  // namespace mlac
