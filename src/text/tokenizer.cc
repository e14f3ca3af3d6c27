#include "text/tokenizer.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/utf8.h"
#include "text/tokenizer_parts.h"

namespace mlac {
namespace {

constexpr size_t kMaxFileBytes = size_t{256} << 20;
// Places in a text have 32 bits, those in its normalised form as well, which may be three times as long: a Hangul syllable becomes three letters.
constexpr size_t kMaxTextBytes = std::numeric_limits<uint32_t>::max() / 3;

// A long text goes through normaliser and words in parts of about this size, so that they stay in the cache.
constexpr size_t kPartBytes = size_t{16} << 10;

void CheckText(std::string_view text) {
  if (text.size() > kMaxTextBytes)
    throw Error(ErrorCode::kTooLarge, fmt::format("the text has {} bytes; at most {} can be encoded", text.size(), kMaxTextBytes));
  if (simdjson::validate_utf8(text.data(), text.size())) return;
  throw Error(ErrorCode::kInvalidInput, fmt::format("the text is no valid UTF-8: byte {}", FindInvalidUtf8(text)));
}

// How many tokens of each text stay when room tokens are left for both: what truncate_encodings of `tokenizers` does for
// "longest_first".
std::pair<size_t, size_t> LongestFirst(size_t first, size_t second, size_t room) {
  if (first + second <= room) return {first, second};
  size_t shorter = std::min(first, second);
  size_t longer = shorter > room ? shorter : std::max(shorter, room - shorter);
  if (shorter + longer > room) {
    shorter = room / 2;
    longer = shorter + room % 2;
  }
  return first > second ? std::pair(longer, shorter) : std::pair(shorter, longer);
}

// The same for any way to truncate.
std::array<size_t, 2> Kept(const std::array<size_t, 2>& counts, size_t room, Truncation truncation) {
  if (truncation == Truncation::kOnlyFirst) {
    if (counts[1] > room)
      throw Error(ErrorCode::kTooLarge, fmt::format("the second text has {} tokens; there is room for {}", counts[1], room), "it is never cut: shorten it");
    return {std::min(counts[0], room - counts[1]), counts[1]};
  }
  const auto [first, second] = LongestFirst(counts[0], counts[1], room);
  return {first, second};
}

// Takes the last num_cut[i] tokens of text i out of an encoding. ends: of each piece in it.
void CutTexts(const std::vector<TemplatePiece>& pieces, const std::array<size_t, 2>& num_cut, std::vector<size_t>& ends, Encoding& encoding) {
  for (size_t p = pieces.size(); p-- > 0;) {  // from the end, so that the places before it stay
    if (pieces[p].sequence < 0) continue;
    const size_t count = num_cut[static_cast<size_t>(pieces[p].sequence)];
    const auto end = static_cast<ptrdiff_t>(ends[p]), begin = end - static_cast<ptrdiff_t>(count);
    encoding.token_ids.erase(encoding.token_ids.begin() + begin, encoding.token_ids.begin() + end);
    if (!encoding.offsets.empty()) encoding.offsets.erase(encoding.offsets.begin() + begin, encoding.offsets.begin() + end);
    for (size_t later = p; later < pieces.size(); ++later) ends[later] -= count;
  }
  encoding.truncated = true;
}

}  // namespace

struct Tokenizer::Impl {
  TokenizerParts parts;
  SpecialTokenIds special_ids;
  bool clean_up_spaces = false;
  bool lowercases = false, strips_accents = false;
  size_t vocab_size = 0;
  int32_t largest_id = -1;
  std::array<bool, 256> may_part_before = {};  // bytes before which a text may be parted without a change to its tokens

  Impl(TokenizerParts parts, const TokenizerConfig& config);
  void FindPartingBytes();
  bool NormalizesTo(std::string_view text, std::string_view expected) const;

