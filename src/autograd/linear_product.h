#pragma once
// The product of a linear layer, ready to be computed part by part.
#include <cstddef>
#include <functional>

#include "autograd/run.h"
#include "tensor/tensor.h"

namespace mlac {

// From so many rows a thread on, threads take rows of a product: below, the tiles of each would be few and low.
inline constexpr size_t kRowsPerThread = 32;

struct LinearProduct {
  Tensor y;       // [rows, outputs], f32 or bf16: what `compute` fills
  Tensor packed;  // the weight, where the product holds it
  size_t num_panels = 0, panel_width = 0;  // its columns in panels
  size_t row_grain = 1;    // a part has a multiple of so many rows; 0: it has all
  size_t panel_grain = 1;  // and of so many panels
  size_t rows_per_thread = kRowsPerThread;  // where threads take rows and not columns
  // Rows [row_begin, row_end) of the panels [panel_begin, panel_end). Parts that do not overlap may be computed at once, one by each thread of the run. Input,
  // weight and bias have to stay until then.
  std::function<void(size_t thread, size_t row_begin, size_t row_end, size_t panel_begin, size_t panel_end)> compute;

  size_t num_rows() const { return y.dim(0); }
};

// Returns y, computed by all threads: cut by columns, so that each streams its part of the weight alone, but by rows where there are many, or columns for few
// threads only.
Tensor Computed(Run& run, const LinearProduct& product);

}  // namespace mlac
