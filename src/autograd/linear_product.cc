#include "autograd/linear_product.h"

#include <algorithm>

namespace mlac {

Tensor Computed(Run& run, const LinearProduct& product) {
  const size_t rows = product.num_rows(), panels = product.num_panels, threads = run.num_threads();
  const size_t row_parts = product.row_grain == 0 ? 1 : std::min(threads, (rows + product.row_grain - 1) / product.row_grain);
  const size_t panel_parts = std::min(threads, (panels + product.panel_grain - 1) / product.panel_grain);
  if (product.row_grain > 0 && (rows >= product.rows_per_thread * threads || row_parts > panel_parts)) {
    run.ParallelFor(rows, product.row_grain, [&](size_t begin, size_t end, size_t thread) { product.compute(thread, begin, end, 0, panels); });
  } else {
    run.ParallelFor(panels, product.panel_grain, [&](size_t begin, size_t end, size_t thread) { product.compute(thread, 0, rows, begin, end); });
  }
  return product.y;
}

}  // namespace mlac
