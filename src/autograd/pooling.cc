#include "autograd/pooling.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <memory>

#include "kernels/vector_ops.h"

namespace mlac {
namespace {

constexpr float kSmallestNorm = 1e-12f;

void PoolBackward(Run& run, const Tensor& gradient, const Offsets& offsets, Pooling pooling, const std::vector<uint32_t>& greatest, uint32_t x_id) {
  const size_t size = gradient.dim(1);
  Tensor gradient_x = run.NewTensor({offsets.back(), size});
  const std::span<float> out = gradient_x.mutable_floats();
  if (pooling != Pooling::kMean) std::fill(out.begin(), out.end(), 0.0f);
  for (size_t s = 0; s + 1 < offsets.size(); ++s) {
    const float* from = gradient.floats().data() + s * size;
    if (pooling == Pooling::kMean) {
      const float factor = 1.0f / static_cast<float>(offsets[s + 1] - offsets[s]);
      for (size_t t = offsets[s]; t < offsets[s + 1]; ++t) kernels::Scale(from, factor, out.data() + t * size, size);
    } else if (pooling == Pooling::kCls) {
      std::copy_n(from, size, out.data() + offsets[s] * size);
    } else {
      for (size_t i = 0; i < size; ++i) out[greatest[s * size + i] * size + i] = from[i];
    }
  }
  run.tape()->Accumulate(run, x_id, gradient_x);
}

}  // namespace

Tensor PoolForward(Run& run, const Tensor& x, const Offsets& offsets, Pooling pooling) {
  const size_t size = x.dim(1), sequences = offsets.size() - 1;
  const bool record = run.tape() != nullptr && x.tape_id() != 0;
  Tensor y = run.NewTensor({sequences, size});
  std::vector<uint32_t> greatest(record && pooling == Pooling::kMax ? sequences * size : 0);
  run.ParallelFor(sequences, 1, [&](size_t begin, size_t end, size_t) {
    for (size_t s = begin; s < end; ++s) {
      assert(offsets[s] < offsets[s + 1]);
      const float* rows = x.floats().data() + offsets[s] * size;
      const size_t count = offsets[s + 1] - offsets[s];
      float* out = y.mutable_floats().data() + s * size;
      if (pooling == Pooling::kMean) {
        std::fill_n(out, size, 0.0f);
        kernels::AddRows(rows, count, size, out, 0, size);
        kernels::Scale(out, 1.0f / static_cast<float>(count), out, size);
      } else {
        std::copy_n(rows, size, out);
        if (pooling == Pooling::kCls) continue;
        for (size_t i = 0; i < size; ++i) {
          size_t best = 0;
          for (size_t t = 1; t < count; ++t)
            if (rows[t * size + i] > rows[best * size + i]) best = t;
          out[i] = rows[best * size + i];
          if (!greatest.empty()) greatest[s * size + i] = static_cast<uint32_t>(offsets[s] + best);
        }
      }
    }
  });
  if (record)
    run.tape()->Record(y, [offsets, pooling, greatest = std::move(greatest), id = x.tape_id()](Run& run, const Tensor& gradient) {
      PoolBackward(run, gradient, offsets, pooling, greatest, id);
    });
  return y;
}

Tensor NormalizeForward(Run& run, const Tensor& x) {
  const size_t size = x.dim(1);
  Tensor y = run.NewTensor(x.shape());
  std::vector<float> inverse_norms(x.dim(0));
  for (size_t row = 0; row < x.dim(0); ++row) {
    const float* from = x.floats().data() + row * size;
    inverse_norms[row] = 1.0f / std::max(std::sqrt(kernels::Dot(from, from, size)), kSmallestNorm);
    kernels::Scale(from, inverse_norms[row], y.mutable_floats().data() + row * size, size);
  }
  if (run.tape() != nullptr && x.tape_id() != 0) {
    const Tensor saved = y;
    // With n = 1 / |x| and y = n x: dx = n (dy - y (y dy)).
    run.tape()->Record(y, [saved, inverse_norms = std::move(inverse_norms), id = x.tape_id()](Run& run, const Tensor& gradient) {
      const size_t size = saved.dim(1);
      Tensor gradient_x = run.NewTensor(saved.shape());
      for (size_t row = 0; row < saved.dim(0); ++row) {
        const float *out = saved.floats().data() + row * size, *from = gradient.floats().data() + row * size;
        float* to = gradient_x.mutable_floats().data() + row * size;
        const float projection = kernels::Dot(out, from, size);
        for (size_t i = 0; i < size; ++i) to[i] = inverse_norms[row] * std::fma(-projection, out[i], from[i]);
      }
      run.tape()->Accumulate(run, id, gradient_x);
    });
  }
  return y;
}

}  // namespace mlac
