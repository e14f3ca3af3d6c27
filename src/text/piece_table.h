#pragma once
// The pieces of WordPiece by their bytes: is a word one piece, and what is the longest piece that it starts with?
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include "text/byte_trie.h"
#include "text/vocabulary.h"

namespace mlac {

// A piece begins a word or continues one; the two kinds are searched apart. Pieces of up to 16 bytes, nearly all of them in BERT's
// vocabulary, stand in one hash table, each with its bytes beside its id: a look-up loads 16 bytes of the text, cuts them to a length,
// multiplies once and compares once. The longest piece is found by trying lengths from the longest on, but only those that some piece
// with the same first three bytes has. Longer pieces stand in a trie.
//
// A stranger's vocabulary cannot make the table slow: the hash function is drawn anew for each one (what it finds does not depend on
// it), and a search tries each length once at most.
class PieceTable {
 public:
  static constexpr size_t kMaxShort = 16;  // bytes of a piece in the hash table
  static constexpr size_t kMaxPieces = size_t{1} << 23;

  enum Kind : uint32_t { kBegins = 0, kContinues = 1 };

  // All tokens begin words; those that start with the prefix and go on continue them. Throws kTooLarge above kMaxPieces.
  PieceTable(const Vocabulary& vocabulary, std::string_view continuing_prefix);

  // Bytes [begin, end) of text, 1 to kMaxShort of them, as one piece that begins a word: its id, or -1.
  int32_t FindWord(std::string_view text, size_t begin, size_t end) const {
    return Find(Load(text, begin).Cut(end - begin), static_cast<uint32_t>(end - begin), kBegins);
  }

  struct Match {
    int32_t id = -1;  // -1: none
    size_t length = 0;
  };
  // The longest piece that bytes [begin, end) of text, at least one, start with.
  Match LongestMatch(Kind kind, std::string_view text, size_t begin, size_t end) const;

 private:
  // The bytes of a short piece, then zeros.
  struct Key {
    uint64_t low, high;

    // Its first `length` bytes, then zeros. length: 0 to kMaxShort.
    Key Cut(size_t length) const {
      uint64_t low_mask, high_mask;
      std::memcpy(&low_mask, kOnesThenZeros.data() + kMaxShort - length, sizeof(low_mask));
      std::memcpy(&high_mask, kOnesThenZeros.data() + kMaxShort - length + sizeof(low_mask), sizeof(high_mask));
      return {low & low_mask, high & high_mask};
    }
  };
  static constexpr std::array<uint8_t, 2 * kMaxShort> kOnesThenZeros = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
                                                                        0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};

  struct Slot {
    Key key;
    uint32_t tag;  // length << 1 | kind
    int32_t id;
  };

  // 16 bytes of text from begin on, zeros behind its end.
  static Key Load(std::string_view text, size_t begin) {
    Key key = {0, 0};
    if (text.size() - begin >= sizeof(key)) {
      std::memcpy(&key, text.data() + begin, sizeof(key));
    } else {
      std::memcpy(&key, text.data() + begin, text.size() - begin);
    }
    return key;
  }

  // Both halves of a 128-bit product, folded, as wyhash does (Wang Yi, https://github.com/wangyi-fudan/wyhash).
  uint64_t Hash(const Key& key, uint32_t tag) const {
    __extension__ using Product = unsigned __int128;
    const Product product = static_cast<Product>(key.low ^ seeds_[0] ^ tag) * (key.high ^ seeds_[1]);
    return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
  }
  // Of a slot that is taken; never 0.
  static uint8_t Fingerprint(uint64_t hash) { return static_cast<uint8_t>(hash >> 56 | 1); }

  int32_t Find(const Key& key, uint32_t length, Kind kind) const {
    const uint32_t tag = length << 1 | kind;
    const uint64_t hash = Hash(key, tag);
    for (size_t place = hash & (slots_.size() - 1); fingerprints_[place] != 0; place = (place + 1) & (slots_.size() - 1)) {
      if (fingerprints_[place] != Fingerprint(hash)) continue;
      const Slot& slot = slots_[place];
      if (slot.key.low == key.low && slot.key.high == key.high && slot.tag == tag) return slot.id;
    }
    return -1;
  }

  // Which lengths the pieces with the first three bytes of key have: bit n - 2 for n of 3 to kMaxShort, bit 0 for longer ones. Others may
  // share the place; what is looked for in vain then costs time only.
  size_t LengthsPlace(const Key& key, Kind kind) const {
    const auto start = static_cast<uint32_t>(key.low & 0xFFFFFF) | static_cast<uint32_t>(kind) << 24;
    return start * uint32_t{0x9E3779B1} >> lengths_shift_;  // the golden ratio
  }

  void Insert(std::string_view piece, Kind kind, int32_t id);

  Kind continues_;  // kBegins if the prefix is empty: then every piece may stand anywhere
  std::array<uint64_t, 2> seeds_;
  std::vector<Slot> slots_;  // a power of two, at most two thirds of them taken
  // Of each slot, 0 if it is free. What is not there is seldom looked for beyond these, which stay in the cache.
  std::vector<uint8_t> fingerprints_;
  std::vector<uint16_t> lengths_;
  int lengths_shift_;
  ByteTrie long_pieces_;                // of the tokens, prefix included, of more than kMaxShort bytes
  ByteTrie::Node long_continuations_;  // where those that continue a word begin; kNone if there are none
};

}  // namespace mlac
