#include "autograd/elementwise.h"

#include <algorithm>
#include <array>

#include "kernels/vector_ops.h"

namespace mlac {
namespace {

// Row r is number first_row + r of the whole batch, or first_row + (*rows)[r].
Tensor DropRows(Run& run, const Tensor& x, const kernels::DropoutKey& key, uint32_t first_row, const TokenRows& rows) {
  const size_t columns = x.dim(1);
  Tensor y = run.NewTensor(x.shape());
  run.ParallelFor(x.dim(0), 1, [&](size_t begin, size_t end, size_t) {
    for (size_t row = begin; row < end; ++row) {
      const uint32_t number = first_row + static_cast<uint32_t>(rows == nullptr ? row : (*rows)[row]);
      kernels::Dropout(key, number, 0, x.floats().data() + row * columns, y.mutable_floats().data() + row * columns, columns);
    }
  });
  return y;
}

// The gradient of a sum is that of each of its terms.
template <size_t kCount>
void RecordSum(Run& run, Tensor& y, const std::array<uint32_t, kCount>& ids) {
  if (run.tape() == nullptr || std::all_of(ids.begin(), ids.end(), [](uint32_t id) { return id == 0; })) return;
  run.tape()->Record(y, [ids](Run& run, const Tensor& gradient) {
    for (const uint32_t id : ids) run.tape()->Accumulate(run, id, gradient);
  });
}

}  // namespace

Tensor Sum(Run& run, const Tensor& a, const Tensor& b) {
  Tensor y = run.NewTensor(a.shape());
  run.ParallelFor(y.num_elements(), 1024, [&](size_t begin, size_t end, size_t) {
    kernels::Add(a.floats().data() + begin, b.floats().data() + begin, y.mutable_floats().data() + begin, end - begin);
  });
  RecordSum(run, y, std::array{a.tape_id(), b.tape_id()});
  return y;
}

Tensor Sum(Run& run, const Tensor& a, const Tensor& b, const Tensor& c) {
  Tensor y = run.NewTensor(a.shape());
  run.ParallelFor(y.num_elements(), 1024, [&](size_t begin, size_t end, size_t) {
    float* out = y.mutable_floats().data() + begin;
    kernels::Add(a.floats().data() + begin, b.floats().data() + begin, out, end - begin);
    kernels::Add(out, c.floats().data() + begin, out, end - begin);
  });
  RecordSum(run, y, std::array{a.tape_id(), b.tape_id(), c.tape_id()});
  return y;
}

Tensor Activated(Run& run, const Tensor& z, kernels::Activation activation) {
  Tensor y = run.NewTensor(z.shape());
  run.ParallelFor(z.num_elements(), 1024, [&](size_t begin, size_t end, size_t) {
    kernels::Activate(activation, z.floats().data() + begin, y.mutable_floats().data() + begin, end - begin);
  });
  return y;
}

Tensor ActivationGradient(Run& run, const Tensor& z, const Tensor& gradient, kernels::Activation activation) {
  Tensor gradient_z = run.NewTensor(z.shape());
  run.ParallelFor(z.num_elements(), 1024, [&](size_t begin, size_t end, size_t) {
    kernels::ActivateBackward(activation, z.floats().data() + begin, gradient.floats().data() + begin, gradient_z.mutable_floats().data() + begin,
                              end - begin);
  });
  return gradient_z;
}

Tensor ActivationForward(Run& run, const Tensor& z, kernels::Activation activation) {
  if (activation == kernels::Activation::kNone) return z;
  Tensor y = Activated(run, z, activation);
  if (run.tape() == nullptr || z.tape_id() == 0) return y;
  run.tape()->Record(y, [z, activation](Run& run, const Tensor& gradient) {
    run.tape()->Accumulate(run, z.tape_id(), ActivationGradient(run, z, gradient, activation));
  });
  return y;
}

Tensor DropoutForward(Run& run, const Tensor& x, float probability, RowKind kind) {
  if (!run.dropout().on() || probability <= 0) return x;
  const kernels::DropoutKey key = run.dropout().Next(probability);
  const bool tokens = kind == RowKind::kTokens;
  const uint32_t first_row = tokens ? run.dropout().first_token() : run.dropout().first_sequence(), id = x.tape_id();
  const TokenRows rows = tokens ? run.rows().tokens : nullptr;
  Tensor y = DropRows(run, x, key, first_row, rows);
  if (run.tape() != nullptr && id != 0)
    run.tape()->Record(y, [key, first_row, rows, id](Run& run, const Tensor& gradient) {
      run.tape()->Accumulate(run, id, DropRows(run, gradient, key, first_row, rows));
    });
  return y;
}

}  // namespace mlac
