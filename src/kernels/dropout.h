#pragma once
// Dropout: Srivastava et al. 2014, https://jmlr.org/papers/v15/srivastava14a.html, scaled at training time.
#include <cstddef>
#include <cstdint>

namespace mlac::kernels {

// Which element is dropped depends on the key, the row and the column alone: not on the batch around the row, nor on threads.
// So the backward pass makes the mask again, and a batch that is computed in parts gets the masks of the whole.
struct DropoutKey {
  uint64_t seed = 0;
  uint32_t step = 0;       // of the training run
  uint32_t operation = 0;  // which dropout of the model
  float probability = 0;   // in steps of 2^-16
};

inline constexpr size_t kDropoutBlock = 8;  // columns that one call of the generator decides

// out[i] = in[i] / (1 - p) or 0, for column block * kDropoutBlock + i of `row`, i < count. out may be in.
void Dropout(const DropoutKey& key, uint32_t row, uint32_t block, const float* in, float* out, size_t count);

}  // namespace mlac::kernels
