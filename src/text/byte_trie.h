#pragma once
// A trie over bytes: the longest of many strings that another one starts with.
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace mlac {

// Nodes are numbered from 0, the root; the edges of all nodes stand in one hash table. A stranger's vocabulary cannot make its
// look-ups slow, because the hash function is drawn anew for each trie; what a trie finds does not depend on it.
class ByteTrie {
 public:
  using Node = uint32_t;
  static constexpr Node kRoot = 0, kNone = UINT32_MAX;
  static constexpr size_t kMaxNodes = size_t{1} << 24;  // an edge's key is the number of a node and a byte, in 32 bits

  // expected_nodes: room is made for so many at once; more are possible.
  explicit ByteTrie(size_t expected_nodes = 0);

  // Associates value (not negative) with key, which is not empty; a key that is there keeps its first value. Throws kTooLarge if more
  // than kMaxNodes nodes were needed.
  void Insert(std::string_view key, int32_t value);

  // The node that is reached from `node` by bytes, or kNone.
  Node Walk(Node node, std::string_view bytes) const;

  struct Match {
    int32_t value = -1;  // -1: none
    size_t length = 0;
  };
  // The longest key, without the bytes that lead to `node`, that text starts with; never an empty one.
  Match LongestMatch(Node node, std::string_view text) const {
    Node last = kNone;
    size_t length = 0;
    for (size_t i = 0; i < text.size(); ++i) {
      const Node child = Child(node, static_cast<unsigned char>(text[i]));
      if (child == kNone) break;
      node = child & ~kKeyEnds;
      if (child & kKeyEnds) last = node, length = i + 1;
    }
    return last == kNone ? Match() : Match{values_[last], length};
  }

 private:
  static constexpr Node kKeyEnds = uint32_t{1} << 31;  // in Edge::child: a key ends at that node

  struct Edge {
    uint32_t key;  // parent << 8 | byte
    Node child;    // kRoot: the place is free, since no edge leads to the root
  };

  size_t FirstPlace(uint32_t key) const { return static_cast<size_t>(key * multiplier_ >> shift_); }
  // The place of the edge with this key, or the free one where it belongs.
  size_t Place(uint32_t key) const {
    size_t place = FirstPlace(key);
    while (edges_[place].child != kRoot && edges_[place].key != key) place = (place + 1) & (edges_.size() - 1);
    return place;
  }
  Node Child(Node node, unsigned char byte) const {
    const Node child = edges_[Place(node << 8 | byte)].child;
    return child == kRoot ? kNone : child;
  }
  void Resize(size_t num_places);

  uint64_t multiplier_;
  int shift_;
  std::vector<Edge> edges_;
  std::vector<int32_t> values_;  // of each node
};

}  // namespace mlac
