#include "text/byte_trie.h"

#include <bit>
#include <random>

#include "base/error.h"

namespace mlac {

ByteTrie::ByteTrie(size_t num_bytes) {
  if (num_bytes > kMaxBytes) throw Error(ErrorCode::kTooLarge, "a vocabulary of more than 16 MiB of text cannot be searched");
  std::random_device entropy;
  // Multiplicative hashing (Dietzfelbinger et al. 1997, https://doi.org/10.1006/jagm.1997.0873): odd, with its high bits in use.
  multiplier_ = uint64_t{entropy()} << 32 | entropy() | uint64_t{1} << 63 | 1;
  const size_t num_places = std::bit_ceil(num_bytes + num_bytes / 2 + 2);  // at most two thirds full, even if no key shares a byte
  shift_ = 64 - std::countr_zero(num_places);
  edges_.resize(num_places, {0, kRoot});
  values_.reserve(num_bytes + 1);
  values_.push_back(-1);
}

int32_t ByteTrie::Insert(std::string_view key, int32_t value) {
  Node node = kRoot;
  for (const char c : key) {
    const uint32_t edge_key = node << 8 | static_cast<unsigned char>(c);
    size_t place = Place(edge_key);
    while (edges_[place].child != kRoot && edges_[place].key != edge_key) place = (place + 1) & (edges_.size() - 1);
    if (edges_[place].child == kRoot) {
      edges_[place] = {edge_key, static_cast<Node>(values_.size())};
      values_.push_back(-1);
    }
    node = edges_[place].child;
  }
  const int32_t previous = values_[node];
  if (previous < 0) values_[node] = value;
  return previous;
}

ByteTrie::Node ByteTrie::Walk(Node node, std::string_view bytes) const {
  for (const char c : bytes) {
    if (node == kNone) return kNone;
    node = Child(node, static_cast<unsigned char>(c));
  }
  return node;
}

}  // namespace mlac
