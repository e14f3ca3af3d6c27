#pragma once
// Reverse-mode differentiation: the forward pass records one entry an operator, Backward plays them in reverse.
#include <cstdint>
#include <functional>
#include <vector>

#include "tensor/tensor.h"

namespace mlac {

class Run;

class Tape {
 public:
  // Takes the gradient of the entry's output; adds to the gradients of its inputs (Accumulate) and of its parameters.
  using BackwardFunction = std::function<void(Run& run, const Tensor& gradient)>;

  // Notes how output was made and gives it its tape_id.
  void Record(Tensor& output, BackwardFunction backward);

  // Adds to the gradient of a recorded tensor; nothing for tape_id 0. Contributions add up in the order of the calls.
  void Accumulate(Run& run, uint32_t tape_id, Tensor gradient);

  // From the gradient of `output` to all that it was made of. The tape is empty afterwards.
  void Backward(Run& run, const Tensor& output, Tensor gradient);

 private:
  struct Entry {
    BackwardFunction backward;
    Tensor gradient;
  };
  std::vector<Entry> entries_;  // entry i has tape_id i + 1
};

}  // namespace mlac
