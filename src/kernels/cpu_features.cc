#include "kernels/cpu_features.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <initializer_list>
#endif

namespace mlac::kernels {
namespace {

#if defined(__x86_64__)

constexpr uint64_t kYmmState = 0x6, kZmmState = 0xe6, kTileState = uint64_t{3} << 17;  // bits of XCR0

uint64_t SavedState() {
  uint32_t low, high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t{high} << 32 | low;
}

// Linux gives a process the tiles on request only.
bool RequestTiles() {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

// The bits are those of Intel's Software Developer's Manual, volume 2A, CPUID.
CpuFeatures Find() {
  struct Registers {
    unsigned eax, ebx, ecx, edx;
  } one, seven, seven_one = {};
  CpuFeatures found;
  const auto all = [](unsigned bits, std::initializer_list<int> wanted) {
    for (const int bit : wanted)
      if ((bits >> bit & 1) == 0) return false;
    return true;
  };
  constexpr int kOsXsave = 27;
  if (__get_cpuid(1, &one.eax, &one.ebx, &one.ecx, &one.edx) == 0 || !all(one.ecx, {kOsXsave})) return found;
  if (__get_cpuid_count(7, 0, &seven.eax, &seven.ebx, &seven.ecx, &seven.edx) == 0) return found;
  if (seven.eax >= 1) __get_cpuid_count(7, 1, &seven_one.eax, &seven_one.ebx, &seven_one.ecx, &seven_one.edx);
  const uint64_t state = SavedState();
  const auto keeps = [state](uint64_t bits) { return (state & bits) == bits; };
  found.avx2 = keeps(kYmmState) && all(one.ecx, {12 /*FMA*/, 28 /*AVX*/, 29 /*F16C*/}) && all(seven.ebx, {3 /*BMI1*/, 5 /*AVX2*/, 8 /*BMI2*/});
  found.avx512 = found.avx2 && keeps(kZmmState) && all(seven.ebx, {16 /*F*/, 17 /*DQ*/, 30 /*BW*/, 31 /*VL*/});
  found.avx_vnni = found.avx2 && all(seven_one.eax, {4});
  found.avx512_vnni = found.avx512 && all(seven.ecx, {11});
  found.avx512_bf16 = found.avx512 && all(seven_one.eax, {5});
  const bool tiles = found.avx512 && keeps(kTileState) && all(seven.edx, {24}) && RequestTiles();
  found.amx_int8 = tiles && all(seven.edx, {25});
  found.amx_bf16 = tiles && all(seven.edx, {22});
  return found;
}

#else

CpuFeatures Find() { return {}; }

#endif

}  // namespace

const CpuFeatures& MachineCpuFeatures() {
  static const CpuFeatures found = Find();
  return found;
}

}  // namespace mlac::kernels
