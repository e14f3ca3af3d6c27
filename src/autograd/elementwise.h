#pragma once
// Sums and dropout, one entry on the tape each.
#include "autograd/run.h"

namespace mlac {

// a + b, and (a + b) + c, of one shape.
Tensor Sum(Run& run, const Tensor& a, const Tensor& b);
Tensor Sum(Run& run, const Tensor& a, const Tensor& b, const Tensor& c);

// What the rows of a tensor are: decides which elements are dropped when a batch is computed in parts.
enum class RowKind { kTokens, kSequences };

// Elements of [rows, columns] dropped with this probability where the run drops at all, the others scaled; else x itself.
Tensor DropoutForward(Run& run, const Tensor& x, float probability, RowKind rows);

}  // namespace mlac
