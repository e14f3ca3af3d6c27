#include "kernels/dropout.h"

#include <algorithm>
#include <bit>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/dropout.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace mlac::kernels {
namespace HWY_NAMESPACE {

inline constexpr size_t kCounters = 16;  // generated side by side, so that the compiler's vectors fill
static_assert(std::endian::native == std::endian::little);  // a number of 32 bits is the even column's 16, then the odd one's

// Philox of base/random.h at sixteen counters {block, row, operation, step}, {block + 1, ...}: eight columns each. Integer arithmetic, so
// all instruction sets agree; plain loops, which the compiler vectorises for each.
void PhiloxBlocks(const DropoutKey& key, uint32_t row, uint32_t block, uint16_t* HWY_RESTRICT numbers) {
  uint32_t c0[kCounters], c1[kCounters], c2[kCounters], c3[kCounters];
  for (size_t i = 0; i < kCounters; ++i) {
    c0[i] = block + static_cast<uint32_t>(i);
    c1[i] = row;
    c2[i] = key.operation;
    c3[i] = key.step;
  }
  uint32_t key0 = static_cast<uint32_t>(key.seed), key1 = static_cast<uint32_t>(key.seed >> 32);
  for (int round = 0; round < 10; ++round) {
    for (size_t i = 0; i < kCounters; ++i) {
      const uint64_t product0 = uint64_t{0xD2511F53} * c0[i], product1 = uint64_t{0xCD9E8D57} * c2[i];
      c0[i] = static_cast<uint32_t>(product1 >> 32) ^ c1[i] ^ key0;
      c1[i] = static_cast<uint32_t>(product1);
      c2[i] = static_cast<uint32_t>(product0 >> 32) ^ c3[i] ^ key1;
      c3[i] = static_cast<uint32_t>(product0);
    }
    key0 += 0x9E3779B9;
    key1 += 0xBB67AE85;
  }
  uint32_t words[4 * kCounters];
  for (size_t i = 0; i < kCounters; ++i) {
    words[4 * i] = c0[i];
    words[4 * i + 1] = c1[i];
    words[4 * i + 2] = c2[i];
    words[4 * i + 3] = c3[i];
  }
  std::memcpy(numbers, words, sizeof words);
}

void DropoutOf(const DropoutKey& key, uint32_t row, uint32_t block, const float* in, float* out, size_t count) {
  constexpr size_t kColumns = kCounters * kDropoutBlock;
  const auto threshold = static_cast<uint32_t>(key.probability * 65536.0f + 0.5f);
  const float scale = 65536.0f / static_cast<float>(65536 - std::min<uint32_t>(threshold, 65535));
  uint16_t numbers[kColumns];
  for (size_t first = 0; first < count; first += kColumns, block += kCounters) {
    PhiloxBlocks(key, row, block, numbers);
    const size_t columns = std::min(kColumns, count - first);
    for (size_t i = 0; i < columns; ++i) out[first + i] = numbers[i] < threshold ? 0.0f : in[first + i] * scale;
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace mlac::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlac::kernels {

HWY_EXPORT(DropoutOf);

void Dropout(const DropoutKey& key, uint32_t row, uint32_t block, const float* in, float* out, size_t count) {
  HWY_DYNAMIC_DISPATCH(DropoutOf)(key, row, block, in, out, count);
}

}  // namespace mlac::kernels
#endif
