#include "autograd/narrow_product.h"

#include "kernels/bf16_pack.h"

namespace mlac {
namespace {

constexpr size_t kTileRows = 16;

}  // namespace

size_t WholeTiles(size_t rows) { return (rows + kTileRows - 1) / kTileRows * kTileRows; }

void RoundRows(Run& run, const Tensor& x, Tensor& out) {
  const size_t rows = x.dim(0), size = x.dim(1), stride = kernels::Bf16RowSize(size);
  out = run.NewTensor({WholeTiles(rows), stride}, DType::kBF16);
  auto* values = reinterpret_cast<kernels::Bf16*>(out.mutable_bytes().data());
  run.ParallelFor(rows, kRoundGrain, [&](size_t begin, size_t end, size_t) {
    kernels::ToBf16Rows(x.floats().data() + begin * size, size, end - begin, size, values + begin * stride);
  });
}

Tensor RoundedFloats(Run& run, const Tensor& x) {
  Tensor rounded = run.NewTensor(x.shape());
  run.ParallelFor(x.num_elements(), 1024, [&](size_t begin, size_t end, size_t) {
    kernels::RoundToBf16(x.floats().data() + begin, end - begin, rounded.mutable_floats().data() + begin);
  });
  return rounded;
}

Tensor AsBf16(Run& run, const Tensor& x) {
  Tensor rounded = run.NewTensor(x.shape(), DType::kBF16);
  auto* values = reinterpret_cast<kernels::Bf16*>(rounded.mutable_bytes().data());
  run.ParallelFor(x.num_elements(), 1024, [&](size_t begin, size_t end, size_t) {
    kernels::ToBf16(x.floats().data() + begin, end - begin, values + begin);
  });
  return rounded;
}

std::shared_ptr<const NarrowRows> RoundedInput(Run& run, const Tensor& x) {
  return run.narrow_inputs().Of(x, DType::kBF16, [&](NarrowRows& narrow) { RoundRows(run, x, narrow.values); });
}

}  // namespace mlac
