#include "autograd/gemm_parallel.h"

namespace mlac {

void ParallelGemm(Run& run, const kernels::GemmArguments& arguments, size_t num_rows) {
  // Below this the threads' tiles would be few and low; cut by columns each still streams only its part of B.
  constexpr size_t kRowsPerThread = 32;
  const size_t panels = kernels::NumPanels(arguments.num_columns);
  if (num_rows >= kRowsPerThread * run.num_threads() || panels < run.num_threads()) {
    run.ParallelFor(num_rows, 1, [&](size_t begin, size_t end, size_t) { kernels::Gemm(arguments, begin, end, 0, panels); });
  } else {
    run.ParallelFor(panels, 1, [&](size_t begin, size_t end, size_t) { kernels::Gemm(arguments, 0, num_rows, begin, end); });
  }
}

Tensor PackForGemm(Run& run, const float* b, size_t stride, kernels::Layout layout, size_t num_k, size_t num_columns) {
  Tensor packed = run.NewTensor({kernels::PackedSize(num_k, num_columns)});
  float* to = packed.mutable_floats().data();
  run.ParallelFor(kernels::NumPanels(num_columns), 1, [&](size_t begin, size_t end, size_t) {
    kernels::PackPanels(b, stride, layout, num_k, num_columns, begin, end, to);
  });
  return packed;
}

}  // namespace mlac
