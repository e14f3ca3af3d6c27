#include "peaks.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <stdexcept>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace mlac {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

// Runs a loop of count steps; returns the operations that it did.
using PeakLoop = double (*)(size_t count);

struct NamedLoop {
  std::string_view name;
  bool available;
  PeakLoop run;
};

// Independent sums, enough to hide a latency of 4 or 5 cycles at two operations a cycle. An empty asm takes and gives back each one in its
// register, so that the compiler neither drops nor reorders the work. They are set in an unrolled loop too: as a memset they would stay in memory.
constexpr int kSums = 12;
constexpr int kStepsPerCount = 100;

#if defined(__x86_64__)

// Linux hands out the tile registers on request (arch_prctl ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA).
bool MayUseTiles() { return syscall(SYS_arch_prctl, 0x1023, 18) == 0; }

// Whether bit `bit` of a register of CPUID leaf 7 is set; register 0 to 3: eax, ebx, ecx, edx.
bool Leaf7(unsigned subleaf, int reg, int bit) {
  unsigned value[4] = {};
  return __get_cpuid_count(7, subleaf, &value[0], &value[1], &value[2], &value[3]) != 0 && (value[reg] >> bit & 1) != 0;
}

__attribute__((target("avx2,fma"))) double F32Avx2(size_t count) {
  __m256 sums[kSums], factor = _mm256_set1_ps(0.999f), summand = _mm256_set1_ps(0.001f);
#pragma GCC unroll 12
  for (__m256& sum : sums) sum = _mm256_set1_ps(1);
  for (size_t i = 0; i < count * kStepsPerCount; ++i)
#pragma GCC unroll 12
    for (__m256& sum : sums) {
      sum = _mm256_fmadd_ps(sum, factor, summand);
      asm volatile("" : "+x"(sum));
    }
  return static_cast<double>(count) * kStepsPerCount * kSums * 2 * 8;
}

__attribute__((target("avx512f"))) double F32Avx512(size_t count) {
  __m512 sums[kSums], factor = _mm512_set1_ps(0.999f), summand = _mm512_set1_ps(0.001f);
#pragma GCC unroll 12
  for (__m512& sum : sums) sum = _mm512_set1_ps(1);
  for (size_t i = 0; i < count * kStepsPerCount; ++i)
#pragma GCC unroll 12
    for (__m512& sum : sums) {
      sum = _mm512_fmadd_ps(sum, factor, summand);
      asm volatile("" : "+v"(sum));
    }
  return static_cast<double>(count) * kStepsPerCount * kSums * 2 * 16;
}

__attribute__((target("avxvnni"))) double Int8AvxVnni(size_t count) {
  __m256i sums[kSums], a = _mm256_set1_epi8(3), b = _mm256_set1_epi8(2);
#pragma GCC unroll 12
  for (__m256i& sum : sums) sum = _mm256_setzero_si256();
  for (size_t i = 0; i < count * kStepsPerCount; ++i)
#pragma GCC unroll 12
    for (__m256i& sum : sums) {
      sum = _mm256_dpbusd_avx_epi32(sum, a, b);
      asm volatile("" : "+x"(sum));
    }
  return static_cast<double>(count) * kStepsPerCount * kSums * 2 * 32;
}

__attribute__((target("avx512f,avx512vnni"))) double Int8Avx512(size_t count) {
  __m512i sums[kSums], a = _mm512_set1_epi32(0x03030303), b = _mm512_set1_epi32(0x02020202);
#pragma GCC unroll 12
  for (__m512i& sum : sums) sum = _mm512_setzero_si512();
  for (size_t i = 0; i < count * kStepsPerCount; ++i)
#pragma GCC unroll 12
    for (__m512i& sum : sums) {
      sum = _mm512_dpbusd_epi32(sum, a, b);
      asm volatile("" : "+v"(sum));
    }
  return static_cast<double>(count) * kStepsPerCount * kSums * 2 * 64;
}

__attribute__((target("avx512f,avx512bf16"))) double Bf16Avx512(size_t count) {
  __m512 sums[kSums], ones = _mm512_set1_ps(1);
  const __m512bh a = _mm512_cvtne2ps_pbh(ones, ones);
#pragma GCC unroll 12
  for (__m512& sum : sums) sum = _mm512_setzero_ps();
  for (size_t i = 0; i < count * kStepsPerCount; ++i)
#pragma GCC unroll 12
    for (__m512& sum : sums) {
      sum = _mm512_dpbf16_ps(sum, a, a);
      asm volatile("" : "+v"(sum));
    }
  return static_cast<double>(count) * kStepsPerCount * kSums * 2 * 32;
}

