#pragma once
// The random numbers of the dropouts of a pass: each dropout of the model takes the next operation number, in the order in which the model computes.
#include <cstdint>

#include "kernels/dropout.h"

namespace mlac {

// A copy is a place in the stream: from there on the same elements are dropped once more.
class DropoutStream {
 public:
  // first_token, first_sequence: where the batch of this pass begins in the whole batch, so that a batch computed in parts drops the same elements.
  void Begin(uint64_t seed, uint32_t step, uint32_t first_token, uint32_t first_sequence);
  void End() { on_ = false; }

  bool on() const { return on_; }
  kernels::DropoutKey Next(float probability);
  uint32_t first_token() const { return first_token_; }
  uint32_t first_sequence() const { return first_sequence_; }

 private:
  bool on_ = false;
  uint64_t seed_ = 0;
  uint32_t step_ = 0, first_token_ = 0, first_sequence_ = 0, operation_ = 0;
};

}  // namespace mlac
