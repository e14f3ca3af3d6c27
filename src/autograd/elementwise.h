#pragma once
// Sums, activations and dropout, one entry on the tape each.
#include "autograd/run.h"
#include "kernels/activation.h"

namespace mlac {

// a + b, and (a + b) + c, of one shape.
Tensor Sum(Run& run, const Tensor& a, const Tensor& b);
Tensor Sum(Run& run, const Tensor& a, const Tensor& b, const Tensor& c);

// f(z), element by element; z itself for kNone. Layers have it in LinearForward, which takes one pass less.
Tensor ActivationForward(Run& run, const Tensor& z, kernels::Activation activation);

// Its two halves for an operator with an entry of its own on the tape: f(z), and the gradient of z from that of f(z).
Tensor Activated(Run& run, const Tensor& z, kernels::Activation activation);
Tensor ActivationGradient(Run& run, const Tensor& z, const Tensor& gradient, kernels::Activation activation);

// What the rows of a tensor are: decides which elements are dropped when a batch is computed in parts.
enum class RowKind { kTokens, kSequences };

// Elements of [rows, columns] dropped with this probability where the run drops at all, the others scaled; else x itself.
Tensor DropoutForward(Run& run, const Tensor& x, float probability, RowKind kind);

}  // namespace mlac