// Palette 1: eight tiles of 16 rows of 64 bytes.
struct alignas(64) TileConfig {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t bytes_per_row[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// Six sums and two factors: all eight tiles. A step multiplies 16 x 64 by 64 x 16 bytes into each sum.
__attribute__((target("amx-tile,amx-int8"))) double Int8Amx(size_t count) {
  const TileConfig config;
  asm volatile("ldtilecfg %0" ::"m"(config));  // all tiles are zero then
  for (size_t i = 0; i < count * kStepsPerCount; ++i) {
    _tile_dpbssd(0, 6, 7);
    _tile_dpbssd(1, 6, 7);
    _tile_dpbssd(2, 6, 7);
    _tile_dpbssd(3, 6, 7);
    _tile_dpbssd(4, 6, 7);
    _tile_dpbssd(5, 6, 7);
  }
  _tile_release();
  return static_cast<double>(count) * kStepsPerCount * 6 * 2 * 16 * 16 * 64;
}

__attribute__((target("amx-tile,amx-bf16"))) double Bf16Amx(size_t count) {
  const TileConfig config;
  asm volatile("ldtilecfg %0" ::"m"(config));
  for (size_t i = 0; i < count * kStepsPerCount; ++i) {
    _tile_dpbf16ps(0, 6, 7);
    _tile_dpbf16ps(1, 6, 7);
    _tile_dpbf16ps(2, 6, 7);
    _tile_dpbf16ps(3, 6, 7);
    _tile_dpbf16ps(4, 6, 7);
    _tile_dpbf16ps(5, 6, 7);
  }
  _tile_release();
  return static_cast<double>(count) * kStepsPerCount * 6 * 2 * 16 * 16 * 32;
}

const std::vector<NamedLoop>& Loops() {
  static const std::vector<NamedLoop> loops = [] {
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"), avx512 = __builtin_cpu_supports("avx512f");
    const bool tiles = Leaf7(0, 3, 24) && MayUseTiles();
    return std::vector<NamedLoop>{
        {"f32 avx2", avx2, F32Avx2},
        {"f32 avx512", avx512, F32Avx512},
        {"int8 avxvnni", avx2 && Leaf7(1, 0, 4), Int8AvxVnni},
        {"int8 avx512", avx512 && Leaf7(0, 2, 11), Int8Avx512},
        {"int8 amx", tiles && Leaf7(0, 3, 25), Int8Amx},
        {"bf16 avx512", avx512 && Leaf7(1, 0, 5), Bf16Avx512},
        {"bf16 amx", tiles && Leaf7(0, 3, 22), Bf16Amx},
    };
  }();
  return loops;
}

#elif defined(__aarch64__)

double F32Neon(size_t count) {
  float32x4_t sums[kSums], factor = vdupq_n_f32(0.999f);
  for (float32x4_t& sum : sums) sum = vdupq_n_f32(1);
  for (size_t i = 0; i < count * kStepsPerCount; ++i)
#pragma GCC unroll 12
    for (float32x4_t& sum : sums) {
      sum = vfmaq_f32(sum, factor, factor);
      asm volatile("" : "+w"(sum));
    }
  return static_cast<double>(count) * kStepsPerCount * kSums * 2 * 4;
}

const std::vector<NamedLoop>& Loops() {
  static const std::vector<NamedLoop> loops = {{"f32 neon", true, F32Neon}};
  return loops;
}

#else

const std::vector<NamedLoop>& Loops() {
  static const std::vector<NamedLoop> loops;
  return loops;
}

#endif

#if defined(__x86_64__)
__attribute__((target_clones("avx512f", "avx2", "default")))
#endif
void ReadAll(const char* bytes, size_t num_bytes) {
  using Words = uint64_t __attribute__((vector_size(64), aligned(1), may_alias));
  Words found[4] = {};
  for (size_t i = 0; i < num_bytes; i += sizeof(found))
    for (size_t j = 0; j < 4; ++j) found[j] |= *reinterpret_cast<const Words*>(bytes + i + j * sizeof(Words));
  for (Words& words : found) asm volatile("" ::"m"(words));
}

}  // namespace

std::vector<std::string> PeakLoops() {
  std::vector<std::string> names;
  for (const NamedLoop& loop : Loops())
    if (loop.available) names.emplace_back(loop.name);
  return names;
}

double MeasurePeak(std::string_view name, double seconds) {
  const auto loop = std::find_if(Loops().begin(), Loops().end(), [&](const NamedLoop& l) { return l.available && l.name == name; });
  if (loop == Loops().end()) throw std::invalid_argument("this CPU has no loop '" + std::string(name) + "'");
  const auto begin = Clock::now();
  double operations = 0;
  do operations += loop->run(10);
  while (SecondsSince(begin) < seconds);
  return operations / SecondsSince(begin);
}

ReadLoop::ReadLoop(size_t num_bytes) : bytes_(num_bytes / 4096 * 4096, 1) {}

double ReadLoop::Measure(double seconds) const {
  const auto pass = [&] { ReadAll(bytes_.data(), bytes_.size()); };
  pass();
  const auto begin = Clock::now();
  double read = 0;
  do {
    const size_t passes = std::max<size_t>(1, (size_t{4} << 20) / bytes_.size());
    for (size_t i = 0; i < passes; ++i) pass();
    read += static_cast<double>(passes * bytes_.size());
  } while (SecondsSince(begin) < seconds);
  return read / SecondsSince(begin);
}

}  // namespace mlac
