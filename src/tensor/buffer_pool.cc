#include "tensor/buffer_pool.h"

#include <bit>
#include <cstdlib>
#include <map>

#include "base/error.h"

namespace mlac {
namespace {

constexpr size_t kAlignment = 64, kSmallest = 1024;

// Sizes are rounded to four steps an octave, so that a buffer fits the next, slightly different, ragged batch.
size_t RoundSize(size_t num_bytes) {
  if (num_bytes <= kSmallest) return kSmallest;
  const size_t step = std::bit_floor(num_bytes - 1) / 4;
  return (num_bytes + step - 1) / step * step;
}

}  // namespace

struct BufferPool::FreeList {
  std::multimap<size_t, std::byte*> buffers;
  ~FreeList() {
    for (const auto& [size, buffer] : buffers) std::free(buffer);
  }
};

BufferPool::BufferPool() : free_(std::make_shared<FreeList>()) {}

Tensor BufferPool::NewTensor(Shape shape) {
  const size_t size = RoundSize(NumElements(shape) * sizeof(float));
  std::byte* buffer;
  if (const auto found = free_->buffers.find(size); found != free_->buffers.end()) {
    buffer = found->second;
    free_->buffers.erase(found);
  } else {
    buffer = static_cast<std::byte*>(std::aligned_alloc(kAlignment, size));
    if (buffer == nullptr) throw Error(ErrorCode::kResourceExhausted, "out of memory for intermediate results", "a smaller batch needs less");
  }
  const auto give_back = [list = std::weak_ptr(free_), size](std::byte* memory) {
    if (const auto alive = list.lock()) {
      alive->buffers.emplace(size, memory);
    } else {
      std::free(memory);
    }
  };
  return Tensor::Adopt(std::move(shape), DType::kF32, std::shared_ptr<std::byte>(buffer, give_back));
}

}  // namespace mlac
