#include "text/byte_trie.h"

#include <algorithm>
#include <bit>
#include <random>
#include <utility>

#include "base/error.h"

namespace mlac {

ByteTrie::ByteTrie(size_t expected_nodes) {
  std::random_device entropy;
  // Multiplicative hashing (Dietzfelbinger et al. 1997, https://doi.org/10.1006/jagm.1997.0873): odd, with its high bits in use.
  multiplier_ = uint64_t{entropy()} << 32 | entropy() | uint64_t{1} << 63 | 1;
  values_.push_back(-1);
  Resize(std::bit_ceil(64 + std::min(expected_nodes, kMaxNodes) * 8 / 5));
}

void ByteTrie::Resize(size_t num_places) {
  const std::vector<Edge> old = std::exchange(edges_, std::vector<Edge>(num_places, {0, kRoot}));
  shift_ = 64 - std::countr_zero(num_places);
  for (const Edge& edge : old) {
    if (edge.child != kRoot) edges_[Place(edge.key)] = edge;
  }
}

void ByteTrie::Insert(std::string_view key, int32_t value) {
  Node node = kRoot;
  size_t place = 0;
  for (const char c : key) {
    const uint32_t edge_key = node << 8 | static_cast<unsigned char>(c);
    place = Place(edge_key);
    if (edges_[place].child == kRoot) {
      if (values_.size() == kMaxNodes) throw Error(ErrorCode::kTooLarge, "the tokens need a search tree of more than 16777216 nodes");
      if (values_.size() * 8 > edges_.size() * 5) {  // five eighths full
        Resize(edges_.size() * 2);
        place = Place(edge_key);
      }
      edges_[place] = {edge_key, static_cast<Node>(values_.size())};
      values_.push_back(-1);
    }
    node = edges_[place].child & ~kKeyEnds;
  }
  if (key.empty() || values_[node] >= 0) return;
  edges_[place].child |= kKeyEnds;
  values_[node] = value;
}

ByteTrie::Node ByteTrie::Walk(Node node, std::string_view bytes) const {
  for (const char c : bytes) {
    const Node child = Child(node, static_cast<unsigned char>(c));
    if (child == kNone) return kNone;
    node = child & ~kKeyEnds;
  }
  return node;
}

}  // namespace mlac
