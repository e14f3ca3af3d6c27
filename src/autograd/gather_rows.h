#pragma once
// Some rows of a tensor, one entry on the tape.
#include <cstddef>
#include <span>

#include "autograd/run.h"

namespace mlac {

// x: [T, size]; rows: rising, each below T (asserted). Returns [rows, size]. The gradient of the other rows is 0.
Tensor GatherRows(Run& run, const Tensor& x, std::span<const size_t> rows);

}  // namespace mlac
