#pragma once
// Memory of a thread for the time of one piece of work: tiles, scores, a copied panel.
#include <cstddef>
#include <vector>

namespace mlac {

// Safe to call from several threads, each with its own number.
class ThreadScratch {
 public:
  explicit ThreadScratch(size_t num_threads) : memory_(num_threads) {}

  // At least `count` floats for the given thread, aligned to 64 bytes, undefined, until its next call.
  float* Of(size_t thread, size_t count);

 private:
  std::vector<std::vector<float>> memory_;
};

}  // namespace mlac
