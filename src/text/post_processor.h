#pragma once
// The last step of encoding: special tokens around one text or between two.
#include <cstddef>
#include <cstdint>
#include <vector>

namespace mlac {

struct TemplatePiece {
  int sequence = -1;                // 0: the first text's tokens, 1: the second's, -1: the special tokens below
  int32_t type_id = 0;
  std::vector<int32_t> special_ids;
};

// The pieces of an encoding, in order; each text stands once. A model without a post-processor has {first} and {first, second}.
struct PostProcessor {
  std::vector<TemplatePiece> single = {{0, 0, {}}};
  std::vector<TemplatePiece> pair = {{0, 0, {}}, {1, 1, {}}};

  // The number of special tokens.
  size_t NumAdded(bool is_pair) const {
    size_t count = 0;
    for (const TemplatePiece& piece : is_pair ? pair : single) count += piece.special_ids.size();
    return count;
  }
};

}  // namespace mlac
