#include "text/piece_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <random>

#include "base/error.h"

namespace mlac {
namespace {

constexpr size_t kFilteredLength = 3;  // of the start of a piece that lengths_ goes by
constexpr uint32_t kLonger = 1;        // in lengths_: pieces of more than kMaxShort bytes

// In lengths_: pieces of `length` bytes, kFilteredLength or more.
constexpr uint32_t LengthBit(size_t length) { return length > PieceTable::kMaxShort ? kLonger : uint32_t{2} << (length - kFilteredLength); }

}  // namespace

PieceTable::PieceTable(const Vocabulary& vocabulary, std::string_view continuing_prefix)
    : continues_(continuing_prefix.empty() ? kBegins : kContinues) {
  std::random_device entropy;
  for (uint64_t& seed : seeds_) seed = uint64_t{entropy()} << 32 | entropy();
  const auto continues = [&](std::string_view token) {
    return continues_ == kContinues && token.size() > continuing_prefix.size() && token.starts_with(continuing_prefix);
  };
  size_t num_pieces = vocabulary.size();
  for (size_t i = 0; i < vocabulary.size(); ++i) num_pieces += continues(vocabulary.token(i));
  if (num_pieces > kMaxPieces)
    throw Error(ErrorCode::kTooLarge, fmt::format("the tokens are {} pieces of words; at most {} are possible", num_pieces, kMaxPieces));

  slots_.resize(std::bit_ceil(num_pieces + num_pieces / 2 + 2));
  fingerprints_.resize(slots_.size());
  const int lengths_bits = std::clamp(static_cast<int>(std::bit_width(num_pieces)) - 1, 8, 20);  // BERT: 32,768 places for 6,410 starts
  lengths_.resize(size_t{1} << lengths_bits);
  lengths_shift_ = 32 - lengths_bits;
  for (size_t i = 0; i < vocabulary.size(); ++i) {
    const std::string_view token = vocabulary.token(i);
    Insert(token, kBegins, vocabulary.id(i));
    if (continues(token)) Insert(token.substr(continuing_prefix.size()), kContinues, vocabulary.id(i));
    if (token.size() > kMaxShort) long_pieces_.Insert(token, vocabulary.id(i));
  }
  long_continuations_ = long_pieces_.Walk(ByteTrie::kRoot, continuing_prefix);
}

void PieceTable::Insert(std::string_view piece, Kind kind, int32_t id) {
  if (piece.empty()) return;
  const Key key = Load(piece, 0);
  if (piece.size() >= kFilteredLength)
    lengths_[LengthsPlace(key, kind)] |= static_cast<uint16_t>(LengthBit(piece.size()));
  if (piece.size() > kMaxShort) return;
  const uint32_t tag = static_cast<uint32_t>(piece.size()) << 1 | kind;
  const uint64_t hash = Hash(key, tag);
  size_t place = hash & (slots_.size() - 1);
  while (fingerprints_[place] != 0) place = (place + 1) & (slots_.size() - 1);
  slots_[place] = {key, tag, id};
  fingerprints_[place] = Fingerprint(hash);
}

PieceTable::Match PieceTable::LongestMatch(Kind kind, std::string_view text, size_t begin, size_t end) const {
  if (continues_ == kBegins) kind = kBegins;
  const size_t longest = std::min(end - begin, kMaxShort);
  const Key key = Load(text, begin);
  if (longest >= kFilteredLength) {
    const uint32_t lengths = lengths_[LengthsPlace(key, kind)];
    if (lengths & kLonger && end - begin > kMaxShort) {
      const ByteTrie::Node node = kind == kBegins ? ByteTrie::kRoot : long_continuations_;
      const ByteTrie::Match match =
          node == ByteTrie::kNone ? ByteTrie::Match() : long_pieces_.LongestMatch(node, text.substr(begin, end - begin));
      if (match.length > kMaxShort) return {match.value, match.length};
    }
    for (uint32_t left = lengths & ~kLonger & (2 * LengthBit(longest) - 1); left != 0;) {
      const auto length = static_cast<uint32_t>(std::bit_width(left) - 2 + kFilteredLength);
      if (const int32_t id = Find(key.Cut(length), length, kind); id >= 0) return {id, length};
      left ^= LengthBit(length);
    }
  }
  for (auto length = static_cast<uint32_t>(std::min(longest, kFilteredLength - 1)); length > 0; --length) {
    if (const int32_t id = Find(key.Cut(length), length, kind); id >= 0) return {id, length};
  }
  return {};
}

}  // namespace mlac
