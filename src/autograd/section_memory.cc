#include "autograd/section_memory.h"

#include <algorithm>
#include <cassert>

namespace mlac {

void SectionMemory::Close(size_t num_kept_bytes, size_t peak_bytes) {
  assert(num_open_ > 0);
  kept_bytes_ += num_kept_bytes;
  most_kept_bytes_ = std::max(most_kept_bytes_, num_kept_bytes);
  if (--num_open_ > 0) return;
  // The peak holds what one section keeps; without recomputing all would keep theirs until the backward pass.
  bytes_without_recompute_ = std::max(bytes_without_recompute_, peak_bytes + kept_bytes_ - most_kept_bytes_);
  kept_bytes_ = most_kept_bytes_ = 0;
}

}  // namespace mlac
