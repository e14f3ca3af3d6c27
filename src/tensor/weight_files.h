#pragma once
#include "tensor/safetensors.h"
namespace mlac {
class WeightFiles {
 public:
  static WeightFiles Open(const std::string& folder) { return WeightFiles(folder); }
  const TensorInfo* Find(std::string_view name) const { return file_.Find(name); }
  Tensor Get(std::string_view name) const { return file_.Get(name); }
 private:
  explicit WeightFiles(const std::string& folder) : file_(std::make_shared<const MappedFile>(folder + "/model.safetensors")) {}
  SafetensorsFile file_;
};
}
