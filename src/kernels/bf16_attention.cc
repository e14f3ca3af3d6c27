#include "kernels/bf16_attention.h"

#include <algorithm>
#include <array>
#include <utility>

#include "kernels/instruction_set.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/bf16_attention.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/amx-inl.h"
#include "kernels/attention-inl.h"
#include "kernels/bf16-inl.h"
#include "kernels/math-inl.h"
#include "kernels/tile-inl.h"

// n: tokens of the sequence. d: head_dim. r: query of a block. j: key. c: column of the output.
HWY_BEFORE_NAMESPACE();
namespace mlac::kernels {
namespace HWY_NAMESPACE {

constexpr size_t kStep = 32;  // elements of a sum's step
constexpr float kSmallestOperand = 0x1p-50f;

// What becomes of the scores of rows [0, rows), `stride` apart: store(r, j, probabilities of keys j to j + 15), sums[r]. Columns behind n
// hold kLowest: what they give, 2^-31 of the greatest, is next to nothing in the sum and meets values of 0.
template <size_t kRows, class Store>
HWY_INLINE void ProbabilitiesOf(const float* scores, size_t stride, size_t n, float factor, float* sums, const Store& store) {
  Lanes maximum[kRows], sum[kRows];
  for (size_t r = 0; r < kRows; ++r) maximum[r] = Set(kLowest), sum[r] = Set(0.0f);
  for (size_t j = 0; j < n; j += kLanes)
    for (size_t r = 0; r < kRows; ++r) maximum[r] = Max(maximum[r], Load(scores + r * stride + j));
  const Lanes factors = Set(factor);
  for (size_t r = 0; r < kRows; ++r) maximum[r] = Set(FoldMax(maximum[r]) * -factor);
  for (size_t j = 0; j < n; j += kLanes)
    for (size_t r = 0; r < kRows; ++r) {
      const Lanes e = PowerOfTwoShort(MulAdd(Load(scores + r * stride + j), factors, maximum[r]));
      store(r, j, e);
      sum[r] = sum[r] + e;
    }
  for (size_t r = 0; r < kRows; ++r) sums[r] = FoldSum(sum[r]);
}

template <class Store>
HWY_INLINE void Probabilities(const Bf16AttentionArguments& t, size_t first_query, size_t rows, float* scores, size_t stride, float* sums,
                              const Store& store) {
  constexpr float kLog2E = 1.44269504f;
  constexpr size_t kTogether = 4;  // rows that wait for nothing of each other
  const size_t n = t.num_tokens;
  float scale = t.scale;
  for (size_t r = 0; r < rows; ++r) {
    scale = AddBias(t, first_query + r, scores + r * stride);
    std::fill(scores + r * stride + n, scores + r * stride + RoundUp(n, kLanes), kLowest);
  }
  size_t r = 0;
  for (; r + kTogether <= rows; r += kTogether)
    ProbabilitiesOf<kTogether>(scores + r * stride, stride, n, scale * kLog2E, sums + r,
                               [&](size_t i, size_t j, const Lanes& e) { store(r + i, j, e); });
  for (; r < rows; ++r)
    ProbabilitiesOf<1>(scores + r * stride, stride, n, scale * kLog2E, sums + r, [&](size_t, size_t j, const Lanes& e) { store(r, j, e); });
}

// A row of outputs: sums over keys, [d], times 1 / the sum of the probabilities.
HWY_INLINE void StoreOutput(const Bf16AttentionArguments& t, size_t query, float* products, float sum) {
  const Lanes inverse = Set(1.0f / sum);
  const size_t d = t.head_dim;
  if (t.out != nullptr) return ForEach(products, t.out + query * t.out_stride, d, [&](const Lanes& x) { return x * inverse; });
  Bf16* out = t.out_bf16 + query * t.out_stride;
  for (size_t c = 0; c < d; c += kLanes) {
    const Lanes rounded = RoundToBf16(Load(products + c) * inverse);
    if (c + kLanes <= d) {
      StoreBf16(rounded, out + c);
    } else {
      Bf16 lanes[kLanes];
      StoreBf16(rounded, lanes);
      std::copy_n(lanes, d - c, out + c);
    }
  }
}

// `count` operands as f32, zeros behind them up to `size`.
HWY_INLINE void Widen(const Bf16* from, size_t count, size_t size, float* to) {
  const auto operand = [](const Lanes& x) { return SelectLess(Abs(x), Set(kSmallestOperand), Set(0.0f), x); };
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) Store(operand(LoadBf16(from + i)), to + i);
  Bf16 part[kLanes] = {};
  if (i < count) std::copy_n(from + i, count - i, part);
  for (; i < size; i += kLanes) {
    StorePart(operand(LoadBf16(part)), to + i, std::min(kLanes, size - i));
    std::fill_n(part, kLanes, Bf16{0});
  }
}

#if HWY_NATIVE_FMA
// Even and odd sums of two vectors of columns each: 24 of 32 registers, 12 of 16.
constexpr size_t kPairTileRows = kWidth == 8 ? 3 : 6;

// C[r][j], kPanel columns, of rows of A and a panel [num_k][kPanel]. num_k: even.
template <size_t kRows>
void PairTile(const float* a, size_t a_stride, const float* b, size_t num_k, float* c, size_t c_stride) {
  const LanesTag d;
  using Vector = hn::Vec<LanesTag>;
  for (size_t begin = 0; begin < num_k; begin += kStep) {
    const size_t end = std::min(num_k, begin + kStep);
    Vector even[kRows][2], odd[kRows][2];
#pragma GCC unroll 16
    for (size_t r = 0; r < kRows; ++r) even[r][0] = even[r][1] = odd[r][0] = odd[r][1] = hn::Zero(d);
    for (size_t k = begin; k < end; k += 2, b += 2 * kPanel) {
      const auto add = [&](size_t i, Vector(&sum)[kRows][2]) HWY_ATTR {
        const Vector b0 = hn::LoadU(d, b + i * kPanel), b1 = hn::LoadU(d, b + i * kPanel + kWidth);
#pragma GCC unroll 16
        for (size_t r = 0; r < kRows; ++r) {
          const Vector x = hn::Set(d, a[r * a_stride + k + i]);
          sum[r][0] = hn::MulAdd(x, b0, sum[r][0]);
          sum[r][1] = hn::MulAdd(x, b1, sum[r][1]);
        }
      };
      add(0, even);
      add(1, odd);
    }
#pragma GCC unroll 16
    for (size_t r = 0; r < kRows; ++r)
      for (size_t i = 0; i < 2; ++i) {
        float* to = c + r * c_stride + i * kWidth;
        const Vector sum = hn::Add(even[r][i], odd[r][i]);
        hn::StoreU(begin == 0 ? sum : hn::Add(hn::LoadU(d, to), sum), d, to);
      }
  }
}
#else  // the reference
constexpr size_t kPairTileRows = 1;

template <size_t kRows>
void PairTile(const float* a, size_t, const float* b, size_t num_k, float* c, size_t) {
  for (size_t j = 0; j < kPanel; ++j)
    for (size_t begin = 0; begin < num_k; begin += kStep) {
      float even = 0, odd = 0;
      for (size_t k = begin; k < std::min(num_k, begin + kStep); k += 2) {
        even = std::fma(a[k], b[k * kPanel + j], even);
        odd = std::fma(a[k + 1], b[(k + 1) * kPanel + j], odd);
      }
      c[j] = begin == 0 ? even + odd : c[j] + (even + odd);
    }
}
#endif

template <size_t... kRows>
constexpr auto PairTileTable(std::index_sequence<kRows...>) {
  return std::array{&PairTile<kRows + 1>...};
}

// C = A B, B in panels [num_k][kPanel].
HWY_INLINE void PairProduct(const float* a, size_t a_stride, size_t rows, const float* b, size_t num_k, size_t columns, float* c, size_t c_stride) {
  static constexpr auto kTiles = PairTileTable(std::make_index_sequence<kPairTileRows>());
  const size_t blocks = (rows + kPairTileRows - 1) / kPairTileRows;
  for (size_t first = 0; first < columns; first += kPanel, b += num_k * kPanel)
    for (size_t i = 0; i < blocks; ++i) {
      const size_t begin = rows * i / blocks, end = rows * (i + 1) / blocks;
      kTiles[end - begin - 1](a + begin * a_stride, a_stride, b, num_k, c + begin * c_stride + first, c_stride);
    }
}

// Queries whose scores stay in L1.
constexpr size_t kBlockRows = 12;

struct VectorScratch {
  size_t even_n, even_d, score_stride, out_stride;
  size_t keys, values, row, queries, scores, out, size;  // where each begins, in floats
  VectorScratch(size_t n, size_t d)
      : even_n(RoundUp(n, 2)), even_d(RoundUp(d, 2)), score_stride(RoundUp(n, std::max(kPanel, kLanes))), out_stride(RoundUp(d, std::max(kPanel, kLanes))) {
    keys = 0;
    values = keys + RoundUp(n, kPanel) * even_d;
    row = values + RoundUp(d, kPanel) * even_n;
    queries = row + std::max(kPanel * even_d, RoundUp(d, kPanel));
    scores = queries + kBlockRows * even_d;
    out = scores + kBlockRows * score_stride;
    size = out + kBlockRows * out_stride;
  }
};

HWY_INLINE Bf16AttentionArguments HeadOf(Bf16AttentionArguments t, size_t head) {
  const size_t column = head * t.head_dim;
  t.q += column, t.k += column, t.v += column;
  if (t.out != nullptr) t.out += column;
  if (t.out_bf16 != nullptr) t.out_bf16 += column;
  if (t.position_bias != nullptr) t.position_bias += head * t.position_bias_stride;
  return t;
}

void VectorAttention(const Bf16AttentionArguments& t, float* scratch) {
  const size_t n = t.num_tokens, d = t.head_dim;
  const VectorScratch at(n, d);
  float *keys = scratch + at.keys, *values = scratch + at.values, *row = scratch + at.row, *queries = scratch + at.queries;
  float *scores = scratch + at.scores, *out = scratch + at.out;
  for (size_t first = 0; first < n; first += kPanel) {
    const size_t columns = std::min(kPanel, n - first);
    for (size_t j = 0; j < columns; ++j) Widen(t.k + (first + j) * t.stride, d, at.even_d, row + j * at.even_d);
    PackPanelTransposed(row, at.even_d, columns, at.even_d, 0, keys + first * at.even_d);
  }
  for (size_t j = 0; j < at.even_n; ++j) {
    if (j < n) {
      Widen(t.v + j * t.stride, d, RoundUp(d, kPanel), row);
    } else {
      std::fill_n(row, RoundUp(d, kPanel), 0.0f);
    }
    for (size_t first = 0; first < d; first += kPanel) std::copy_n(row + first, kPanel, values + first * at.even_n + j * kPanel);
  }
  const size_t num_queries = NumQueries(t);
  for (size_t q = 0; q < num_queries; q += kBlockRows) {
    const size_t rows = std::min(kBlockRows, num_queries - q);
    for (size_t r = 0; r < rows; ++r) Widen(t.q + (q + r) * t.stride, d, at.even_d, queries + r * at.even_d);
    PairProduct(queries, at.even_d, rows, keys, at.even_d, n, scores, at.score_stride);
    float sums[kBlockRows];
    Probabilities(t, q, rows, scores, at.score_stride, sums,
                  [&](size_t r, size_t j, const Lanes& e) { Store(RoundToBf16(e), scores + r * at.score_stride + j); });
    PairProduct(scores, at.score_stride, rows, values, at.even_n, d, out, at.out_stride);
    for (size_t r = 0; r < rows; ++r) StoreOutput(t, q + r, out + r * at.out_stride, sums[r]);
  }
}

#if HWY_TARGET == HWY_AVX3

// 32 operands, of which `count` are read and the others 0.
HWY_INLINE __m512i LoadOperands(const Bf16* from, size_t count) {
  constexpr int16_t kSmallestBits = (127 - 50) << 7;
  const __m512i x = _mm512_maskz_loadu_epi16(count >= kStep ? ~__mmask32{0} : (__mmask32{1} << count) - 1, from);
  const __m512i magnitude = _mm512_and_si512(x, _mm512_set1_epi16(0x7fff));
  return _mm512_maskz_mov_epi16(_mm512_cmpge_epu16_mask(magnitude, _mm512_set1_epi16(kSmallestBits)), x);
}

constexpr size_t kTileElements = 16 * kStep;  // of bf16
constexpr size_t kTwoTiles = 32;              // rows, or columns

// Tiles are loaded from memory that was written a while ago: a tile load waits until the stores before it have left the core. So while the products of
// one block of queries run, probabilities are made of the scores of the block before, and so on through all heads.
constexpr size_t kStages = 3;

struct AmxScratch {
  size_t whole_n, whole_d;  // rounded up to two tiles
  // Where each begins, in floats, a multiple of 16: keys and queries of one head, values of kStages, scores and probabilities of two blocks.
  size_t keys, queries, values, scores, probabilities, out, size;
  size_t operands, scores_of_block, probabilities_of_block;  // sizes of one
  AmxScratch(size_t n, size_t d)
      : whole_n(RoundUp(n, kTwoTiles)), whole_d(RoundUp(d, kTwoTiles)), operands(whole_n * whole_d / 2), scores_of_block(kTwoTiles * whole_n),
        probabilities_of_block(kTwoTiles * whole_n / 2) {
    keys = 0;
    queries = keys + operands;
    values = queries + operands;
    scores = values + kStages * operands;
    probabilities = scores + 2 * scores_of_block;
    out = probabilities + 2 * probabilities_of_block;
    size = out + kTwoTiles * whole_d;
  }
};

// [queries][d]
HWY_INLINE void CopyQueries(const Bf16AttentionArguments& t, size_t whole_d, Bf16* queries) {
  for (size_t q = 0; q < NumQueries(t); ++q)
    for (size_t i = 0; i < whole_d; i += kStep) {
      const size_t left = i < t.head_dim ? t.head_dim - i : 0;
      _mm512_store_si512(queries + q * whole_d + i, LoadOperands(t.q + q * t.stride + (left > 0 ? i : 0), left));
    }
}

// [keys / 16][d / 2][16][2]
HWY_INLINE void PackKeys(const Bf16AttentionArguments& t, size_t whole_n, size_t whole_d, Bf16* keys) {
  HWY_ALIGN float square[16 * 16];
  for (size_t first = 0; first < whole_n; first += 16)
    for (size_t i = 0; i < whole_d; i += kStep) {
      for (size_t j = 0; j < 16; ++j) {
        const bool inside = first + j < t.num_tokens && i < t.head_dim;
        _mm512_store_si512(square + j * 16, LoadOperands(t.k + (inside ? (first + j) * t.stride + i : 0), inside ? t.head_dim - i : 0));
      }
      TransposeOf(square, 16, 16, 16, reinterpret_cast<float*>(keys + first * whole_d + i * 16), 16);
    }
}

// [columns / 16][keys / 2][16][2]
HWY_INLINE void PackValues(const Bf16AttentionArguments& t, size_t whole_n, size_t whole_d, Bf16* values) {
  alignas(64) static constexpr auto kInterleave = [] {
    std::array<uint16_t, 64> order = {};
    for (uint16_t i = 0; i < 32; ++i) order[2 * i] = i, order[2 * i + 1] = static_cast<uint16_t>(32 + i);
    return order;
  }();
  const __m512i low = _mm512_load_si512(kInterleave.data()), high = _mm512_load_si512(kInterleave.data() + 32);
  for (size_t j = 0; j < whole_n; j += 2)
    for (size_t c = 0; c < whole_d; c += kTwoTiles) {
      const auto row = [&](size_t key) HWY_ATTR {
        const bool inside = key < t.num_tokens && c < t.head_dim;
        return LoadOperands(t.v + (inside ? key * t.stride + c : 0), inside ? t.head_dim - c : 0);
      };
      const __m512i even = row(j), odd = row(j + 1);
      Bf16* to = values + c * whole_n + j * 16;
      _mm512_store_si512(to, _mm512_permutex2var_epi16(even, low, odd));
      _mm512_store_si512(to + 16 * whole_n, _mm512_permutex2var_epi16(even, high, odd));
    }
}

// C [16 or 32][32] = A [16 or 32][num_k] times two panels of B.
template <bool kTwoRows>
HWY_INLINE void TilesProduct(const Bf16* a, size_t num_k, const Bf16* b, float* c, size_t c_stride) {
  const Bf16 *a1 = a + 16 * num_k, *b1 = b + 16 * num_k;
  TileZero<0>();
  TileZero<1>();
  if constexpr (kTwoRows) TileZero<2>(), TileZero<3>();
  for (size_t k = 0; k < num_k; k += kStep) {
    const auto load = [&](auto tile, const Bf16* from, size_t stride) HWY_ATTR { TileLoad<tile.value>(reinterpret_cast<const char*>(from), stride); };
    load(std::integral_constant<int, 6>(), b + k * 16, 64);
    load(std::integral_constant<int, 4>(), a + k, 2 * num_k);
    TileMultiply<TileType::kBf16, 0, 4, 6>();
    load(std::integral_constant<int, 7>(), b1 + k * 16, 64);
    TileMultiply<TileType::kBf16, 1, 4, 7>();
    if constexpr (kTwoRows) {
      load(std::integral_constant<int, 5>(), a1 + k, 2 * num_k);
      TileMultiply<TileType::kBf16, 2, 5, 6>();
      TileMultiply<TileType::kBf16, 3, 5, 7>();
    }
  }
  const auto store = [&](auto tile, float* to) HWY_ATTR { TileStore<tile.value>(reinterpret_cast<int32_t*>(to), c_stride * sizeof(float)); };
  store(std::integral_constant<int, 0>(), c);
  store(std::integral_constant<int, 1>(), c + 16);
  if constexpr (kTwoRows) {
    store(std::integral_constant<int, 2>(), c + 16 * c_stride);
    store(std::integral_constant<int, 3>(), c + 16 * c_stride + 16);
  }
}

// B: panels [num_k / 2][16][2], an even number. C: [32][columns].
HWY_INLINE void TilesProducts(size_t rows, const Bf16* a, size_t num_k, const Bf16* b, size_t columns, float* c) {
  asm volatile("" ::: "memory");  // what tiles read has been written
  for (size_t first = 0; first < columns; first += kTwoTiles) {
    if (rows > 16) {
      TilesProduct<true>(a, num_k, b + first * num_k, c + first, columns);
    } else {
      TilesProduct<false>(a, num_k, b + first * num_k, c + first, columns);
    }
  }
}

void AmxAttention(const Bf16AttentionArguments& all, float* scratch) {
  const AmxScratch at(all.num_tokens, all.head_dim);
  const size_t whole_n = at.whole_n, whole_d = at.whole_d, num_queries = NumQueries(all), written = RoundUp(all.num_tokens, kLanes);
  const auto bf16_at = [&](size_t floats) { return reinterpret_cast<Bf16*>(scratch + floats); };
  Bf16 *keys = bf16_at(at.keys), *queries = bf16_at(at.queries);
  float *scores = scratch + at.scores, *out = scratch + at.out;
  const size_t blocks = (num_queries + kTwoTiles - 1) / kTwoTiles, count = all.num_heads * blocks;
  float sums[2][kTwoTiles];
  const auto values_of = [&](size_t head) { return bf16_at(at.values + head % kStages * at.operands); };
  const auto probabilities_of = [&](size_t i) { return bf16_at(at.probabilities + i % 2 * at.probabilities_of_block); };
  const auto rows_of = [&](size_t i) { return std::min(kTwoTiles, num_queries - i % blocks * kTwoTiles); };
  ConfigureTiles();
  for (size_t i = 0; i < count + 2; ++i) {
    if (i < count) {
      if (i % blocks == 0) {
        const Bf16AttentionArguments t = HeadOf(all, i / blocks);
        CopyQueries(t, whole_d, queries);
        PackKeys(t, whole_n, whole_d, keys);
        PackValues(t, whole_n, whole_d, values_of(i / blocks));
      }
      TilesProducts(rows_of(i), queries + i % blocks * kTwoTiles * whole_d, whole_d, keys, whole_n, scores + i % 2 * at.scores_of_block);
    }
    if (i >= 1 && i - 1 < count) {
      const size_t last = i - 1;
      Bf16* probabilities = probabilities_of(last);
      for (size_t r = 0; r < rows_of(last) && written < whole_n; ++r) _mm256_store_si256(reinterpret_cast<__m256i*>(probabilities + r * whole_n + written), __m256i{});
      Probabilities(HeadOf(all, last / blocks), last % blocks * kTwoTiles, rows_of(last), scores + last % 2 * at.scores_of_block, whole_n, sums[last % 2],
                    [&](size_t r, size_t j, const Lanes& e) HWY_ATTR {
                      _mm256_store_si256(reinterpret_cast<__m256i*>(probabilities + r * whole_n + j), RoundToBf16(e.part[0].raw));
                    });
    }
    if (i >= 2) {
      const size_t last = i - 2, head = last / blocks;
      TilesProducts(rows_of(last), probabilities_of(last), whole_n, values_of(head), whole_d, out);
      const Bf16AttentionArguments t = HeadOf(all, head);
      for (size_t r = 0; r < rows_of(last); ++r) StoreOutput(t, last % blocks * kTwoTiles + r, out + r * whole_d, sums[last % 2][r]);
    }
  }
}

#endif

size_t Bf16AttentionScratchSizeOf(size_t n, size_t d) {
#if HWY_TARGET == HWY_AVX3
  return std::max(VectorScratch(n, d).size, AmxScratch(n, d).size);
#else
  return VectorScratch(n, d).size;
#endif
}

void Bf16AttentionOf(const Bf16AttentionArguments& t, float* scratch) {
#if HWY_TARGET == HWY_AVX3
  if (Bf16PathInUse() == Bf16Path::kAmx) return AmxAttention(t, scratch);
#endif
  for (size_t head = 0; head < t.num_heads; ++head) VectorAttention(HeadOf(t, head), scratch);
}

}  // namespace HWY_NAMESPACE
}  // namespace mlac::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlac::kernels {

HWY_EXPORT(Bf16AttentionScratchSizeOf);
HWY_EXPORT(Bf16AttentionOf);

size_t Bf16AttentionScratchSize(size_t num_tokens, size_t head_dim) { return HWY_DYNAMIC_DISPATCH(Bf16AttentionScratchSizeOf)(num_tokens, head_dim); }

void Bf16Attention(const Bf16AttentionArguments& arguments, float* scratch) { HWY_DYNAMIC_DISPATCH(Bf16AttentionOf)(arguments, scratch); }

}  // namespace mlac::kernels
#endif
