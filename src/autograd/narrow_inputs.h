#pragma once
// Inputs of linear layers in int8 and bf16, rounded once for several products: queries, keys and values are computed from one.
#include <functional>
#include <memory>

#include "tensor/tensor.h"

namespace mlac {

// Rows rounded for products of int8 or bf16, with the scales and zeros of int8.
struct NarrowRows {
  Tensor source, values, scales, zeros;
};

class NarrowInputs {
 public:
  // What `round` made of x, values of this type (kU8 or kBF16); made once, until another tensor or type comes.
  std::shared_ptr<const NarrowRows> Of(const Tensor& x, DType dtype, const std::function<void(NarrowRows&)>& round);

 private:
  std::shared_ptr<const NarrowRows> last_;
};

}  // namespace mlac
