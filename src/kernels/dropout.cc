#include "kernels/dropout.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "base/random.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/dropout.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlac::kernels {
namespace HWY_NAMESPACE {

inline constexpr size_t kMostCounters = 16;                 // generated side by side, so that vectors fill
static_assert(std::endian::native == std::endian::little);  // a number of 32 bits is the even column's 16, then the odd one's

// Philox of base/random.h at counters {block, row, operation, step}, {block + 1, ...}: eight columns each. Integer arithmetic, so all
// instruction sets agree.
#if HWY_NATIVE_FMA

template <class D>
struct WideProduct {
  hn::Vec<D> high, low;  // 32 bits each
};

template <class D, class V = hn::Vec<D>>
HWY_INLINE WideProduct<D> MultiplyWide(D d, V a, V b) {
  const hn::RepartitionToWide<D> wide;
  const auto even = hn::MulEven(a, b), odd = hn::MulEven(hn::BitCast(d, hn::ShiftRight<32>(hn::BitCast(wide, a))), b);
  return {hn::OddEven(hn::BitCast(d, odd), hn::BitCast(d, hn::ShiftRight<32>(even))),
          hn::OddEven(hn::BitCast(d, hn::ShiftLeft<32>(odd)), hn::BitCast(d, even))};
}

template <size_t kCounters>
HWY_INLINE void PhiloxBlocks(const DropoutKey& key, uint32_t row, uint32_t block, uint16_t* HWY_RESTRICT numbers) {
  const hn::CappedTag<uint32_t, kCounters> d;
  uint32_t words[4 * kCounters];
  const auto multiplier0 = hn::Set(d, 0xD2511F53), multiplier1 = hn::Set(d, 0xCD9E8D57);
  for (size_t first = 0; first < kCounters; first += hn::Lanes(d)) {
    auto c0 = hn::Iota(d, block + static_cast<uint32_t>(first)), c1 = hn::Set(d, row), c2 = hn::Set(d, key.operation),
         c3 = hn::Set(d, key.step);
    uint32_t key0 = static_cast<uint32_t>(key.seed), key1 = static_cast<uint32_t>(key.seed >> 32);
    for (int round = 0; round < 10; ++round) {
      const auto product0 = MultiplyWide(d, c0, multiplier0), product1 = MultiplyWide(d, c2, multiplier1);
      c0 = hn::Xor(hn::Xor(product1.high, c1), hn::Set(d, key0));
      c1 = product1.low;
      c2 = hn::Xor(hn::Xor(product0.high, c3), hn::Set(d, key1));
      c3 = product0.low;
      key0 += 0x9E3779B9;
      key1 += 0xBB67AE85;
    }
    hn::StoreInterleaved4(c0, c1, c2, c3, d, words + 4 * first);
  }
  std::memcpy(numbers, words, sizeof words);
}

#else  // the reference

template <size_t kCounters>
void PhiloxBlocks(const DropoutKey& key, uint32_t row, uint32_t block, uint16_t* numbers) {
  for (uint32_t i = 0; i < kCounters; ++i) {
    const std::array<uint32_t, 4> words = Philox(key.seed, {block + i, row, key.operation, key.step});
    std::memcpy(numbers + kDropoutBlock * i, words.data(), sizeof words);
  }
}

#endif

void DropoutOf(const DropoutKey& key, uint32_t row, uint32_t block, const float* in, float* out, size_t count) {
  constexpr size_t kColumns = kMostCounters * kDropoutBlock;
  const auto threshold = static_cast<uint32_t>(key.probability * 65536.0f + 0.5f);
  const float scale = 65536.0f / static_cast<float>(65536 - std::min<uint32_t>(threshold, 65535));
  uint16_t numbers[kColumns];
  for (size_t first = 0; first < count; first += kColumns, block += kMostCounters) {
    const size_t columns = std::min(kColumns, count - first);
    if (columns <= kColumns / 4) {  // the probabilities of a short sequence
      PhiloxBlocks<kMostCounters / 4>(key, row, block, numbers);
    } else if (columns <= kColumns / 2) {
      PhiloxBlocks<kMostCounters / 2>(key, row, block, numbers);
    } else {
      PhiloxBlocks<kMostCounters>(key, row, block, numbers);
    }
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
