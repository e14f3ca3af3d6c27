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

// Each number of 32 bits lies in a lane of 64, whose upper half may hold anything: a product of lower halves is one instruction then, its lower half needs
// no more work, and its upper half one shift.
template <size_t kCounters>
HWY_INLINE void PhiloxBlocks(const DropoutKey& key, uint32_t row, uint32_t block, uint16_t* HWY_RESTRICT numbers) {
  const hn::CappedTag<uint64_t, kCounters> d;
  const hn::Repartition<uint32_t, decltype(d)> d32;
  uint64_t words[2 * kCounters];
  const auto multiplier0 = hn::Set(d32, 0xD2511F53), multiplier1 = hn::Set(d32, 0xCD9E8D57);
  for (size_t first = 0; first < kCounters; first += hn::Lanes(d)) {
    auto c0 = hn::Add(hn::Iota(d, 0), hn::Set(d, block + static_cast<uint32_t>(first)));  // Iota of what is not constant goes through memory
    auto c1 = hn::Set(d, row), c2 = hn::Set(d, key.operation), c3 = hn::Set(d, key.step);
    uint32_t key0 = static_cast<uint32_t>(key.seed), key1 = static_cast<uint32_t>(key.seed >> 32);
    for (int round = 0; round < 10; ++round) {
      const auto product0 = hn::MulEven(hn::BitCast(d32, c0), multiplier0), product1 = hn::MulEven(hn::BitCast(d32, c2), multiplier1);
      c0 = hn::Xor(hn::Xor(hn::ShiftRight<32>(product1), c1), hn::Set(d, key0));
      c1 = product1;
      c2 = hn::Xor(hn::Xor(hn::ShiftRight<32>(product0), c3), hn::Set(d, key1));
      c3 = product0;
      key0 += 0x9E3779B9;
      key1 += 0xBB67AE85;
    }
    const auto lower_halves = [&](auto low, auto high) {  // as one number of 64 bits
      return hn::BitCast(d, hn::OddEven(hn::BitCast(d32, hn::ShiftLeft<32>(high)), hn::BitCast(d32, low)));
    };
    hn::StoreInterleaved2(lower_halves(c0, c1), lower_halves(c2, c3), d, words + 2 * first);
  }
  std::memcpy(numbers, words, sizeof words);
}

// Of whole vectors the elements that stay, scaled; returns how many it did.
HWY_INLINE size_t KeepVectors(const uint16_t* HWY_RESTRICT numbers, uint32_t threshold, float scale, const float* in, float* out, size_t count) {
  const hn::ScalableTag<float> d;
  const hn::RebindToSigned<decltype(d)> integers;
  const hn::Rebind<uint16_t, decltype(d)> halves;
  const auto last_dropped = hn::Set(integers, static_cast<int32_t>(threshold) - 1);
  const auto scales = hn::Set(d, scale);
  size_t i = 0;
  for (; i + hn::Lanes(d) <= count; i += hn::Lanes(d)) {
    const auto kept = hn::Gt(hn::PromoteTo(integers, hn::LoadU(halves, numbers + i)), last_dropped);
    hn::StoreU(hn::IfThenElseZero(hn::RebindMask(d, kept), hn::Mul(hn::LoadU(d, in + i), scales)), d, out + i);
  }
  return i;
}

#else  // the reference

size_t KeepVectors(const uint16_t*, uint32_t, float, const float*, float*, size_t) { return 0; }

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
    for (size_t i = KeepVectors(numbers, threshold, scale, in + first, out + first, columns); i < columns; ++i)
      out[first + i] = numbers[i] < threshold ? 0.0f : in[first + i] * scale;
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
