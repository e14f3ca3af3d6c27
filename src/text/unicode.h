#pragma once
// What tokenizers need to know of a Unicode scalar value. The tables are written by scripts/generate_unicode_tables.py, which asks
// the `tokenizers` wheel about every scalar value: they follow the wheel, not one version of Unicode.
#include <cstddef>
#include <cstdint>

namespace mlac {

enum ScalarFlag : uint8_t {
  kRemovedByCleaning = 1,  // BertNormalizer's clean_text removes it: controls, formats, private use, U+FFFD
  kSpaceByCleaning = 2,    // clean_text turns it into a space
  kChinese = 4,            // handle_chinese_chars puts spaces around it
  kNonspacingMark = 8,     // strip_accents removes it after NFD
  kWhiteSpace = 16,        // splits words; lstrip and rstrip of added tokens take it in
  kPunctuation = 32,       // a word of its own to BertPreTokenizer
  kWordScalar = 64,        // \w: no border for an added token that is a single_word
  kHangulSyllable = 128,   // decomposes by arithmetic
};

struct ScalarProperties {
  uint8_t flags;                 // of ScalarFlag
  uint8_t combining_order;       // 0: a starter; else the rank of its canonical combining class among those in use, from 1
  uint8_t decomposition_length;  // 0: NFD leaves it alone (or it is a Hangul syllable)
  uint16_t decomposition_begin;  // in kScalarDecompositions
  int32_t lower_delta;           // what lower-casing adds, but for U+0130 (PutLowerCase)
};

inline constexpr int kScalarBlockShift = 7;
inline constexpr int kNumCombiningOrders = 64;  // above every combining_order

extern const ScalarProperties kScalarRecords[];
extern const char32_t kScalarDecompositions[];  // canonical, complete and in canonical order
extern const uint16_t kScalarStage[];           // block of scalar >> kScalarBlockShift
extern const uint16_t kScalarBlocks[];          // record of each scalar of a block

// scalar: at most U+10FFFF.
inline const ScalarProperties& PropertiesOf(char32_t scalar) {
  const size_t block = kScalarStage[scalar >> kScalarBlockShift];
  return kScalarRecords[kScalarBlocks[block << kScalarBlockShift | (scalar & ((1 << kScalarBlockShift) - 1))]];
}

// Calls put(char32_t) for each scalar of the lower case: one, but two of U+0130, an I with a dot: i and the dot.
template <typename Put>
void PutLowerCase(char32_t scalar, const ScalarProperties& properties, Put put) {
  if (scalar == 0x130) {
    put(U'i');
    return put(char32_t{0x307});
  }
  put(static_cast<char32_t>(static_cast<int32_t>(scalar) + properties.lower_delta));
}

}  // namespace mlac
