#include "kernels/activation.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/activation.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/activation-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlac::kernels {
namespace HWY_NAMESPACE {

void ActivateBackwardRow(Activation activation, const float* in, const float* gradient_out, float* gradient_in, size_t count) {
  switch (activation) {
    case Activation::kNone: return ForEach(gradient_out, gradient_in, count, [](const Lanes& g) { return g; });
    case Activation::kGelu:
      return ForEach(in, gradient_out, gradient_in, count, [](const Lanes& x, const Lanes& g) { return g * GeluDerivative(x); });
    case Activation::kGeluTanh:
      return ForEach(in, gradient_out, gradient_in, count, [](const Lanes& x, const Lanes& g) { return g * GeluTanhDerivative(x); });
    case Activation::kRelu:
      return ForEach(in, gradient_out, gradient_in, count, [](const Lanes& x, const Lanes& g) {
        const Lanes zero_or_nan = SelectLess(x, Set(1.0f), Set(0.0f), x);  // of an x that is not above 0
        return SelectLess(Set(0.0f), x, g, zero_or_nan);
      });
    case Activation::kTanh:
      return ForEach(in, gradient_out, gradient_in, count, [](const Lanes& x, const Lanes& g) {
        const Lanes t = Tanh(x);
        return g * (Set(1.0f) - t * t);
      });
  }
}

void ActivateRowOf(Activation activation, const float* in, float* out, size_t count) { ActivateRow(activation, in, out, count); }

}  // namespace HWY_NAMESPACE
}  // namespace mlac::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlac::kernels {

HWY_EXPORT(ActivateRowOf);
HWY_EXPORT(ActivateBackwardRow);

void Activate(Activation activation, const float* in, float* out, size_t count) {
  HWY_DYNAMIC_DISPATCH(ActivateRowOf)(activation, in, out, count);
}

void ActivateBackward(Activation activation, const float* in, const float* gradient_out, float* gradient_in, size_t count) {
  HWY_DYNAMIC_DISPATCH(ActivateBackwardRow)(activation, in, gradient_out, gradient_in, count);
}

}  // namespace mlac::kernels
#endif
