#pragma once
// A weight of a model: its value and, in training, its gradient.
#include <string>

#include "tensor/tensor.h"

namespace mlac {

struct Parameter {
  std::string name;        // as in the checkpoint: "bert.encoder.layer.0.output.dense.weight"
  Tensor value;            // f32; borrowed from the mapped file until training copies it
  Tensor gradient;         // of value's shape; undefined outside of training and where frozen
  bool trainable = false;  // whether gradients are wanted
};

}  // namespace mlac
