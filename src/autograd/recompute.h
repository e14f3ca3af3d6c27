#pragma once
// Gradient checkpointing: time for memory. Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost",
// https://arxiv.org/abs/1604.06174.
#include <functional>

#include "autograd/run.h"

namespace mlac {

// What section(run) gives. Where the run recomputes, the forward pass keeps nothing of it but what `section` captures: one entry on the
// tape. The backward pass computes it again, which puts the entries of its operators where that entry stood, so gradients are added in the
// same order, and have the same bits, as without. A section captures tensors by value, since it is called after its caller has returned,
// and depends on nothing but them, parameters that stand still until then, and the run's dropout, which drops the same elements again.
Tensor Recomputed(Run& run, std::function<Tensor(Run& run)> section);

}  // namespace mlac
