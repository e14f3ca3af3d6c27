#pragma once
// What the processor and the system offer, asked of them directly: cpuid, and the state that the system keeps across a switch of threads.

namespace mlac::kernels {

struct CpuFeatures {
  bool avx2 = false;    // with FMA, BMI and F16C, as every processor with AVX2 has them
  bool avx512 = false;  // F, BW, DQ and VL
  bool avx_vnni = false, avx512_vnni = false, avx512_bf16 = false;
  bool amx_int8 = false, amx_bf16 = false;  // Linux has allowed the process to use tiles
};

// All false on other processors than x86-64. Asked once; safe to call from several threads.
const CpuFeatures& MachineCpuFeatures();

}  // namespace mlac::kernels
