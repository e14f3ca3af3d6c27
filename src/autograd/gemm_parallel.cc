#include "autograd/gemm_parallel.h"

#include <algorithm>

#include "autograd/linear_product.h"

namespace mlac {

void GemmOnThread(Run& run, size_t thread, const kernels::GemmArguments& arguments, size_t row_begin, size_t row_end, size_t panel_begin,
                  size_t panel_end) {
  constexpr size_t kFewRows = 8, kFewPanels = 4, kCopiedFloats = size_t{128} << 10;  // a chunk that stays in L2, as in kernels::Gemm
  const size_t k = arguments.num_k;
  if (!kernels::RowsCollide(arguments.a_stride) || row_end - row_begin <= kFewRows || panel_end - panel_begin < kFewPanels)
    return kernels::Gemm(arguments, row_begin, row_end, panel_begin, panel_end);
  const size_t rows_at_once = std::max<size_t>(56, kCopiedFloats / std::max<size_t>(1, k)), stride = kernels::RowStride(k);
  float* copy = run.Scratch(thread, std::min(rows_at_once, row_end - row_begin) * stride);
  for (size_t begin = row_begin; begin < row_end; begin += rows_at_once) {
    const size_t count = std::min(rows_at_once, row_end - begin);
    for (size_t r = 0; r < count; ++r) std::copy_n(arguments.a + (begin + r) * arguments.a_stride, k, copy + r * stride);
    kernels::GemmArguments part = arguments;
    part.a = copy;
    part.a_stride = stride;
    part.c = arguments.c + begin * arguments.c_stride;
    kernels::Gemm(part, 0, count, panel_begin, panel_end);
  }
}

void ParallelGemm(Run& run, const kernels::GemmArguments& arguments, size_t num_rows) {
  const size_t panels = kernels::NumPanels(arguments.num_columns);
  if (num_rows >= kRowsPerThread * run.num_threads() || panels < run.num_threads()) {
    run.ParallelFor(num_rows, 1, [&](size_t begin, size_t end, size_t thread) { GemmOnThread(run, thread, arguments, begin, end, 0, panels); });
  } else {
    run.ParallelFor(panels, 1, [&](size_t begin, size_t end, size_t thread) { GemmOnThread(run, thread, arguments, 0, num_rows, begin, end); });
  }
}

void Multiply(Run& run, const Tensor& a, const Tensor& packed_b, Tensor& c, bool accumulate) {
  ParallelGemm(run, {.a = a.floats().data(), .a_stride = a.dim(1), .packed_b = packed_b.floats().data(), .num_k = a.dim(1), .num_columns = c.dim(1),
                     .accumulate = accumulate, .c = c.mutable_floats().data(), .c_stride = c.dim(1)}, a.dim(0));
}

Tensor PackForGemm(Run& run, const float* b, size_t stride, kernels::Layout layout, size_t num_k, size_t num_columns) {
  Tensor packed = run.NewTensor({kernels::PackedSize(num_k, num_columns)});
  float* to = packed.mutable_floats().data();
  run.ParallelFor(kernels::NumPanels(num_columns), 1, [&](size_t begin, size_t end, size_t) {
    kernels::PackPanels(b, stride, layout, num_k, num_columns, begin, end, to);
  });
  return packed;
}

Tensor TimesWeight(Run& run, const Tensor& a, const Tensor& weight) {
  const size_t num_k = weight.dim(0), columns = weight.dim(1);
  const Tensor packed = PackForGemm(run, weight.floats().data(), columns, kernels::Layout::kRows, num_k, columns);
  Tensor product = run.NewTensor({a.dim(0), columns});
  Multiply(run, a, packed, product);
  return product;
}

}  // namespace mlac
