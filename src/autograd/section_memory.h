#pragma once
// What gradient checkpointing saves: the memory that a pass would take if no section of it were computed again (recompute.h).
#include <cstddef>

namespace mlac {

class SectionMemory {
 public:
  // A section will be computed again.
  void Open() { ++num_open_; }
  // It has been, and its operators kept this much. peak_bytes: the most that intermediate results have taken at once.
  void Close(size_t num_kept_bytes, size_t peak_bytes);

  // About what the peak would have been; 0 where nothing is computed again.
  size_t bytes_without_recompute() const { return bytes_without_recompute_; }

 private:
  size_t num_open_ = 0, kept_bytes_ = 0, most_kept_bytes_ = 0;  // kept: by the sections computed again since none was open
  size_t bytes_without_recompute_ = 0;
};

}  // namespace mlac
