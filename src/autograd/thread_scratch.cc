#include "autograd/thread_scratch.h"

#include <cstdint>

namespace mlac {

float* ThreadScratch::Of(size_t thread, size_t count) {
  constexpr size_t kAlignment = 64;
  std::vector<float>& memory = memory_[thread];
  const size_t size = count + kAlignment / sizeof(float);
  if (memory.size() < size) memory.resize(size);
  const auto address = reinterpret_cast<uintptr_t>(memory.data());
  return memory.data() + ((kAlignment - address % kAlignment) % kAlignment) / sizeof(float);
}

}  // namespace mlac
