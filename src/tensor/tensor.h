#pragma once
// Tensor: a dtype, a shape and contiguous row-major storage that is owned, or borrowed from a mapped file. Copies share storage.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mlac {

// The types of safetensors that mlac stores; kernels compute in f32.
enum class DType { kF32, kF16, kBF16, kF64, kI8, kI16, kI32, kI64, kU8, kU16, kU32, kU64, kBool };

size_t NumBytes(DType dtype);            // of one element
std::string_view Name(DType dtype);      // as safetensors spells it: "F32"

using Shape = std::vector<size_t>;

// The product of the dimensions, 1 for a scalar. Throws kInvalidInput if it does not fit into 63 bits.
size_t NumElements(const Shape& shape);
std::string ToString(const Shape& shape);  // "[384, 384]"

class Tensor {
 public:
  Tensor() = default;

  // Owned and zeroed. Throws kResourceExhausted if there is no memory.
  static Tensor Zeros(Shape shape, DType dtype = DType::kF32);
  // Owned, content undefined.
  static Tensor Uninitialized(Shape shape, DType dtype = DType::kF32);
  // The same for what lives as long as a model and is read by each pass (AllocateWeightMemory).
  static Tensor UninitializedWeight(Shape shape, DType dtype = DType::kF32);
  static Tensor FromValues(Shape shape, std::span<const float> values);
  // Borrowed: keep_alive holds whatever owns data. data has NumElements(shape) elements; it is not written to.
  static Tensor Borrow(Shape shape, DType dtype, const std::byte* data, std::shared_ptr<const void> keep_alive);

  // Owned: storage is the tensor's own from now on and may be written to. Its content is what it holds.
  static Tensor Adopt(Shape shape, DType dtype, std::shared_ptr<std::byte> storage);

  bool defined() const { return data_ != nullptr || !shape_.empty(); }
  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  size_t dim(size_t i) const { return shape_[i]; }
  size_t num_elements() const { return num_elements_; }
  size_t num_bytes() const { return num_elements_ * NumBytes(dtype_); }
  const std::byte* data() const { return data_; }

  // The elements of an f32 tensor (asserted). Writing needs owned storage (asserted).
  std::span<const float> floats() const;
  std::span<float> mutable_floats();
  std::span<std::byte> mutable_bytes();

  // Where a training run recorded how this tensor was made (autograd/tape.h); 0: it was not, and no gradient flows into it.
  uint32_t tape_id() const { return tape_id_; }
  void set_tape_id(uint32_t id) { tape_id_ = id; }

  // Rows [begin, end) of the leading dimension, sharing storage.
  Tensor Rows(size_t begin, size_t end) const;
  // An owned f32 copy; converts F16, BF16, F64 (to nearest even) and integers. Throws kUnsupported for kBool.
  Tensor ToF32() const;

 private:
  static Tensor WithMemory(Shape shape, DType dtype, std::shared_ptr<std::byte> (*allocate)(size_t num_bytes));

  DType dtype_ = DType::kF32;
  Shape shape_;
  size_t num_elements_ = 0;
  const std::byte* data_ = nullptr;
  bool writable_ = false;
  uint32_t tape_id_ = 0;
  std::shared_ptr<const void> storage_;
};

}  // namespace mlac
