#pragma once
// Linear layers of inference in int8 and bf16: the input is rounded row by row, the sums are wide, the result is f32 again, or bf16 for its reader.
#include "autograd/linear.h"
#include "autograd/linear_product.h"

namespace mlac {

// Panels that a tile of A meets together. Those of int8 and of bf16 are equally wide.
inline constexpr size_t kNarrowPanelGrain = 4;

// As PrepareLinear. x: f32, or bf16 as a linear layer or attention made it for this one. weight: I8 with a scale an output.
LinearProduct PrepareInt8(Run& run, const Tensor& x, const Parameter& weight, const Parameter* bias, kernels::Activation activation, PackedWeight& packed,
                          Reader reader);

// Likewise, weight: f32. Where there are bf16 instructions.
LinearProduct PrepareBf16(Run& run, const Tensor& x, const Parameter& weight, const Parameter* bias, kernels::Activation activation, PackedWeight& packed,
                          Reader reader);

// What stands in for it elsewhere.
Tensor RoundedLinearForward(Run& run, const Tensor& x, const Parameter& weight, const Parameter* bias, kernels::Activation activation, PackedWeight& packed,
                            Reader reader);

}  // namespace mlac
