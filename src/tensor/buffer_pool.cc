#include "tensor/buffer_pool.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <map>
#include <new>

#include "base/error.h"
#include "tensor/large_memory.h"

namespace mlac {
namespace {

constexpr size_t kSmallest = 1024;

constexpr size_t kCoarse = size_t{2} << 20;  // what a group of 128 rows needs lies below; there a few sizes should do for all batches

// Sizes are rounded up, so that a buffer fits the next, slightly different, ragged batch: to powers of two up to kCoarse, beyond to four
// steps an octave, where half of a buffer unused would count.
size_t RoundSize(size_t num_bytes) {
  if (num_bytes <= kSmallest) return kSmallest;
  if (num_bytes <= kCoarse) return std::bit_ceil(num_bytes);
  const size_t step = std::bit_floor(num_bytes - 1) / 4;
  return (num_bytes + step - 1) / step * step;
}

}  // namespace

struct BufferPool::FreeList {
  std::multimap<size_t, std::byte*> buffers;
  size_t bytes_in_use = 0, peak_bytes = 0;
  ~FreeList() {
    for (const auto& [size, buffer] : buffers) FreeMemory(buffer, size);
  }
};

BufferPool::BufferPool() : free_(std::make_shared<FreeList>()) {}

Tensor BufferPool::NewTensor(Shape shape, DType dtype) {
  const auto refuse = [] { throw Error(ErrorCode::kResourceExhausted, "out of memory for intermediate results", "a smaller batch needs less"); };
  size_t size;
  if (__builtin_mul_overflow(NumElements(shape), NumBytes(dtype), &size) || size > PTRDIFF_MAX / 2) refuse();
  size = RoundSize(size);
  std::byte* buffer;
  // The smallest that is large enough, unless most of it would be unused.
  if (const auto found = free_->buffers.lower_bound(size); found != free_->buffers.end() && found->first <= 2 * size) {
    size = found->first;
    buffer = found->second;
    free_->buffers.erase(found);
  } else {
    buffer = AllocateMemory(size);
    if (buffer == nullptr) refuse();
  }
  const auto give_back = [list = std::weak_ptr(free_), size](std::byte* memory) {
    const auto alive = list.lock();
    if (alive) alive->bytes_in_use -= size;
    try {
      if (alive) return static_cast<void>(alive->buffers.emplace(size, memory));
    } catch (const std::bad_alloc&) {  // no room to note it down: a tensor that goes must not throw
    }
    FreeMemory(memory, size);
  };
  free_->bytes_in_use += size;
  free_->peak_bytes = std::max(free_->peak_bytes, free_->bytes_in_use);
  return Tensor::Adopt(std::move(shape), dtype, std::shared_ptr<std::byte>(buffer, give_back));
}

size_t BufferPool::bytes_in_use() const { return free_->bytes_in_use; }

size_t BufferPool::peak_bytes() const { return free_->peak_bytes; }

}  // namespace mlac