  // Each appends to token_ids and, if asked for, offsets of an encoding.
  void Tokenize(std::string_view text, bool with_offsets, Encoding& encoding) const;
  void TokenizePiece(const TextPiece& piece, AlignedText& normalized, std::vector<TokenPiece>& scratch, Encoding& encoding) const;
  void TokenizeWords(const TextPiece& piece, bool with_offsets, std::vector<TokenPiece>& scratch, Encoding& encoding) const;
  Encoding Encode(std::span<const std::string_view> texts, const EncodeOptions& options) const;
};

Tokenizer::Impl::Impl(TokenizerParts all_parts, const TokenizerConfig& config)
    : parts(std::move(all_parts)), clean_up_spaces(config.clean_up_tokenization_spaces) {
  const Vocabulary& vocabulary = parts.model->vocabulary();
  const AddedTokens& added = *parts.added_tokens;
  const auto find = [&](std::string_view token) {
    const int32_t id = added.Find(token);
    return id >= 0 ? id : vocabulary.Find(token);
  };
  special_ids = {.cls = find(config.cls_token),
                 .sep = find(config.sep_token),
                 .pad = find(config.pad_token),
                 .mask = find(config.mask_token),
                 .unk = parts.model->unknown_id()};
  lowercases = NormalizesTo("A", "a");
  strips_accents = NormalizesTo("\u00E9", "e");
  vocab_size = vocabulary.size();
  for (const AddedToken& token : added.tokens()) vocab_size += vocabulary.Find(token.content) < 0;
  largest_id = std::max(vocabulary.largest_id(), added.largest_id());
  for (const auto* pieces : {&parts.post_processor.single, &parts.post_processor.pair}) {
    for (const TemplatePiece& piece : *pieces) {
      for (const int32_t id : piece.special_ids) largest_id = std::max(largest_id, id);
    }
  }
  FindPartingBytes();
}

void Tokenizer::Impl::FindPartingBytes() {
  if (parts.added_tokens->any_normalized() || parts.pre_tokenizer == nullptr) return;
  for (size_t byte = 0; byte < 0x80; ++byte) {
    const char c = static_cast<char>(byte);
    may_part_before[byte] = parts.pre_tokenizer->MayPartBefore(c) && (parts.normalizer == nullptr || parts.normalizer->MayPartBefore(c));
  }
}

// The order of `tokenizers`: added tokens of the original text; what is between them is normalised; added tokens of the normalised
// text; what is between those is cut into words, and these into tokens.
void Tokenizer::Impl::Tokenize(std::string_view text, bool with_offsets, Encoding& encoding) const {
  CheckText(text);
  AlignedText normalized(with_offsets);
  std::vector<TokenPiece> scratch;
  std::vector<AddedTokenSplit> splits;
  parts.added_tokens->SplitOriginal(text, splits);
  // English has a token about every four bytes; memory that is reserved and not touched costs nothing.
  encoding.token_ids.reserve(encoding.token_ids.size() + text.size() / 4 + 8);
  if (with_offsets) encoding.offsets.reserve(encoding.offsets.size() + text.size() / 4 + 8);
  for (const AddedTokenSplit& split : splits) {
    if (split.id >= 0) {
      encoding.token_ids.push_back(split.id);
      if (with_offsets) encoding.offsets.push_back({split.begin, split.end});
      continue;
    }
    for (size_t begin = split.begin; begin < split.end;) {
      size_t end = split.end;
      if (end - begin > 2 * kPartBytes) {
        end = begin + kPartBytes;
        while (end < split.end && !may_part_before[static_cast<unsigned char>(text[end])]) ++end;
      }
      TokenizePiece({text.substr(begin, end - begin), {}, static_cast<uint32_t>(begin)}, normalized, scratch, encoding);
      begin = end;
    }
  }
}

void Tokenizer::Impl::TokenizePiece(const TextPiece& piece, AlignedText& normalized, std::vector<TokenPiece>& scratch,
                                    Encoding& encoding) const {
  const bool with_offsets = normalized.keep_sources();
  TextPiece text = piece;
  if (parts.normalizer != nullptr) {
    normalized.Clear();
    parts.normalizer->Normalize(piece, normalized);
    text = normalized.piece();
  }
  if (!parts.added_tokens->any_normalized()) return TokenizeWords(text, with_offsets, scratch, encoding);
  std::vector<AddedTokenSplit> splits;
  parts.added_tokens->SplitNormalized(text.text, splits);
  for (const AddedTokenSplit& split : splits) {
    if (split.id >= 0) {
      encoding.token_ids.push_back(split.id);
      if (with_offsets) {
        const SourceSpan source = text.SourceOf(split.begin, split.end);
        encoding.offsets.push_back({source.begin, source.end});
      }
      continue;
    }
    const size_t length = split.end - split.begin;
    TokenizeWords({text.text.substr(split.begin, length), text.sources.empty() ? text.sources : text.sources.subspan(split.begin, length),
                   static_cast<uint32_t>(text.base + split.begin)},
                  with_offsets, scratch, encoding);
  }
}

void Tokenizer::Impl::TokenizeWords(const TextPiece& piece, bool with_offsets, std::vector<TokenPiece>& scratch, Encoding& encoding) const {
  std::array<Word, 256> words;  // a few at a time, so that they stay in the cache
  for (size_t position = 0;;) {
    size_t num_words;
    if (parts.pre_tokenizer != nullptr) {
      num_words = parts.pre_tokenizer->NextWords(piece.text, position, words);
    } else {
      words[0] = {0, static_cast<uint32_t>(piece.text.size())};
      num_words = position == 0 && !piece.text.empty() ? 1 : 0;
      position = piece.text.size();
    }
    if (num_words == 0) return;
    const std::span<const Word> found = std::span(words).first(num_words);
    if (!with_offsets) {
      parts.model->Tokenize(piece.text, found, encoding.token_ids);
      continue;
    }
    scratch.clear();
    parts.model->Tokenize(piece.text, found, scratch);
    for (const TokenPiece& token : scratch) {
      const SourceSpan source = piece.SourceOf(token.begin, token.end);
      encoding.token_ids.push_back(token.id);
      encoding.offsets.push_back({source.begin, source.end});
    }
  }
}

bool Tokenizer::Impl::NormalizesTo(std::string_view text, std::string_view expected) const {
  if (parts.normalizer == nullptr) return false;
  AlignedText normalized(/*keep_sources=*/false);
  parts.normalizer->Normalize({text, {}, 0}, normalized);
  return normalized.text() == expected;
}

Encoding Tokenizer::Impl::Encode(std::span<const std::string_view> texts, const EncodeOptions& options) const {
  const bool is_pair = texts.size() == 2;
  const size_t num_special = options.add_special_tokens ? parts.post_processor.NumAdded(is_pair) : 0;
  if (options.max_length != 0 && options.truncate && options.max_length < num_special) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("a limit of {} tokens leaves no room for the {} special tokens", options.max_length, num_special));
  }
  const std::vector<TemplatePiece>& pieces = is_pair ? parts.post_processor.pair : parts.post_processor.single;
  Encoding encoding;
  std::vector<size_t> ends;           // of each piece in the encoding
  std::array<size_t, 2> counts = {};  // of tokens of each text
  for (const TemplatePiece& piece : pieces) {
    const size_t begin = encoding.token_ids.size();
    if (piece.sequence >= 0) {
      const auto sequence = static_cast<size_t>(piece.sequence);
      Tokenize(texts[sequence], options.with_offsets, encoding);
      counts[sequence] = encoding.token_ids.size() - begin;
    } else if (options.add_special_tokens) {
      encoding.token_ids.insert(encoding.token_ids.end(), piece.special_ids.begin(), piece.special_ids.end());
      if (options.with_offsets) encoding.offsets.resize(encoding.token_ids.size());
    }
    ends.push_back(encoding.token_ids.size());
  }

  encoding.num_tokens_before_truncation = encoding.token_ids.size();
  if (options.max_length != 0 && encoding.token_ids.size() > options.max_length) {
    if (!options.truncate) {
      throw Error(ErrorCode::kTooLarge,
                  fmt::format("the text has {} tokens; at most {} are possible", encoding.token_ids.size(), options.max_length),
                  "--truncate cuts it");
    }
    const std::array<size_t, 2> kept = Kept(counts, options.max_length - num_special, options.truncation);
    CutTexts(pieces, {counts[0] - kept[0], counts[1] - kept[1]}, ends, encoding);
  }

  encoding.token_type_ids.reserve(encoding.token_ids.size());
  encoding.special_tokens_mask.reserve(encoding.token_ids.size());
  encoding.sequence_ids.reserve(encoding.token_ids.size());
  for (size_t p = 0; p < pieces.size(); ++p) {
    encoding.token_type_ids.resize(ends[p], pieces[p].type_id);
    encoding.special_tokens_mask.resize(ends[p], pieces[p].sequence < 0);
    encoding.sequence_ids.resize(ends[p], static_cast<int8_t>(pieces[p].sequence));
  }
  return encoding;
}

