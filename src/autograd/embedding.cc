#include "autograd/embedding.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "kernels/quantize.h"
#include "kernels/vector_ops.h"

namespace mlac {

Tensor EmbeddingForward(Run& run, Parameter& table, std::span<const int32_t> ids) {
  const size_t count = table.value.dim(0), size = table.value.dim(1);
  for (const int32_t id : ids)
    if (id < 0 || static_cast<size_t>(id) >= count)
      throw Error(ErrorCode::kInvalidInput, fmt::format("id {} is outside of '{}', which has {} rows", id, table.name, count),
                  "are tokenizer and weights from the same model?");
  Tensor y = run.NewTensor({ids.size(), size});
  float* out = y.mutable_floats().data();
  if (table.value.dtype() == DType::kI8) {
    if (run.training()) throw Error(ErrorCode::kUnsupported, fmt::format("'{}' is int8, which cannot be trained", table.name));
    const auto* rows = reinterpret_cast<const int8_t*>(table.value.data());
    const std::span<const float> scales = table.scale.floats();
    run.ParallelFor(ids.size(), 16, [&](size_t begin, size_t end, size_t) {
      for (size_t t = begin; t < end; ++t) {
        const size_t id = static_cast<size_t>(ids[t]);
        kernels::DequantizeRow(rows + id * size, scales[id], size, out + t * size);
      }
    });
    return y;
  }
  const float* rows = table.value.floats().data();
  run.ParallelFor(ids.size(), 16, [&](size_t begin, size_t end, size_t) {
    for (size_t t = begin; t < end; ++t) std::copy_n(rows + static_cast<size_t>(ids[t]) * size, size, out + t * size);
  });
  if (run.tape() == nullptr || !table.trainable) return y;
  run.tape()->Record(y, [&table, ids = std::vector<int32_t>(ids.begin(), ids.end())](Run& run, const Tensor& gradient) {
    const size_t size = table.value.dim(1);
    float* rows = table.gradient.mutable_rows(ids).data();
    // Cut by columns, so that the tokens of one row are added in their order by one thread.
    run.ParallelFor(size, 16, [&](size_t begin, size_t end, size_t) {
      for (size_t t = 0; t < ids.size(); ++t) {
        float* row = rows + static_cast<size_t>(ids[t]) * size + begin;
        kernels::Add(row, gradient.floats().data() + t * size + begin, row, end - begin);
      }
    });
  });
  return y;
}

Tensor Dequantized(const Tensor& values, const Tensor& scales) {
  const size_t rows = values.dim(0), size = values.dim(1);
  Tensor floats = Tensor::Uninitialized({rows, size});
  for (size_t r = 0; r < rows; ++r)
    kernels::DequantizeRow(reinterpret_cast<const int8_t*>(values.data()) + r * size, scales.floats()[r], size, floats.mutable_floats().data() + r * size);
  return floats;
}

}  // namespace mlac
