#pragma once
// Sums and dropout, one entry on the tape each.
#include "autograd/run.h"

namespace mlac {

// (a + b) + c, of one shape.
Tensor Sum(Run& run, const Tensor& a, const Tensor& b, const Tensor& c);

// Elements of [rows, columns] dropped with this probability where the run drops at all, the others scaled; else x itself.
Tensor DropoutForward(Run& run, const Tensor& x, float probability);

}  // namespace mlac