Tokenizer::Tokenizer(std::unique_ptr<const Impl> impl) : impl_(std::move(impl)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

Tokenizer Tokenizer::Load(const std::string& folder) {
  const std::string json_path = folder + "/tokenizer.json", txt_path = folder + "/vocab.txt";
  const bool has_json = FileExists(json_path);
  if (!has_json && !FileExists(txt_path)) {
    throw Error(ErrorCode::kNotFound, fmt::format("{}: has neither tokenizer.json nor vocab.txt", folder),
                "the folder of a model in the Hugging Face layout holds one of them");
  }
  const TokenizerConfig config = ReadTokenizerConfig(folder);
  TokenizerParts parts = has_json ? ParseTokenizerJson(ReadFile(json_path, kMaxFileBytes), json_path, config)
                                  : ParseVocabTxt(ReadFile(txt_path, kMaxFileBytes), txt_path, config);
  return Tokenizer(std::make_unique<Impl>(std::move(parts), config));
}

Tokenizer Tokenizer::FromJson(std::string tokenizer_json, const std::string& where) {
  const TokenizerConfig config;
  return Tokenizer(std::make_unique<Impl>(ParseTokenizerJson(std::move(tokenizer_json), where, config), config));
}

Encoding Tokenizer::Encode(std::string_view text, const EncodeOptions& options) const { return impl_->Encode({&text, 1}, options); }

Encoding Tokenizer::EncodePair(std::string_view first, std::string_view second, const EncodeOptions& options) const {
  return impl_->Encode(std::array<std::string_view, 2>{first, second}, options);
}

std::string Tokenizer::Decode(std::span<const int32_t> token_ids, bool skip_special_tokens) const {
  std::vector<std::string_view> tokens;
  for (const int32_t id : token_ids) {
    if (const AddedToken* added = impl_->parts.added_tokens->FindId(id)) {
      if (!skip_special_tokens || !added->special) tokens.push_back(added->content);
    } else if (const std::string_view token = impl_->parts.model->vocabulary().TokenOf(id); token.data() != nullptr) {
      tokens.push_back(token);
    }
  }
  std::string text = impl_->parts.decoder->Decode(tokens);
  return impl_->clean_up_spaces ? CleanUpSpaces(std::move(text)) : text;
}

std::string Tokenizer::DecodeTokens(std::span<const std::string_view> tokens) const { return impl_->parts.decoder->Decode(tokens); }

bool Tokenizer::ContinuesWord(int32_t token_id) const {
  return impl_->parts.added_tokens->FindId(token_id) == nullptr && impl_->parts.model->ContinuesWord(token_id);
}

std::string_view Tokenizer::kind() const { return impl_->parts.model->kind(); }
size_t Tokenizer::vocab_size() const { return impl_->vocab_size; }
int32_t Tokenizer::largest_id() const { return impl_->largest_id; }
const SpecialTokenIds& Tokenizer::special_ids() const { return impl_->special_ids; }
bool Tokenizer::lowercases() const { return impl_->lowercases; }
bool Tokenizer::strips_accents() const { return impl_->strips_accents; }

int32_t Tokenizer::FindToken(std::string_view token) const {
  const int32_t id = impl_->parts.added_tokens->Find(token);
  return id >= 0 ? id : impl_->parts.model->vocabulary().Find(token);
}

std::string_view Tokenizer::TokenOf(int32_t token_id) const {
  const AddedToken* added = impl_->parts.added_tokens->FindId(token_id);
  return added != nullptr ? std::string_view(added->content) : impl_->parts.model->vocabulary().TokenOf(token_id);
}

void Tokenizer::CheckEmbeddingSize(size_t vocab_size) const {
  if (impl_->largest_id < 0 || static_cast<size_t>(impl_->largest_id) < vocab_size) return;
  throw Error(ErrorCode::kInvalidInput,
              fmt::format("the tokenizer gives token {} the id {}; config.json has vocab_size {}, so ids go up to {}",
                          ShownToken(TokenOf(impl_->largest_id)), impl_->largest_id, vocab_size, static_cast<int64_t>(vocab_size) - 1),
              "are tokenizer and config.json from the same model?");
}

std::vector<TextSpan> CodePointOffsets(const Encoding& encoding, std::string_view text, std::string_view second) {
  // Code points before each 64th byte, so that any place is found with a short count.
  constexpr size_t kStride = 64;
  const auto is_start = [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; };
  std::array<std::vector<size_t>, 2> before;
  const std::array<std::string_view, 2> texts = {text, second};
  for (size_t t = 0; t < texts.size(); ++t) {
    size_t count = 0;
    for (size_t i = 0; i < texts[t].size(); ++i) {
      if (i % kStride == 0) before[t].push_back(count);
      count += is_start(texts[t][i]);
    }
    before[t].push_back(count);
  }
  const auto convert = [&](size_t t, size_t position) {
    const size_t block = position / kStride;
    size_t count = before[t].at(std::min(block, before[t].size() - 1));
    for (size_t i = block * kStride; i < std::min(position, texts[t].size()); ++i) count += is_start(texts[t][i]);
    return count;
  };
  std::vector<TextSpan> spans;
  spans.reserve(encoding.offsets.size());
  for (size_t i = 0; i < encoding.offsets.size(); ++i) {
    const TextSpan& span = encoding.offsets[i];
    const int sequence = encoding.sequence_ids[i];
    spans.push_back(sequence < 0
                        ? TextSpan()
                        : TextSpan{convert(static_cast<size_t>(sequence), span.begin), convert(static_cast<size_t>(sequence), span.end)});
  }
  return spans;
}

}  // namespace mlac
