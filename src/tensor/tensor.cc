#include "tensor/tensor.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <bit>
#include <cassert>
#include <cstdint>
#include <cstring>
#include <limits>
#include <new>

#include "base/error.h"
#include "tensor/large_memory.h"

namespace mlac {
namespace {

[[noreturn]] void OutOfMemory(size_t num_bytes) {
  throw Error(ErrorCode::kResourceExhausted, fmt::format("out of memory: a tensor asks for {} bytes", num_bytes));
}

std::shared_ptr<std::byte> Allocate(size_t num_bytes) {
  std::byte* memory = AllocateMemory(num_bytes);
  if (memory == nullptr) OutOfMemory(num_bytes);
  return {memory, [num_bytes](std::byte* memory) { FreeMemory(memory, num_bytes); }};
}

std::shared_ptr<std::byte> AllocateForWeight(size_t num_bytes) {
  try {
    return AllocateWeightMemory(num_bytes);
  } catch (const std::bad_alloc&) {
    OutOfMemory(num_bytes);
  }
}

float FromF16(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16;
  const uint32_t exponent = bits >> 10 & 31, fraction = bits & 1023;
  if (exponent == 0) {  // zero or subnormal: fraction x 2^-24, exact in f32
    const float magnitude = static_cast<float>(fraction) * 0x1p-24f;
    return sign != 0 ? -magnitude : magnitude;
  }
  const uint32_t wide_exponent = exponent == 31 ? 255 : exponent + (127 - 15);
  return std::bit_cast<float>(sign | wide_exponent << 23 | fraction << 13);
}

float FromBF16(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

template <typename T, typename Convert>
void ConvertAll(const Tensor& from, std::span<float> to, Convert convert) {
  for (size_t i = 0; i < to.size(); ++i) {
    T value;  // a mapped tensor need not be aligned
    std::memcpy(&value, from.data() + i * sizeof(T), sizeof(T));
    to[i] = convert(value);
  }
}

}  // namespace

size_t NumBytes(DType dtype) {
  switch (dtype) {
    case DType::kF64: case DType::kI64: case DType::kU64: return 8;
    case DType::kF32: case DType::kI32: case DType::kU32: return 4;
    case DType::kF16: case DType::kBF16: case DType::kI16: case DType::kU16: return 2;
    case DType::kI8: case DType::kU8: case DType::kBool: return 1;
  }
  return 0;
}

std::string_view Name(DType dtype) {
  switch (dtype) {
    case DType::kF32: return "F32";
    case DType::kF16: return "F16";
    case DType::kBF16: return "BF16";
    case DType::kF64: return "F64";
    case DType::kI8: return "I8";
    case DType::kI16: return "I16";
    case DType::kI32: return "I32";
    case DType::kI64: return "I64";
    case DType::kU8: return "U8";
    case DType::kU16: return "U16";
    case DType::kU32: return "U32";
    case DType::kU64: return "U64";
    case DType::kBool: return "BOOL";
  }
  return "";
}

size_t NumElements(const Shape& shape) {
  size_t product = 1;
  for (const size_t dimension : shape) {
    if (__builtin_mul_overflow(product, dimension, &product) || product > static_cast<size_t>(std::numeric_limits<int64_t>::max()))
      throw Error(ErrorCode::kInvalidInput, fmt::format("the shape {} has more elements than 63 bits count", ToString(shape)));
  }
  return product;
}

std::string ToString(const Shape& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

Tensor Tensor::WithMemory(Shape shape, DType dtype, std::shared_ptr<std::byte> (*allocate)(size_t num_bytes)) {
  Tensor tensor;
  tensor.dtype_ = dtype;
  tensor.num_elements_ = NumElements(shape);
  tensor.shape_ = std::move(shape);
  size_t num_bytes;
  if (__builtin_mul_overflow(tensor.num_elements_, NumBytes(dtype), &num_bytes))
    throw Error(ErrorCode::kResourceExhausted, fmt::format("a tensor of shape {} does not fit into memory", ToString(tensor.shape_)));
  std::shared_ptr<std::byte> storage = allocate(num_bytes);
  tensor.data_ = storage.get();
  tensor.storage_ = std::move(storage);
  tensor.writable_ = true;
  return tensor;
}

Tensor Tensor::Uninitialized(Shape shape, DType dtype) { return WithMemory(std::move(shape), dtype, Allocate); }

Tensor Tensor::UninitializedWeight(Shape shape, DType dtype) { return WithMemory(std::move(shape), dtype, AllocateForWeight); }

Tensor Tensor::Zeros(Shape shape, DType dtype) {
  Tensor tensor = Uninitialized(std::move(shape), dtype);
  std::memset(tensor.mutable_bytes().data(), 0, tensor.num_bytes());
  return tensor;
}

Tensor Tensor::FromValues(Shape shape, std::span<const float> values) {
  Tensor tensor = Uninitialized(std::move(shape));
  assert(values.size() == tensor.num_elements());
  if (!values.empty()) std::memcpy(tensor.mutable_bytes().data(), values.data(), values.size_bytes());
  return tensor;
}

Tensor Tensor::Borrow(Shape shape, DType dtype, const std::byte* data, std::shared_ptr<const void> keep_alive) {
  Tensor tensor;
  tensor.dtype_ = dtype;
  tensor.num_elements_ = NumElements(shape);
  tensor.shape_ = std::move(shape);
  tensor.data_ = data;
  tensor.storage_ = std::move(keep_alive);
  return tensor;
}

Tensor Tensor::Adopt(Shape shape, DType dtype, std::shared_ptr<std::byte> storage) {
  Tensor tensor = Borrow(std::move(shape), dtype, storage.get(), storage);
  tensor.writable_ = true;
  return tensor;
}

std::span<const float> Tensor::floats() const {
  assert(dtype_ == DType::kF32);
  return {reinterpret_cast<const float*>(data_), num_elements_};
}

std::span<float> Tensor::mutable_floats() {
  assert(dtype_ == DType::kF32 && writable_);
  return {reinterpret_cast<float*>(const_cast<std::byte*>(data_)), num_elements_};
}

std::span<std::byte> Tensor::mutable_bytes() {
  assert(writable_);
  return {const_cast<std::byte*>(data_), num_bytes()};
}

Tensor Tensor::Rows(size_t begin, size_t end) const {
  assert(!shape_.empty() && begin <= end && end <= shape_[0]);
  Tensor tensor = *this;
  const size_t row_elements = shape_[0] == 0 ? 0 : num_elements_ / shape_[0];
  tensor.shape_[0] = end - begin;
  tensor.num_elements_ = (end - begin) * row_elements;
  tensor.data_ = data_ + begin * row_elements * NumBytes(dtype_);
  return tensor;
}

Tensor Tensor::ToF32() const {
  Tensor result = Uninitialized(shape_);
  const std::span<float> to = result.mutable_floats();
  const auto cast = [](auto value) { return static_cast<float>(value); };
  switch (dtype_) {
    case DType::kF32: ConvertAll<float>(*this, to, cast); break;
    case DType::kF64: ConvertAll<double>(*this, to, cast); break;
    case DType::kF16: ConvertAll<uint16_t>(*this, to, FromF16); break;
    case DType::kBF16: ConvertAll<uint16_t>(*this, to, FromBF16); break;
    case DType::kI8: ConvertAll<int8_t>(*this, to, cast); break;
    case DType::kI16: ConvertAll<int16_t>(*this, to, cast); break;
    case DType::kI32: ConvertAll<int32_t>(*this, to, cast); break;
    case DType::kI64: ConvertAll<int64_t>(*this, to, cast); break;
    case DType::kU8: ConvertAll<uint8_t>(*this, to, cast); break;
    case DType::kU16: ConvertAll<uint16_t>(*this, to, cast); break;
    case DType::kU32: ConvertAll<uint32_t>(*this, to, cast); break;
    case DType::kU64: ConvertAll<uint64_t>(*this, to, cast); break;
    case DType::kBool: throw Error(ErrorCode::kUnsupported, "a BOOL tensor is no weight");
  }
  return result;
}

}  // namespace mlac
