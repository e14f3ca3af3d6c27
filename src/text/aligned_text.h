#pragma once
// Text on its way through normalisers, each byte with the place in the original text that it comes from.
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/utf8.h"

namespace mlac {

// Bytes [begin, end) of the original text. 32 bits: normalised or not, a text is below 4 GiB (Tokenizer refuses more).
struct SourceSpan {
  uint32_t begin, end;
};

// What a normaliser reads. sources: one a byte of text; empty if text is the original text's own bytes from `base` on, or if nobody
// asks for offsets.
struct TextPiece {
  std::string_view text;
  std::span<const SourceSpan> sources;
  uint32_t base = 0;

  // The source of the scalar at bytes [begin, end).
  SourceSpan SourceOf(size_t begin, size_t end) const {
    if (!sources.empty()) return {sources[begin].begin, sources[end - 1].end};
    return {static_cast<uint32_t>(base + begin), static_cast<uint32_t>(base + end)};
  }
};

// What a normaliser writes. Sources are kept only if asked for: they take eight bytes a byte.
class AlignedText {
 public:
  explicit AlignedText(bool keep_sources) : keep_sources_(keep_sources) {}

  void Clear() {
    text_.clear();
    sources_.clear();
  }
  void Reserve(size_t num_bytes) {
    text_.reserve(num_bytes);
    if (keep_sources_) sources_.reserve(num_bytes);
  }
  // Where sources are kept: appends bytes [begin, end) of piece, all ASCII, as `table` maps them, without those that it maps to
  // `removed`.
  void AppendAscii(const TextPiece& piece, size_t begin, size_t end, const std::array<uint8_t, 128>& table, uint8_t removed);
  // Where no sources are kept: appends num_bytes bytes for the caller to fill; and takes back what is behind `size` bytes.
  char* AppendRoom(size_t num_bytes) {
    text_.resize(text_.size() + num_bytes);
    return text_.data() + text_.size() - num_bytes;
  }
  void CutTo(size_t size) { text_.resize(size); }
  void Append(char32_t scalar, SourceSpan source) {
    AppendUtf8(text_, scalar);
    if (keep_sources_) sources_.resize(text_.size(), source);
  }

  bool keep_sources() const { return keep_sources_; }
  const std::string& text() const { return text_; }
  std::span<const SourceSpan> sources() const { return sources_; }
  TextPiece piece() const { return {text_, sources_, 0}; }

 private:
  bool keep_sources_;
  std::string text_;
  std::vector<SourceSpan> sources_;
};

}  // namespace mlac
