#pragma once
// y[t] = table[ids[t]], one entry on the tape. In inference a table may be int8 with a scale a row.
#include <cstdint>
#include <span>

#include "autograd/parameter.h"
#include "autograd/run.h"

namespace mlac {

// table: [count, size]; ids: [T], each in [0, count) (checked: kInvalidInput). Returns [T, size] f32. Throws kUnsupported for an int8 table in training.
Tensor EmbeddingForward(Run& run, Parameter& table, std::span<const int32_t> ids);

// A whole table, or any weight, as f32. values: [rows, size] I8; scales: [rows] f32. Returns [rows, size].
Tensor Dequantized(const Tensor& values, const Tensor& scales);

}  // namespace mlac
