#include "text/normalizer.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "text/unicode.h"

namespace mlac {
namespace {

constexpr uint8_t kRemoved = 0xFF;

// The end of the ASCII bytes of text from `position` on.
size_t AsciiEnd(std::string_view text, size_t position) {
  for (uint64_t bytes; position + sizeof(bytes) <= text.size(); position += sizeof(bytes)) {
    std::memcpy(&bytes, text.data() + position, sizeof(bytes));
    if (bytes & 0x8080808080808080) break;
  }
  while (position < text.size() && static_cast<unsigned char>(text[position]) < 0x80) ++position;
  return position;
}

// What ascii_ does to kBlock bytes, for blocks of which nothing is removed: without a table, so that the compiler vectorises it.
// Returns whether that is so.
constexpr size_t kBlock = 64;
bool MapBlock(const char* in, const BertNormalizerOptions& options, char* out) {
  const uint8_t to_lower = options.lowercase ? 'a' - 'A' : 0, cleaned = options.clean_text ? 0xFF : 0;
  uint8_t any_removed = 0;
  for (size_t i = 0; i < kBlock; ++i) {
    const auto byte = static_cast<uint8_t>(in[i]);
    const uint8_t lower = static_cast<uint8_t>(byte + (static_cast<uint8_t>(byte - 'A') < 26 ? to_lower : 0));
    const uint8_t space = (((byte == '\t') | (byte == '\n') | (byte == '\r')) ? 0xFF : 0) & cleaned;
    const uint8_t control = (((byte < ' ') | (byte == 0x7F)) ? 0xFF : 0) & cleaned;
    any_removed |= control & static_cast<uint8_t>(~space);
    out[i] = static_cast<char>((lower & static_cast<uint8_t>(~space)) | (space & ' '));
  }
  return any_removed == 0;
}

// Lower-cases if asked and writes. properties: the scalar's.
void Write(char32_t scalar, const ScalarProperties& properties, SourceSpan source, bool lowercase, AlignedText& out) {
  if (!lowercase) return out.Append(scalar, source);
  PutLowerCase(scalar, properties, [&](char32_t lower) { out.Append(lower, source); });
}

// Canonical decomposition (The Unicode Standard 15.0, section 3.11) without its nonspacing marks, then lower case. Marks wait until
// the next starter, because they may have to be reordered.
class AccentStripper {
 public:
  AccentStripper(bool lowercase, AlignedText& out) : lowercase_(lowercase), out_(out) {}
  AccentStripper(const AccentStripper&) = delete;
  AccentStripper& operator=(const AccentStripper&) = delete;

  void Put(char32_t scalar, const ScalarProperties& properties, SourceSpan source) {
    if (properties.flags & kHangulSyllable) return PutHangul(scalar, source);
    if (properties.decomposition_length == 0) return PutPart(scalar, properties, source, /*inserted=*/false);
    for (size_t i = 0; i < properties.decomposition_length; ++i) {
      const char32_t part = kScalarDecompositions[properties.decomposition_begin + i];
      PutPart(part, PropertiesOf(part), source, /*inserted=*/i > 0);
    }
  }

  // To be called before ASCII, which are all starters and are written directly, and at the end.
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
    out_.Append(0x1100 + index / 588, source);  // they have no case
    out_.Append(0x1161 + index % 588 / 28, source);
    if (index % 28 != 0) out_.Append(0x11A7 + index % 28, source);
  }

  // inserted: not the first part of its decomposition, so that it has no place of its own in the source.
  void PutPart(char32_t scalar, const ScalarProperties& properties, SourceSpan source, bool inserted) {
    const bool kept = !(properties.flags & kNonspacingMark);
    if (properties.combining_order == 0) {
      Flush();
      if (!inserted) last_source_ = source;
      if (kept) Write(scalar, properties, last_source_, lowercase_, out_);
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
      Write(mark.scalar, PropertiesOf(mark.scalar), last_source_, lowercase_, out_);
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

void BertNormalizer::AppendAscii(std::string_view ascii, AlignedText& out) const {
  const size_t old_size = out.text().size();
  char* const room = out.AppendRoom(ascii.size());
  char* end = room;
  for (size_t i = 0; i < ascii.size(); i += kBlock) {
    if (i + kBlock <= ascii.size() && MapBlock(ascii.data() + i, options_, end)) {
      end += kBlock;
      continue;
    }
    for (const char c : ascii.substr(i, kBlock)) {
      const uint8_t result = ascii_[static_cast<unsigned char>(c)];
      *end = static_cast<char>(result);
      end += result != kRemoved;
    }
  }
  out.CutTo(old_size + static_cast<size_t>(end - room));
}

void BertNormalizer::Normalize(const TextPiece& in, AlignedText& out) const {
  out.Reserve(out.text().size() + in.text.size());
  AccentStripper stripper(options_.lowercase, out);
  const auto put = [&](char32_t scalar, const ScalarProperties& properties, SourceSpan source) {
    if (strip_accents_) {
      stripper.Put(scalar, properties, source);
    } else {
      Write(scalar, properties, source, options_.lowercase, out);
    }
  };
  for (size_t position = 0; position < in.text.size();) {
    const size_t begin = position;
    const auto byte = static_cast<unsigned char>(in.text[position]);
    if (byte < 0x80) {
      position = AsciiEnd(in.text, position);
      const std::string_view ascii = in.text.substr(begin, position - begin);
      const bool any_kept = std::any_of(ascii.begin(), ascii.end(), [&](unsigned char c) { return ascii_[c] != kRemoved; });
      if (!any_kept) continue;  // marks before and behind it stand side by side then
      stripper.Flush();
      if (out.keep_sources()) {
        out.AppendAscii(in, begin, position, ascii_, kRemoved);
      } else {
        AppendAscii(ascii, out);
      }
      continue;
    }
    const char32_t scalar = DecodeUtf8(in.text, position);
    const ScalarProperties& properties = PropertiesOf(scalar);
    const SourceSpan source = in.SourceOf(begin, position);
    if (options_.clean_text && properties.flags & kRemovedByCleaning) continue;
    if (options_.clean_text && properties.flags & kSpaceByCleaning) {
      put(U' ', PropertiesOf(U' '), source);
    } else if (options_.handle_chinese_chars && properties.flags & kChinese) {
      put(U' ', PropertiesOf(U' '), source);
      put(scalar, properties, source);
      put(U' ', PropertiesOf(U' '), source);
    } else {
      put(scalar, properties, source);
    }
  }
  stripper.Flush();
}

}  // namespace mlac
