#include "autograd/gather_rows.h"

#include <algorithm>
#include <cassert>
#include <vector>

namespace mlac {

Tensor GatherRows(Run& run, const Tensor& x, std::span<const size_t> rows) {
  const size_t size = x.dim(1);
  Tensor y = run.NewTensor({rows.size(), size});
  for (size_t i = 0; i < rows.size(); ++i) {
    assert(rows[i] < x.dim(0) && (i == 0 || rows[i - 1] < rows[i]));
    std::copy_n(x.floats().data() + rows[i] * size, size, y.mutable_floats().data() + i * size);
  }
  if (run.tape() == nullptr || x.tape_id() == 0) return y;
  run.tape()->Record(
      y, [rows = std::vector<size_t>(rows.begin(), rows.end()), shape = x.shape(), id = x.tape_id()](Run& run, const Tensor& gradient) {
        const size_t size = shape[1];
        Tensor gradient_x = run.NewTensor(shape);
        const std::span<float> out = gradient_x.mutable_floats();
        std::fill(out.begin(), out.end(), 0.0f);
        for (size_t i = 0; i < rows.size(); ++i) std::copy_n(gradient.floats().data() + i * size, size, out.data() + rows[i] * size);
        run.tape()->Accumulate(run, id, gradient_x);
      });
  return y;
}

}  // namespace mlac
