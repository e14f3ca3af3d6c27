#pragma once
// y = LayerNorm(x + residual), one entry on the tape.
#include "autograd/parameter.h"
#include "autograd/run.h"

namespace mlac {

// x, residual (nullptr: none): [rows, size]; gamma, beta: [size], which learn both or neither (asserted).
Tensor LayerNormForward(Run& run, const Tensor& x, const Tensor* residual, Parameter& gamma, Parameter& beta, float eps);

}  // namespace mlac
