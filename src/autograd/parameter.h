#pragma once
// A weight of a model: its value and, in training, its gradient.
#include <memory>
#include <string>

#include "autograd/gradient.h"
#include "tensor/tensor.h"

namespace mlac {

class PackedWeight;

struct Parameter {
  std::string name;        // as in the checkpoint: "bert.encoder.layer.0.output.dense.weight"
  Tensor value;            // f32, or int8 where a folder holds that; borrowed from the mapped file until training copies it
  Gradient gradient;       // of value's shape; undefined outside of training and where frozen
  bool trainable = false;  // whether gradients are wanted
  Tensor scale;            // of an int8 value: [rows] f32, a row is value * scale; else undefined
  // Packed for the products of inference; of all layers that read this weight. Made by the first of them.
  std::shared_ptr<PackedWeight> packed = nullptr;
};

}  // namespace mlac
