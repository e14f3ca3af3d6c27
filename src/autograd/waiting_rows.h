#pragma once
// Rows that wait in training in bf16: those of a part of a batch that do not fill a block of a weight's gradient, until the next part comes
// (bf16_training.cc).
#include <cstddef>
#include <map>

#include "tensor/tensor.h"

namespace mlac {

struct Parameter;

class WaitingRows {
 public:
  struct Rows {
    Tensor gradient, input;  // dZ and X of the layer, rounded
    size_t count = 0;
  };
  Rows& Of(const Parameter& weight) { return rows_[&weight]; }

 private:
  std::map<const Parameter*, Rows> rows_;
};

}  // namespace mlac
