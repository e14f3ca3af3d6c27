#include "text/aligned_text.h"

namespace mlac {

void AlignedText::AppendAscii(const TextPiece& piece, size_t begin, size_t end, const std::array<uint8_t, 128>& table, uint8_t removed) {
  const size_t old_size = text_.size();
  text_.resize(old_size + end - begin);
  char* out = text_.data() + old_size;
  const char* const in = piece.text.data();
  sources_.resize(old_size + end - begin);
  SourceSpan* source = sources_.data() + old_size;
  for (size_t i = begin; i < end; ++i) {
    const uint8_t result = table[static_cast<unsigned char>(in[i])];
    *out = static_cast<char>(result);
    *source = piece.SourceOf(i, i + 1);
    out += result != removed;
    source += result != removed;
  }
  sources_.resize(static_cast<size_t>(source - sources_.data()));
  text_.resize(static_cast<size_t>(out - text_.data()));
}

}  // namespace mlac
