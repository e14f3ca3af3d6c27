#pragma once
// y = activation(x W^T + b), one entry on the tape.
#include <memory>
#include <mutex>

#include "autograd/parameter.h"
#include "autograd/run.h"
#include "kernels/activation.h"

namespace mlac {

// A weight packed for the kernels of inference: once, at its first use.
class PackedWeight {
 public:
  // weight: [outputs, inputs]. Safe to call from several threads.
  const Tensor& Get(Run& run, const Parameter& weight);

 private:
  std::once_flag once_;
  Tensor packed_;
};

// x: [rows, inputs]; weight: [outputs, inputs]; bias: [outputs] or nullptr. Returns [rows, outputs].
Tensor LinearForward(Run& run, const Tensor& x, Parameter& weight, Parameter* bias, kernels::Activation activation, PackedWeight& packed);

}  // namespace mlac
