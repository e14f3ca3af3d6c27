#pragma once
// y[t] = table[ids[t]], one entry on the tape.
#include <cstdint>
#include <span>

#include "autograd/parameter.h"
#include "autograd/run.h"

namespace mlac {

// table: [count, size]; ids: [T], each in [0, count) (checked: kInvalidInput). Returns [T, size].
Tensor EmbeddingForward(Run& run, Parameter& table, std::span<const int32_t> ids);

}  // namespace mlac
