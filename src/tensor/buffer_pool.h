#pragma once
// Memory of intermediate tensors, used again: in steady state a forward pass asks the system for nothing.
#include <memory>

#include "tensor/tensor.h"

namespace mlac {

// Not thread-safe: tensors of a pool are made and dropped by one thread. A tensor may outlive its pool.
class BufferPool {
 public:
  BufferPool();

  // A tensor with undefined content; its memory comes back to the pool when its last copy goes.
  Tensor NewTensor(Shape shape, DType dtype = DType::kF32);

  // Bytes of the buffers that tensors have at this moment, and the most that they have had at once. A buffer is up to twice as large as its tensor.
  size_t bytes_in_use() const;
  size_t peak_bytes() const;

 private:
  struct FreeList;
  std::shared_ptr<FreeList> free_;
};

}  // namespace mlac
