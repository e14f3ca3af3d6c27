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
  static constexpr size_t kMaxBytes = size_t{1} << 24;  // of all keys together: a node's number leaves 8 bits for a byte

  // num_bytes: of all keys that will be inserted, at most kMaxBytes.
  explicit ByteTrie(size_t num_bytes);

  // Associates value (not negative) with key. Returns the value that key had, or -1; the first value stays.
  int32_t Insert(std::string_view key, int32_t value);

  // The node that is reached from `node` by bytes, or kNone.
  Node Walk(Node node, std::string_view bytes) const;

  struct Match {
    int32_t value = -1;  // -1: none
    size_t length = 0;
  };
  // The longest key, without the bytes that lead to `node`, that text starts with; never an empty one.
  Match LongestMatch(Node node, std::string_view text) const {
    Match match;
    for (size_t i = 0; i < text.size(); ++i) {
      node = Child(node, static_cast<unsigned char>(text[i]));
      if (node == kNone) break;
      if (values_[node] >= 0) match = {values_[node], i + 1};
    }
    return match;
  }

  // The value of a key that leads to `node`, or -1.
  int32_t value(Node node) const { return values_[node]; }

 private:
  struct Edge {
    uint32_t key;  // parent << 8 | byte
    Node child;    // kRoot: the place is free, since no edge leads to the root
  };

  size_t Place(uint32_t key) const { return static_cast<size_t>(key * multiplier_ >> shift_); }
  Node Child(Node node, unsigned char byte) const {
    const uint32_t key = node << 8 | byte;
    for (size_t place = Place(key);; place = (place + 1) & (edges_.size() - 1)) {
      const Edge& edge = edges_[place];
      if (edge.child == kRoot) return kNone;
      if (edge.key == key) return edge.child;
    }
  }

  uint64_t multiplier_;
  int shift_;
  std::vector<Edge> edges_;
  std::vector<int32_t> values_;  // of each node
};

}  // namespace mlac
