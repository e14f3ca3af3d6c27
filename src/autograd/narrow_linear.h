#pragma once
// Linear layers of inference in int8 and bf16: the input is rounded row by row, the sums are wide, the result is f32 again, or bf16 for its reader.
#include "autograd/linear.h"

namespace mlac {

// x: f32, or bf16 as Bf16LinearForward or attention made it for a linear layer. weight: I8 with a scale an output. As LinearForward, without a gradient.
Tensor Int8LinearForward(Run& run, const Tensor& x, const Parameter& weight, const Parameter* bias, kernels::Activation activation,
                         PackedWeight& packed, Reader reader);

// x: f32, or bf16 as it or attention made it for a linear layer.
Tensor Bf16LinearForward(Run& run, const Tensor& x, const Parameter& weight, const Parameter* bias, kernels::Activation activation,
                         PackedWeight& packed, Reader reader);

}  // namespace mlac
