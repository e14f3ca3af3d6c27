#include "autograd/layer_norm.h"

#include <cassert>

#include "kernels/layer_norm.h"

namespace mlac {

Tensor LayerNormForward(Run& run, const Tensor& x, const Tensor* residual, Parameter& gamma, Parameter& beta, float eps) {
  const size_t rows = x.dim(0), size = x.dim(1);
  const uint32_t x_id = x.tape_id(), residual_id = residual == nullptr ? 0 : residual->tape_id();
  assert(gamma.trainable == beta.trainable);
  const bool record = run.tape() != nullptr && (x_id != 0 || residual_id != 0 || gamma.trainable);
  Tensor y = run.NewTensor({rows, size}), sum, stats;
  if (record) {
    sum = run.NewTensor({rows, size});
    stats = run.NewTensor({rows, 2});
  }
  const kernels::LayerNormArguments arguments = {.x = x.floats().data(), .residual = residual == nullptr ? nullptr : residual->floats().data(),
                                                 .gamma = gamma.value.floats().data(), .beta = beta.value.floats().data(), .eps = eps, .size = size,
                                                 .sum = record ? sum.mutable_floats().data() : nullptr,
                                                 .stats = record ? stats.mutable_floats().data() : nullptr, .y = y.mutable_floats().data()};
  run.ParallelFor(rows, 4, [&](size_t begin, size_t end, size_t) { kernels::LayerNorm(arguments, begin, end); });
  if (!record) return y;
  run.tape()->Record(y, [sum, stats, x_id, residual_id, &gamma, &beta](Run& run, const Tensor& gradient) {
    const size_t rows = sum.dim(0), size = sum.dim(1);
    const float *sums = sum.floats().data(), *statistics = stats.floats().data(), *gradient_y = gradient.floats().data();
    if (gamma.trainable) {
      float *gradient_gamma = gamma.gradient.mutable_floats().data(), *gradient_beta = beta.gradient.mutable_floats().data();
      run.ParallelFor(size, 16, [&](size_t begin, size_t end, size_t) {
        kernels::LayerNormBackwardParameters(sums, statistics, gradient_y, size, rows, gradient_gamma, gradient_beta, begin, end);
      });
    }
    if (x_id == 0 && residual_id == 0) return;
    Tensor gradient_x = run.NewTensor({rows, size});
    run.ParallelFor(rows, 4, [&](size_t begin, size_t end, size_t) {
      kernels::LayerNormBackward(sums, statistics, gamma.value.floats().data(), gradient_y, size, gradient_x.mutable_floats().data(), begin, end);
    });
    run.tape()->Accumulate(run, x_id, gradient_x);
    run.tape()->Accumulate(run, residual_id, gradient_x);
  });
  return y;
}

}  // namespace mlac
