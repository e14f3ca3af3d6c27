#include "tensor/large_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <new>

namespace mlac {
namespace {

constexpr size_t kAlignment = 64;  // a cache line, and the widest vector

constexpr size_t RoundUp(size_t num_bytes, size_t step) { return (num_bytes + step - 1) / step * step; }

// The address sanitiser watches what malloc gives, and nothing else.
#ifdef __SANITIZE_ADDRESS__
constexpr size_t kSmallestMapped = SIZE_MAX;
#else
constexpr size_t kSmallestMapped = kHugePage;
#endif

constexpr size_t kPage = size_t{64} << 10;  // the largest that a system may have (Arm): parts of a mapping end at a page

std::byte* Map(size_t num_bytes) noexcept {
  const size_t size = RoundUp(num_bytes, kPage), reserved = size + kHugePage;
  void* found = mmap(nullptr, reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (found == MAP_FAILED) return nullptr;
  auto* const begin = static_cast<std::byte*>(found);
  const size_t before = RoundUp(reinterpret_cast<uintptr_t>(begin), kHugePage) - reinterpret_cast<uintptr_t>(begin), behind = kHugePage - before;
  if (before > 0) munmap(begin, before);
  if (behind > 0) munmap(begin + before + size, behind);
  madvise(begin + before, size, MADV_HUGEPAGE);  // a system without them gives small pages
  return begin + before;
}

std::shared_ptr<std::byte> Shared(size_t num_bytes) {
  std::byte* memory = AllocateMemory(num_bytes);
  if (memory == nullptr) throw std::bad_alloc();
  return {memory, [num_bytes](std::byte* memory) { FreeMemory(memory, num_bytes); }};
}

// What weights share. Blocks grow with what is asked for, so that a small model takes little.
struct WeightBlock {
  std::mutex mutex;
  std::shared_ptr<std::byte> memory;
  size_t size = 0, used = 0;
};

}  // namespace

std::byte* AllocateMemory(size_t num_bytes) noexcept {
  if (num_bytes > PTRDIFF_MAX - 2 * kHugePage) return nullptr;  // else rounding up would begin again at 0
  if (num_bytes >= kSmallestMapped) return Map(num_bytes);
  return static_cast<std::byte*>(std::aligned_alloc(kAlignment, RoundUp(std::max<size_t>(1, num_bytes), kAlignment)));
}

void FreeMemory(std::byte* memory, size_t num_bytes) noexcept {
  if (memory == nullptr) return;
  if (num_bytes < kSmallestMapped) return std::free(memory);
  munmap(memory, RoundUp(num_bytes, kPage));
}

std::shared_ptr<std::byte> AllocateWeightMemory(size_t num_bytes) {
  constexpr size_t kSmallest = size_t{16} << 10, kLargestBlock = size_t{16} << 20;
  if (num_bytes < kSmallest || num_bytes >= kLargestBlock / 2 || kSmallestMapped == SIZE_MAX) return Shared(num_bytes);
  static WeightBlock block;
  const std::lock_guard<std::mutex> lock(block.mutex);
  const size_t rounded = RoundUp(num_bytes, kAlignment);
  if (block.memory == nullptr || block.size - block.used < rounded) {
    size_t size = std::clamp(2 * block.size, kHugePage, kLargestBlock);
    while (size < rounded) size *= 2;
    block.memory = Shared(size);
    block.size = size;
    block.used = 0;
  }
  std::byte* const weight = block.memory.get() + block.used;
  block.used += rounded;
  return {block.memory, weight};
}

}  // namespace mlac
