// Sixteen floats that behave alike on every instruction set: one vector of 16, two of 8 or four of 4; on targets without a fused
// multiply-add a plain array, which is the reference that defines the bits. Row kernels are written once over this type.
#if defined(MLAC_KERNELS_LANES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MLAC_KERNELS_LANES_INL_H_
#undef MLAC_KERNELS_LANES_INL_H_
#else
#define MLAC_KERNELS_LANES_INL_H_
#endif

#include <bit>
#include <cmath>
#include <cstring>
#include <hwy/highway.h>
#include <limits>

HWY_BEFORE_NAMESPACE();
namespace mlac::kernels {
namespace HWY_NAMESPACE {

inline constexpr size_t kLanes = 16;

#if HWY_NATIVE_FMA

namespace hn = hwy::HWY_NAMESPACE;
using LanesTag = hn::CappedTag<float, kLanes>;
inline constexpr size_t kWidth = hn::MaxLanes(LanesTag()), kParts = kLanes / kWidth;

struct Lanes {
#if HWY_ARCH_ARM  // vectors are classes there, and GCC gives the target of this namespace to no function that it makes itself
  HWY_INLINE Lanes() {}
  HWY_INLINE Lanes(const Lanes& other) { *this = other; }
  HWY_INLINE Lanes& operator=(const Lanes& other) {
    for (size_t p = 0; p < kParts; ++p) part[p] = other.part[p];
    return *this;
  }
#endif
  hn::Vec<LanesTag> part[kParts];
};

HWY_INLINE Lanes Load(const float* from) {
  Lanes x;
  for (size_t p = 0; p < kParts; ++p) x.part[p] = hn::LoadU(LanesTag(), from + p * kWidth);
  return x;
}
HWY_INLINE void Store(const Lanes& x, float* to) {
  for (size_t p = 0; p < kParts; ++p) hn::StoreU(x.part[p], LanesTag(), to + p * kWidth);
}
HWY_INLINE Lanes Set(float value) {
  Lanes x;
  for (size_t p = 0; p < kParts; ++p) x.part[p] = hn::Set(LanesTag(), value);
  return x;
}
template <typename Function>
HWY_INLINE Lanes Each(const Lanes& a, const Lanes& b, Function function) {
  Lanes x;
  for (size_t p = 0; p < kParts; ++p) x.part[p] = function(a.part[p], b.part[p]);
  return x;
}
using Part = hn::Vec<LanesTag>;
HWY_INLINE Lanes operator+(const Lanes& a, const Lanes& b) { return Each(a, b, [](Part x, Part y) { return hn::Add(x, y); }); }
HWY_INLINE Lanes operator-(const Lanes& a, const Lanes& b) { return Each(a, b, [](Part x, Part y) { return hn::Sub(x, y); }); }
HWY_INLINE Lanes operator*(const Lanes& a, const Lanes& b) { return Each(a, b, [](Part x, Part y) { return hn::Mul(x, y); }); }
HWY_INLINE Lanes operator/(const Lanes& a, const Lanes& b) { return Each(a, b, [](Part x, Part y) { return hn::Div(x, y); }); }
HWY_INLINE Lanes Max(const Lanes& a, const Lanes& b) { return Each(a, b, [](Part x, Part y) { return hn::Max(x, y); }); }
HWY_INLINE Lanes Min(const Lanes& a, const Lanes& b) { return Each(a, b, [](Part x, Part y) { return hn::Min(x, y); }); }
HWY_INLINE Lanes Abs(const Lanes& a) { return Each(a, a, [](Part x, Part) { return hn::Abs(x); }); }
HWY_INLINE Lanes SquareRoot(const Lanes& a) { return Each(a, a, [](Part x, Part) { return hn::Sqrt(x); }); }
HWY_INLINE Lanes Round(const Lanes& a) { return Each(a, a, [](Part x, Part) { return hn::Round(x); }); }  // to nearest even
HWY_INLINE Lanes CopySign(const Lanes& magnitude, const Lanes& sign) {
  return Each(magnitude, sign, [](Part x, Part y) { return hn::CopySign(x, y); });
}
HWY_INLINE Lanes MulAdd(const Lanes& a, const Lanes& b, const Lanes& c) {  // a * b + c, rounded once
  Lanes x;
  for (size_t p = 0; p < kParts; ++p) x.part[p] = hn::MulAdd(a.part[p], b.part[p], c.part[p]);
  return x;
}
// Where a < b: x, else y.
HWY_INLINE Lanes SelectLess(const Lanes& a, const Lanes& b, const Lanes& x, const Lanes& y) {
  Lanes z;
  for (size_t p = 0; p < kParts; ++p) z.part[p] = hn::IfThenElse(hn::Lt(a.part[p], b.part[p]), x.part[p], y.part[p]);
  return z;
}
// An integral float below 2^22 plus 1.5 * 2^23 has its integer in the low bits: fewer instructions than a conversion, which has to think of overflow.
inline constexpr float kIntegerBits = 12582912.0f;
// With the bias of the exponent: n + kExponentBits, shifted up by the mantissa's 23 bits, is 2^n.
inline constexpr float kExponentBits = kIntegerBits + 127;
HWY_INLINE Lanes ShiftIntoExponent(const Lanes& x) {
  const hn::RebindToUnsigned<LanesTag> integers;
  return Each(x, x, [&](Part y, Part) { return hn::BitCast(LanesTag(), hn::ShiftLeft<23>(hn::BitCast(integers, y))); });
}
// From and to integers. Load: exact up to 2^24, beyond to nearest even. Store: x is integral and in range.
HWY_INLINE Lanes LoadIntegers(const int32_t* from) {
  Lanes x;
  const hn::RebindToSigned<LanesTag> integers;
  for (size_t p = 0; p < kParts; ++p) x.part[p] = hn::ConvertTo(LanesTag(), hn::LoadU(integers, from + p * kWidth));
  return x;
}
HWY_INLINE Lanes LoadMinusProduct(const int32_t* a, const int32_t* b, int32_t c) {  // a - b c, in integers
  Lanes x;
  const hn::RebindToSigned<LanesTag> integers;
  const auto factor = hn::Set(integers, c);
  for (size_t p = 0; p < kParts; ++p)
    x.part[p] = hn::ConvertTo(LanesTag(), hn::Sub(hn::LoadU(integers, a + p * kWidth), hn::Mul(hn::LoadU(integers, b + p * kWidth), factor)));
  return x;
}
HWY_INLINE Lanes LoadInt8(const int8_t* from) {
  Lanes x;
  const hn::Rebind<int8_t, LanesTag> bytes;
  for (size_t p = 0; p < kParts; ++p)
    x.part[p] = hn::ConvertTo(LanesTag(), hn::PromoteTo(hn::RebindToSigned<LanesTag>(), hn::LoadU(bytes, from + p * kWidth)));
  return x;
}
HWY_INLINE void StoreUint8(const Lanes& x, uint8_t* to) {
  const hn::Rebind<uint8_t, LanesTag> bytes;
  const hn::RebindToSigned<LanesTag> integers;
  for (size_t p = 0; p < kParts; ++p) {
    const auto bits = hn::BitCast(integers, hn::Add(x.part[p], hn::Set(LanesTag(), kIntegerBits)));
    hn::StoreU(hn::DemoteTo(bytes, hn::And(bits, hn::Set(integers, 255))), bytes, to + p * kWidth);
  }
}
// bf16: the upper halves of floats. Rounded to nearest even; NaN stays.
HWY_INLINE Lanes RoundToBf16(const Lanes& x) {
  const hn::RebindToUnsigned<LanesTag> integers;
  return Each(x, x, [&](Part y, Part) {
    const auto bits = hn::BitCast(integers, y);
    const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(integers, 1));
    const auto rounded = hn::And(hn::Add(hn::Add(bits, hn::Set(integers, 0x7fff)), odd), hn::Set(integers, 0xffff0000));
    return hn::IfThenElse(hn::IsNaN(y), hn::Set(LanesTag(), std::numeric_limits<float>::quiet_NaN()), hn::BitCast(LanesTag(), rounded));
  });
}
HWY_INLINE Lanes LoadBf16(const uint16_t* from) {
  Lanes x;
  const hn::Rebind<uint16_t, LanesTag> halves;
  for (size_t p = 0; p < kParts; ++p)
    x.part[p] = hn::BitCast(LanesTag(), hn::ShiftLeft<16>(hn::PromoteTo(hn::RebindToUnsigned<LanesTag>(), hn::LoadU(halves, from + p * kWidth))));
  return x;
}
HWY_INLINE void StoreBf16(const Lanes& x, uint16_t* to) {  // x is rounded to bf16
  const hn::Rebind<uint16_t, LanesTag> halves;
  for (size_t p = 0; p < kParts; ++p) {
    const auto bits = hn::ShiftRight<16>(hn::BitCast(hn::RebindToUnsigned<LanesTag>(), x.part[p]));
    hn::StoreU(hn::DemoteTo(halves, hn::BitCast(hn::RebindToSigned<LanesTag>(), bits)), halves, to + p * kWidth);
  }
}
template <class Tag, class Vector>
HWY_INLINE float FoldSumOf(Tag, Vector x) {
  if constexpr (hn::MaxLanes(Tag()) == 1) {
    return hn::GetLane(x);
  } else {
    const hn::Half<Tag> half;
    return FoldSumOf(half, hn::Add(hn::LowerHalf(half, x), hn::UpperHalf(half, x)));
  }
}
template <class Tag, class Vector>
HWY_INLINE float FoldMaxOf(Tag, Vector x) {
  if constexpr (hn::MaxLanes(Tag()) == 1) {
    return hn::GetLane(x);
  } else {
    const hn::Half<Tag> half;
    return FoldMaxOf(half, hn::Max(hn::LowerHalf(half, x), hn::UpperHalf(half, x)));
  }
}
// The sum of the lanes, folded in halves: 16, 8, 4, 2, 1.
HWY_INLINE float FoldSum(Lanes x) {
  for (size_t parts = kParts / 2; parts > 0; parts /= 2)
    for (size_t p = 0; p < parts; ++p) x.part[p] = hn::Add(x.part[p], x.part[p + parts]);
  return FoldSumOf(LanesTag(), x.part[0]);
}
HWY_INLINE float FoldMax(Lanes x) {
  for (size_t parts = kParts / 2; parts > 0; parts /= 2)
    for (size_t p = 0; p < parts; ++p) x.part[p] = hn::Max(x.part[p], x.part[p + parts]);
  return FoldMaxOf(LanesTag(), x.part[0]);
}

#else  // the reference

struct Lanes {
  float lane[kLanes];
};

HWY_INLINE Lanes Load(const float* from) {
  Lanes x;
  std::memcpy(x.lane, from, sizeof x.lane);
  return x;
}
HWY_INLINE void Store(const Lanes& x, float* to) { std::memcpy(to, x.lane, sizeof x.lane); }
template <typename Function>
HWY_INLINE Lanes Each(Function function) {
  Lanes x;
  for (size_t i = 0; i < kLanes; ++i) x.lane[i] = function(i);
  return x;
}
HWY_INLINE Lanes Set(float value) {
  return Each([&](size_t) { return value; });
}
HWY_INLINE Lanes operator+(const Lanes& a, const Lanes& b) {
  return Each([&](size_t i) { return a.lane[i] + b.lane[i]; });
}
HWY_INLINE Lanes operator-(const Lanes& a, const Lanes& b) {
  return Each([&](size_t i) { return a.lane[i] - b.lane[i]; });
}
HWY_INLINE Lanes operator*(const Lanes& a, const Lanes& b) {
  return Each([&](size_t i) { return a.lane[i] * b.lane[i]; });
}
HWY_INLINE Lanes operator/(const Lanes& a, const Lanes& b) {
  return Each([&](size_t i) { return a.lane[i] / b.lane[i]; });
}
// The second operand where the two are equal or not ordered, as the vector instructions of x86 do.
HWY_INLINE Lanes Max(const Lanes& a, const Lanes& b) {
  return Each([&](size_t i) { return a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i]; });
}
HWY_INLINE Lanes Min(const Lanes& a, const Lanes& b) {
  return Each([&](size_t i) { return a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i]; });
}
HWY_INLINE Lanes Abs(const Lanes& a) {
  return Each([&](size_t i) { return std::fabs(a.lane[i]); });
}
HWY_INLINE Lanes SquareRoot(const Lanes& a) {
  return Each([&](size_t i) { return std::sqrt(a.lane[i]); });
}
HWY_INLINE Lanes Round(const Lanes& a) {
  return Each([&](size_t i) { return std::nearbyint(a.lane[i]); });
}
HWY_INLINE Lanes CopySign(const Lanes& magnitude, const Lanes& sign) {
  return Each([&](size_t i) { return std::copysign(magnitude.lane[i], sign.lane[i]); });
}
HWY_INLINE Lanes MulAdd(const Lanes& a, const Lanes& b, const Lanes& c) {
  return Each([&](size_t i) { return std::fma(a.lane[i], b.lane[i], c.lane[i]); });
}
HWY_INLINE Lanes SelectLess(const Lanes& a, const Lanes& b, const Lanes& x, const Lanes& y) {
  return Each([&](size_t i) { return a.lane[i] < b.lane[i] ? x.lane[i] : y.lane[i]; });
}
inline constexpr float kExponentBits = 12583039.0f;
HWY_INLINE Lanes ShiftIntoExponent(const Lanes& x) {
  return Each([&](size_t i) { return std::bit_cast<float>(std::bit_cast<uint32_t>(x.lane[i]) << 23); });
}
HWY_INLINE Lanes LoadIntegers(const int32_t* from) {
  return Each([&](size_t i) { return static_cast<float>(from[i]); });
}
HWY_INLINE Lanes LoadMinusProduct(const int32_t* a, const int32_t* b, int32_t c) {
  return Each([&](size_t i) {  // both may exceed 32 bits where their difference does not
    return static_cast<float>(static_cast<int32_t>(static_cast<uint32_t>(a[i]) - static_cast<uint32_t>(b[i]) * static_cast<uint32_t>(c)));
  });
}
HWY_INLINE Lanes LoadInt8(const int8_t* from) {
  return Each([&](size_t i) { return static_cast<float>(from[i]); });
}
HWY_INLINE void StoreUint8(const Lanes& x, uint8_t* to) {
  for (size_t i = 0; i < kLanes; ++i) to[i] = static_cast<uint8_t>(x.lane[i]);
}
HWY_INLINE Lanes RoundToBf16(const Lanes& x) {
  return Each([&](size_t i) {
    const uint32_t bits = std::bit_cast<uint32_t>(x.lane[i]);
    if (std::isnan(x.lane[i])) return std::numeric_limits<float>::quiet_NaN();
    return std::bit_cast<float>((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u);
  });
}
HWY_INLINE Lanes LoadBf16(const uint16_t* from) {
  return Each([&](size_t i) { return std::bit_cast<float>(static_cast<uint32_t>(from[i]) << 16); });
}
HWY_INLINE void StoreBf16(const Lanes& x, uint16_t* to) {
  for (size_t i = 0; i < kLanes; ++i) to[i] = static_cast<uint16_t>(std::bit_cast<uint32_t>(x.lane[i]) >> 16);
}
HWY_INLINE float FoldSum(Lanes x) {
  for (size_t half = kLanes / 2; half > 0; half /= 2)
    for (size_t i = 0; i < half; ++i) x.lane[i] = x.lane[i] + x.lane[i + half];
  return x.lane[0];
}
HWY_INLINE float FoldMax(Lanes x) {
  for (size_t half = kLanes / 2; half > 0; half /= 2)
    for (size_t i = 0; i < half; ++i) x.lane[i] = x.lane[i] > x.lane[i + half] ? x.lane[i] : x.lane[i + half];
  return x.lane[0];
}

#endif

// 2 to the power of n, n integral in [-126, 127]; anything for NaN.
HWY_INLINE Lanes PowerOfTwo(const Lanes& n) { return ShiftIntoExponent(n + Set(kExponentBits)); }

// The first `count` (below 16) floats; the other lanes are `fill`.
HWY_INLINE Lanes LoadPart(const float* from, size_t count, float fill = 0.0f) {
  HWY_ALIGN float lanes[kLanes];
  for (size_t i = 0; i < kLanes; ++i) lanes[i] = i < count ? from[i] : fill;
  return Load(lanes);
}
// Columns first to first + 15 of a row of `columns`, zeros behind its end.
HWY_INLINE Lanes LoadColumns(const float* row, size_t first, size_t columns) {
  if (first + kLanes <= columns) return Load(row + first);
  return LoadPart(row + first, first < columns ? columns - first : 0);
}
HWY_INLINE void StorePart(const Lanes& x, float* to, size_t count) {
  HWY_ALIGN float lanes[kLanes];
  Store(x, lanes);
  for (size_t i = 0; i < count; ++i) to[i] = lanes[i];
}

// out[i] = function(in[i]) for `count` elements; in may be out.
template <typename Function>
HWY_INLINE void ForEach(const float* in, float* out, size_t count, Function function) {
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) Store(function(Load(in + i)), out + i);
  if (i < count) StorePart(function(LoadPart(in + i, count - i)), out + i, count - i);
}
template <typename Function>
HWY_INLINE void ForEach(const float* a, const float* b, float* out, size_t count, Function function) {
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) Store(function(Load(a + i), Load(b + i)), out + i);
  if (i < count) StorePart(function(LoadPart(a + i, count - i), LoadPart(b + i, count - i)), out + i, count - i);
}

}  // namespace HWY_NAMESPACE
}  // namespace mlac::kernels
HWY_AFTER_NAMESPACE();

#endif
