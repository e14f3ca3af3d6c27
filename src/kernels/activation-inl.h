// The choice of activation, once a row, with its loop: for activation.cc and for the epilogue of gemm.cc.
#if defined(MLAC_KERNELS_ACTIVATION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MLAC_KERNELS_ACTIVATION_INL_H_
#undef MLAC_KERNELS_ACTIVATION_INL_H_
#else
#define MLAC_KERNELS_ACTIVATION_INL_H_
#endif

#include "kernels/activation.h"
#include "kernels/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlac::kernels {
namespace HWY_NAMESPACE {

// Not Max(x, 0), which makes 0 of NaN on x86.
HWY_INLINE Lanes Relu(const Lanes& x) { return SelectLess(x, Set(0.0f), Set(0.0f), x); }

inline void ActivateRow(Activation activation, const float* in, float* out, size_t count) {
  switch (activation) {
    case Activation::kNone:
      if (in != out) ForEach(in, out, count, [](const Lanes& x) { return x; });
      return;
    case Activation::kGelu: return ForEach(in, out, count, [](const Lanes& x) { return Gelu(x); });
    case Activation::kGeluTanh: return ForEach(in, out, count, [](const Lanes& x) { return GeluTanh(x); });
    case Activation::kRelu: return ForEach(in, out, count, [](const Lanes& x) { return Relu(x); });
    case Activation::kTanh: return ForEach(in, out, count, [](const Lanes& x) { return Tanh(x); });
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace mlac::kernels
HWY_AFTER_NAMESPACE();

#endif
