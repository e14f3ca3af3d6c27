#include "text/normalizer.h"

#include <vector>

#include "text/unicode.h"

namespace mlac {
namespace {

constexpr uint8_t kRemoved = 0xFF;

// Lower-cases if asked and writes.
void Write(char32_t scalar, SourceSpan source, bool lowercase, AlignedText& out) {
  if (!lowercase) return out.Append(scalar, source);
  if (scalar == 0x130) {  // the one scalar that becomes two
    out.Append(U'i', source);
    return out.Append(0x307, source);
  }
  out.Append(static_cast<char32_t>(static_cast<int32_t>(scalar) + PropertiesOf(scalar).lower_delta), source);
}

// Canonical decomposition (The Unicode Standard 15.0, section 3.11) without its nonspacing marks, then lower case. Marks wait until
// the next starter, because they may have to be reordered.
class AccentStripper {
 public:
  AccentStripper(bool lowercase, AlignedText& out) : lowercase_(lowercase), out_(out) {}
  ~AccentStripper() { Flush(); }
  AccentStripper(const AccentStripper&) = delete;
  AccentStripper& operator=(const AccentStripper&) = delete;

  void Put(char32_t scalar, SourceSpan source) {
    const ScalarProperties& properties = PropertiesOf(scalar);
    if (properties.flags & kHangulSyllable) return PutHangul(scalar, source);
    if (properties.decomposition_length == 0) return PutPart(scalar, properties, source, /*inserted=*/false);
    for (size_t i = 0; i < properties.decomposition_length; ++i) {
      const char32_t part = kScalarDecompositions[properties.decomposition_begin + i];
      PutPart(part, PropertiesOf(part), source, /*inserted=*/i > 0);
    }
  }

  // To be called before ASCII, which are all starters and are written directly.
  void Flush() {
    if (!any_marks_) return;
    if (!kept_.empty()) WriteMarks();
    kept_.clear();
    sources_.clear();
    num_own_.fill(0);
    any_marks_ = false;
  }

 private:
  // A mark that is no nonspacing mark, so that it stays. num_own: of its combining order, the marks up to it (itself included) that
  // have a place of their own in the source.
  struct Mark {
    char32_t scalar;
    uint32_t num_own;
  };

  // The Unicode Standard 15.0, section 3.12: 19 x 21 x 28 syllables from U+AC00, of leads from U+1100, vowels from U+1161 and tails
  // from U+11A8.
  void PutHangul(char32_t scalar, SourceSpan source) {
    const char32_t index = scalar - 0xAC00;
    Flush();
    last_source_ = source;
    Write(0x1100 + index / 588, source, lowercase_, out_);
    Write(0x1161 + index % 588 / 28, source, lowercase_, out_);
    if (index % 28 != 0) Write(0x11A7 + index % 28, source, lowercase_, out_);
  }

  // inserted: not the first part of its decomposition, so that it has no place of its own in the source.
  void PutPart(char32_t scalar, const ScalarProperties& properties, SourceSpan source, bool inserted) {
    const bool kept = !(properties.flags & kNonspacingMark);
    if (properties.combining_order == 0) {
      Flush();
      if (!inserted) last_source_ = source;
      if (kept) Write(scalar, last_source_, lowercase_, out_);
      return;
    }
    any_marks_ = true;
    if (!inserted) {
      ++num_own_[properties.combining_order];
      if (out_.keep_sources()) sources_.push_back(source);
    }
    if (kept) kept_.push_back({scalar, num_own_[properties.combining_order]});
  }

  // Writes the marks in the order of their combining classes; a counting sort, so that a million marks take no longer each than two.
  // The n-th mark with a place of its own, in that order, takes the n-th place; an inserted one that of the mark before it.
  void WriteMarks() {
    std::array<size_t, kNumCombiningOrders + 1> begin = {};
    for (const Mark& mark : kept_) ++begin[PropertiesOf(mark.scalar).combining_order + 1];
    for (size_t i = 1; i < begin.size(); ++i) begin[i] += begin[i - 1];
    sorted_.resize(kept_.size());
    for (const Mark& mark : kept_) sorted_[begin[PropertiesOf(mark.scalar).combining_order]++] = mark;
    size_t order = 0, num_own_below = 0;
    for (const Mark& mark : sorted_) {
      for (; order < PropertiesOf(mark.scalar).combining_order; ++order) num_own_below += num_own_[order];
      const size_t place = num_own_below + mark.num_own;
      if (place > 0 && out_.keep_sources()) last_source_ = sources_[place - 1];
      Write(mark.scalar, last_source_, lowercase_, out_);
    }
  }

  bool lowercase_;
  AlignedText& out_;
  SourceSpan last_source_ = {0, 0};  // of the last scalar that was read and written
  bool any_marks_ = false;
  std::array<uint32_t, kNumCombiningOrders> num_own_ = {};  // marks with a place of their own, by combining order
  std::vector<SourceSpan> sources_;                         // theirs, as they were read; empty if nobody asks for offsets
  std::vector<Mark> kept_, sorted_;
};

}  // namespace

BertNormalizer::BertNormalizer(const BertNormalizerOptions& options)
    : options_(options), strip_accents_(options.strip_accents.value_or(options.lowercase)) {
  for (size_t c = 0; c < ascii_.size(); ++c) {
    const ScalarProperties& properties = PropertiesOf(static_cast<char32_t>(c));
    uint8_t result = static_cast<uint8_t>(c);
    if (options.lowercase) result = static_cast<uint8_t>(result + properties.lower_delta);
    if (options.clean_text && properties.flags & kSpaceByCleaning) result = ' ';
    if (options.clean_text && properties.flags & kRemovedByCleaning) result = kRemoved;
    ascii_[c] = result;
  }
}

void BertNormalizer::Normalize(const TextPiece& in, AlignedText& out) const {
  out.Reserve(out.text().size() + in.text.size());
  AccentStripper stripper(options_.lowercase, out);
  const auto put = [&](char32_t scalar, SourceSpan source) {
    if (strip_accents_) {
      stripper.Put(scalar, source);
    } else {
      Write(scalar, source, options_.lowercase, out);
    }
  };
  for (size_t position = 0; position < in.text.size();) {
    const size_t begin = position;
    const auto byte = static_cast<unsigned char>(in.text[position]);
    if (byte < 0x80) {
      bool any_kept = false;
      do {
        any_kept |= ascii_[static_cast<unsigned char>(in.text[position])] != kRemoved;
      } while (++position < in.text.size() && static_cast<unsigned char>(in.text[position]) < 0x80);
      if (!any_kept) continue;  // marks before and behind it stand side by side then
      stripper.Flush();
      out.AppendAscii(in, begin, position, ascii_, kRemoved);
      continue;
    }
    char32_t scalar = DecodeUtf8(in.text, position);
    const SourceSpan source = in.SourceOf(begin, position);
    const uint8_t flags = PropertiesOf(scalar).flags;
    if (options_.clean_text) {
      if (flags & kRemovedByCleaning) continue;
      if (flags & kSpaceByCleaning) scalar = U' ';
    }
    if (options_.handle_chinese_chars && flags & kChinese) {
      put(U' ', source);
      put(scalar, source);
      put(U' ', source);
    } else {
      put(scalar, source);
    }
  }
}

}  // namespace mlac
