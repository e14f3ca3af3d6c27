#include "autograd/narrow_inputs.h"

namespace mlac {

std::shared_ptr<const NarrowRows> NarrowInputs::Of(const Tensor& x, DType dtype, const std::function<void(NarrowRows&)>& round) {
  if (last_ && last_->source.data() == x.data() && last_->source.shape() == x.shape() && last_->values.dtype() == dtype) return last_;
  last_ = nullptr;  // its memory can be used again
  const auto made = std::make_shared<NarrowRows>();
  made->source = x;
  round(*made);
  last_ = made;
  return last_;
}

}  // namespace mlac
