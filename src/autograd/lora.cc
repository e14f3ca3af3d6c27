#include "autograd/lora.h"

#include "autograd/gemm_parallel.h"
#include "autograd/linear.h"
#include "kernels/gemm.h"
#include "kernels/vector_ops.h"

// T: rows. K: inputs. N: outputs. R: the rank.
namespace mlac {
namespace {

using kernels::Layout;

// A weight [outputs, inputs] as the product X W^T reads it: packed once where it stands still.
Tensor Packed(Run& run, Parameter& weight) {
  const size_t outputs = weight.value.dim(0), inputs = weight.value.dim(1);
  if (weight.trainable || !weight.packed)
    return PackForGemm(run, weight.value.floats().data(), inputs, Layout::kTransposed, inputs, outputs);
  return weight.packed->F32(run, weight).values;
}

Tensor Scaled(Run& run, const Tensor& x, float scale) {
  Tensor y = run.NewTensor(x.shape());
  run.ParallelFor(x.num_elements(), 1024, [&](size_t begin, size_t end, size_t) {
    kernels::Scale(x.floats().data() + begin, scale, y.mutable_floats().data() + begin, end - begin);
  });
  return y;
}

// low: scale * (A x), [T, R].
void LoraBackward(Run& run, const Tensor& x, const Tensor& low, Parameter& a, Parameter& b, float scale, const Tensor& gradient) {
  if (b.trainable) AddWeightGradient(run, gradient, low, b);
  if (!a.trainable && x.tape_id() == 0) return;
  const Tensor gradient_low = Scaled(run, TimesWeight(run, gradient, b.value), scale);
  if (a.trainable) AddWeightGradient(run, gradient_low, x, a);
  if (x.tape_id() != 0) run.tape()->Accumulate(run, x.tape_id(), TimesWeight(run, gradient_low, a.value));
}

}  // namespace

Tensor LoraForward(Run& run, const Tensor& x, Tensor z, Parameter& a, Parameter& b, float scale) {
  Tensor projected = run.NewTensor({x.dim(0), a.value.dim(0)});
  const Tensor packed_a = Packed(run, a), packed_b = Packed(run, b);
  Multiply(run, x, packed_a, projected);
  const Tensor low = Scaled(run, projected, scale);
  const uint32_t z_id = z.tape_id();
  Multiply(run, low, packed_b, z, /*accumulate=*/true);
  z.set_tape_id(0);
  if (run.tape() == nullptr || (z_id == 0 && x.tape_id() == 0 && !a.trainable && !b.trainable)) return z;
  run.tape()->Record(z, [x, low, z_id, &a, &b, scale](Run& run, const Tensor& gradient) {
    LoraBackward(run, x, low, a, b, scale, gradient);
    run.tape()->Accumulate(run, z_id, gradient);
  });
  return z;
}

}  // namespace mlac
