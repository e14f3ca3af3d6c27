#include "autograd/linear.h"

#include "autograd/gemm_parallel.h"
#include "kernels/gemm.h"
#include "kernels/vector_ops.h"

// T: rows. K: inputs. N: outputs.
namespace mlac {
namespace {

using kernels::Activation;
using kernels::Layout;

// dW [N, K] += dZ^T X: chains over rising t that go on from what the gradient holds, so a batch computed in parts gives the bits of the whole.
void AddWeightGradient(Run& run, const Tensor& gradient_z, const Tensor& x, Parameter& weight) {
  const size_t rows = x.dim(0), inputs = x.dim(1), outputs = gradient_z.dim(1);
  Tensor transposed = run.NewTensor({outputs, rows});
  run.ParallelFor(outputs, 16, [&](size_t begin, size_t end, size_t) {
    kernels::Transpose(gradient_z.floats().data() + begin, outputs, rows, end - begin, transposed.mutable_floats().data() + begin * rows, rows);
  });
  const Tensor packed = PackForGemm(run, x.floats().data(), inputs, Layout::kRows, rows, inputs);
  ParallelGemm(run, {.a = transposed.floats().data(), .a_stride = rows, .packed_b = packed.floats().data(), .num_k = rows, .num_columns = inputs,
                     .accumulate = true, .c = weight.gradient.mutable_floats().data(), .c_stride = inputs}, outputs);
}

void LinearBackward(Run& run, const Tensor& x, const Tensor& z, Parameter& weight, Parameter* bias, Activation activation, Tensor gradient) {
  const size_t rows = x.dim(0), inputs = x.dim(1), outputs = weight.value.dim(0);
  if (activation != Activation::kNone) {
    Tensor gradient_z = run.NewTensor({rows, outputs});
    run.ParallelFor(rows * outputs, 1024, [&](size_t begin, size_t end, size_t) {
      kernels::ActivateBackward(activation, z.floats().data() + begin, gradient.floats().data() + begin, gradient_z.mutable_floats().data() + begin,
                                end - begin);
    });
    gradient = gradient_z;
  }
  if (weight.trainable) AddWeightGradient(run, gradient, x, weight);
  if (bias != nullptr && bias->trainable)
    run.ParallelFor(outputs, 16, [&](size_t begin, size_t end, size_t) {
      kernels::AddRows(gradient.floats().data(), rows, outputs, bias->gradient.mutable_floats().data(), begin, end);
    });
  if (x.tape_id() != 0) {  // dX [T, K] = dZ W
    const Tensor packed = PackForGemm(run, weight.value.floats().data(), inputs, Layout::kRows, outputs, inputs);
    Tensor gradient_x = run.NewTensor({rows, inputs});
    ParallelGemm(run, {.a = gradient.floats().data(), .a_stride = outputs, .packed_b = packed.floats().data(), .num_k = outputs,
                       .num_columns = inputs, .c = gradient_x.mutable_floats().data(), .c_stride = inputs}, rows);
    run.tape()->Accumulate(run, x.tape_id(), gradient_x);
  }
}

}  // namespace

const Tensor& PackedWeight::Get(Run& run, const Parameter& weight) {
  const Tensor& value = weight.value;
  if (packed_from_.load(std::memory_order_acquire) == value.data()) return packed_;
  const std::lock_guard<std::mutex> lock(mutex_);
  if (packed_from_.load(std::memory_order_relaxed) == value.data()) return packed_;
  const size_t outputs = value.dim(0), inputs = value.dim(1);
  packed_ = Tensor::Uninitialized({kernels::PackedSize(inputs, outputs)});
  source_ = value;
  float* to = packed_.mutable_floats().data();
  run.ParallelFor(kernels::NumPanels(outputs), 1, [&](size_t begin, size_t end, size_t) {
    kernels::PackPanels(value.floats().data(), inputs, Layout::kTransposed, inputs, outputs, begin, end, to);
  });
  packed_from_.store(value.data(), std::memory_order_release);
  return packed_;
}

Tensor LinearForward(Run& run, const Tensor& x, Parameter& weight, Parameter* bias, Activation activation, PackedWeight& packed_weight) {
  const size_t rows = x.dim(0), inputs = x.dim(1), outputs = weight.value.dim(0);
  const bool weights_change = weight.trainable;
  const bool record = run.tape() != nullptr && (x.tape_id() != 0 || weight.trainable || (bias != nullptr && bias->trainable));
  const Tensor packed = weights_change ? PackForGemm(run, weight.value.floats().data(), inputs, Layout::kTransposed, inputs, outputs)
                                       : packed_weight.Get(run, weight);
  Tensor y = run.NewTensor({rows, outputs});
  // The backward pass needs z, what goes into the activation; inference applies it to the tile while that is in L1.
  Tensor z = record && activation != Activation::kNone ? run.NewTensor({rows, outputs}) : y;
  ParallelGemm(run, {.a = x.floats().data(), .a_stride = inputs, .packed_b = packed.floats().data(), .num_k = inputs, .num_columns = outputs,
                     .bias = bias == nullptr ? nullptr : bias->value.floats().data(), .c = z.mutable_floats().data(), .c_stride = outputs,
                     .activation = record ? Activation::kNone : activation}, rows);
  if (!record) return y;
  if (activation != Activation::kNone)
    run.ParallelFor(rows * outputs, 1024, [&](size_t begin, size_t end, size_t) {
      kernels::Activate(activation, z.floats().data() + begin, y.mutable_floats().data() + begin, end - begin);
    });
  run.tape()->Record(y, [x, z, &weight, bias, activation](Run& run, const Tensor& gradient) {
    LinearBackward(run, x, z, weight, bias, activation, gradient);
  });
  return y;
}

}  // namespace mlac
