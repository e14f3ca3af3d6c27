#pragma once
// From the tokens of each sequence to one vector a sequence, one entry on the tape each.
#include "autograd/run.h"
#include "tensor/token_batch.h"

namespace mlac {

enum class Pooling { kMean, kCls, kMax };

// x: [T, size]. Returns [sequences, size]. kMean: the sum over the tokens, rising, times 1 / their number; kCls: the first token; kMax: the
// greatest of each feature (its gradient goes to the first token that has it). No sequence may be empty (asserted).
Tensor PoolForward(Run& run, const Tensor& x, const Offsets& offsets, Pooling pooling);

// Each row divided by its Euclidean length, at least 1e-12, as torch.nn.functional.normalize does.
Tensor NormalizeForward(Run& run, const Tensor& x);

}  // namespace mlac
