// AVX512-BF16 by assembly, as in amx-inl.h. Included by bf16_gemm.cc, bf16_pack.cc and bf16_attention.cc.
#if defined(MLAC_KERNELS_BF16_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MLAC_KERNELS_BF16_INL_H_
#undef MLAC_KERNELS_BF16_INL_H_
#else
#define MLAC_KERNELS_BF16_INL_H_
#endif

#include <hwy/highway.h>

#if HWY_TARGET == HWY_AVX3
HWY_BEFORE_NAMESPACE();
namespace mlac::kernels {
namespace HWY_NAMESPACE {

HWY_INLINE __m256i RoundToBf16(__m512 x) {
  __m256i y;
  asm("vcvtneps2bf16 %1, %0" : "=v"(y) : "v"(x));
  return y;
}

}  // namespace HWY_NAMESPACE
}  // namespace mlac::kernels
HWY_AFTER_NAMESPACE();
#endif

#endif
