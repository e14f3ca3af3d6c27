#pragma once
// A ragged batch: all tokens of all sequences end to end, no padding.
#include <cstddef>
#include <cstdint>
#include <vector>

namespace mlac {

// Sequence s is tokens offsets[s] to offsets[s + 1]; offsets[0] is 0, so there are offsets.size() - 1 sequences.
using Offsets = std::vector<size_t>;

struct TokenBatch {
  std::vector<int32_t> token_ids;       // [T]
  std::vector<int32_t> token_type_ids;  // [T], the segment of a pair: 0 or 1
  Offsets offsets = {0};

  size_t num_tokens() const { return token_ids.size(); }
  size_t num_sequences() const { return offsets.size() - 1; }
};

}  // namespace mlac
