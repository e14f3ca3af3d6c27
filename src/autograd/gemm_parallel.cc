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

void ForRowsOrPanels(Run& run, size_t num_rows, size_t rows_per_thread, size_t num_panels,
                     const std::function<void(size_t thread, size_t row_begin, size_t row_end, size_t panel_begin, size_t panel_end)>& body) {
  if (num_rows >= rows_per_thread * run.num_threads() || num_panels < run.num_threads()) {
    run.ParallelFor(num_rows, 1, [&](size_t begin, size_t end, size_t thread) { body(thread, begin, end, 0, num_panels); });
  } else {
    run.ParallelFor(num_panels, 1, [&](size_t begin, size_t end, size_t thread) { body(thread, 0, num_rows, begin, end); });
  }
}

void ParallelGemm(Run& run, const kernels::GemmArguments& arguments, size_t num_rows) {
  ForRowsOrPanels(run, num_rows, kRowsPerThread, kernels::NumPanels(arguments.num_columns),
                  [&](size_t thread, size_t row_begin, size_t row_end, size_t panel_begin, size_t panel_end) {
                    GemmOnThread(run, thread, arguments, row_begin, row_end, panel_begin, panel_end);
                  });
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

bool CutsIntoPanelsEvenly(const Run& run, size_t num_columns) {
  const size_t panels = kernels::NumPanels(num_columns), threads = run.num_threads();
  return panels % threads == 0 || panels >= 4 * threads;
}

bool PacksPanelsInTurn(const Run& run, size_t num_k, size_t num_columns) {
  return !kernels::RowsCollide(num_k) && kernels::PanelsAtOnce(num_k) > 1 && CutsIntoPanelsEvenly(run, num_columns);
}

Tensor TimesWeight(Run& run, const Tensor& a, const Tensor& weight) {
  const size_t num_k = weight.dim(0), columns = weight.dim(1);
  Tensor product = run.NewTensor({a.dim(0), columns});
  if (!PacksPanelsInTurn(run, num_k, columns)) {
    Multiply(run, a, PackForGemm(run, weight.floats().data(), columns, kernels::Layout::kRows, num_k, columns), product);
    return product;
  }
  const kernels::GemmArguments arguments = {.a = a.floats().data(), .a_stride = num_k, .num_k = num_k, .num_columns = columns,
                                            .c = product.mutable_floats().data(), .c_stride = columns};
  run.ParallelFor(kernels::NumPanels(columns), 1, [&](size_t begin, size_t end, size_t thread) {
    kernels::GemmUnpacked(arguments, weight.floats().data(), columns, kernels::Layout::kRows, a.dim(0), begin, end,
                          run.Scratch(thread, kernels::UnpackedScratch(num_k, end - begin)));
  });
  return product;
}

}  // namespace mlac
