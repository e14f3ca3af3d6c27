// The register tile of every f32 matrix product, and the panels that it reads.
//   C[r][j] = start[r][j] + sum over k of A[r][k] B[k][j], k rising, each step one fused multiply-add.
// So an element sees the same operations in the same order whatever the tile's size, the machine or its neighbours.
// A panel is kPanel columns of B for all k: [K][kPanel], read from start to end; the last panel is filled up with zeros.
#if defined(MLAC_KERNELS_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MLAC_KERNELS_TILE_INL_H_
#undef MLAC_KERNELS_TILE_INL_H_
#else
#define MLAC_KERNELS_TILE_INL_H_
#endif

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "kernels/lanes-inl.h"
#include "kernels/transpose-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlac::kernels {
namespace HWY_NAMESPACE {

#if HWY_NATIVE_FMA
// Two vectors of columns. Rows: as many as leave registers for two vectors of B and one broadcast (14 of 32 registers with
// AVX-512, 12 with NEON, 6 of 16 with AVX2), which measured best among the shapes that do not spill.
inline constexpr size_t kPanel = 2 * kWidth, kTileRows = kWidth == 16 ? 14 : kWidth == 8 ? 6 : 12;
#else
inline constexpr size_t kPanel = 16, kTileRows = 4, kWidth = 4;
#endif

// Floats of a step of k in a block of rows (RowsOfA::kInBlocks): whole vectors.
inline constexpr size_t kBlockWidth = (kTileRows + kWidth - 1) / kWidth * kWidth;

// What C starts from.
enum class Start { kZero, kBias, kC };

// How the rows of A lie in memory.
enum class RowsOfA {
  kInRows,    // A[r][k] at a + r * a_stride + k
  kInBlocks,  // a block of up to kTileRows rows is [k][kBlockWidth], made by PackBlocks; a_stride: floats from block to block
};

struct TileArguments {
  const float* a;
  size_t a_stride;
  const float* b;  // row k at b + k * b_stride, kPanel columns
  size_t b_stride;
  size_t num_k;
  float* c;  // [rows][c_stride], kPanel columns are written
  size_t c_stride;
  const float* bias;       // [kPanel], with Start::kBias
  const float* prefetch;   // what comes next, on its way from L3 while this panel is used: lines of 64 bytes, some a step of k; or nullptr
};

#if HWY_NATIVE_FMA

template <size_t kRows, size_t kPrefetchLines, RowsOfA kRowsOfA>
void Tile(const TileArguments& t, Start start) {
  const LanesTag d;
  using Vector = hn::Vec<LanesTag>;
  Vector sum[kRows][2];
  if (start == Start::kC) {
#pragma GCC unroll 16
    for (size_t r = 0; r < kRows; ++r) {
      sum[r][0] = hn::LoadU(d, t.c + r * t.c_stride);
      sum[r][1] = hn::LoadU(d, t.c + r * t.c_stride + kWidth);
    }
  } else {
    const Vector bias0 = start == Start::kBias ? hn::LoadU(d, t.bias) : hn::Zero(d);
    const Vector bias1 = start == Start::kBias ? hn::LoadU(d, t.bias + kWidth) : hn::Zero(d);
#pragma GCC unroll 16
    for (size_t r = 0; r < kRows; ++r) sum[r][0] = bias0, sum[r][1] = bias1;
  }
  // Rows are addressed as one of five bases and a multiple of the stride: a pointer for each would not fit the registers.
  constexpr size_t kBases = kRowsOfA == RowsOfA::kInBlocks ? 1 : (kRows + 2) / 3;
  const float* base[kBases];
#pragma GCC unroll 16
  for (size_t i = 0; i < kBases; ++i) base[i] = t.a + 3 * i * t.a_stride;
  const size_t stride = t.a_stride, b_stride = t.b_stride, num_k = t.num_k;
  const float* b = t.b;
  const char* next = reinterpret_cast<const char*>(t.prefetch);
#pragma GCC unroll 4
  for (size_t k = 0; k < num_k; ++k) {
    const Vector b0 = hn::LoadU(d, b), b1 = hn::LoadU(d, b + kWidth);
    __builtin_prefetch(b + 16 * b_stride);  // 16 steps ahead: 2 to 5 % with AVX-512, nothing lost elsewhere
#pragma GCC unroll 2
    for (size_t line = 0; line < kPrefetchLines; ++line) __builtin_prefetch(next + (k * kPrefetchLines + line) * 64, 0, 2);
    b += b_stride;
#pragma GCC unroll 16
    for (size_t r = 0; r < kRows; ++r) {
      const Vector a = hn::Set(d, kRowsOfA == RowsOfA::kInBlocks ? base[0][k * kBlockWidth + r] : base[r / 3][k + (r % 3) * stride]);
      sum[r][0] = hn::MulAdd(a, b0, sum[r][0]);
      sum[r][1] = hn::MulAdd(a, b1, sum[r][1]);
    }
  }
#pragma GCC unroll 16
  for (size_t r = 0; r < kRows; ++r) {
    hn::StoreU(sum[r][0], d, t.c + r * t.c_stride);
    hn::StoreU(sum[r][1], d, t.c + r * t.c_stride + kWidth);
  }
}

#else  // the reference

template <size_t kRows, size_t, RowsOfA kRowsOfA>
void Tile(const TileArguments& t, Start start) {
  for (size_t r = 0; r < kRows; ++r)
    for (size_t j = 0; j < kPanel; ++j) {
      float* c = t.c + r * t.c_stride + j;
      float sum = start == Start::kC ? *c : start == Start::kBias ? t.bias[j] : 0.0f;
      for (size_t k = 0; k < t.num_k; ++k)
        sum = std::fma(kRowsOfA == RowsOfA::kInBlocks ? t.a[k * kBlockWidth + r] : t.a[r * t.a_stride + k], t.b[k * t.b_stride + j], sum);
      *c = sum;
    }
}

#endif

using TileFunction = void (*)(const TileArguments&, Start);

template <size_t kPrefetchLines, RowsOfA kRowsOfA, size_t... kRows>
constexpr std::array<TileFunction, kTileRows> TileTable(std::index_sequence<kRows...>) {
  return {&Tile<kRows + 1, kPrefetchLines, kRowsOfA>...};
}

inline constexpr size_t kLinesOfPanelRow = std::max<size_t>(1, kPanel * sizeof(float) / 64);

// The tile of `rows` rows, 1 to kTileRows. whole_panel: arguments.prefetch is a panel that this tile fetches alone, else one line a step of k.
// kPrefetches: whether arguments.prefetch is ever given; without it two thirds of the tiles need not be compiled.
template <bool kPrefetches = true, RowsOfA kRowsOfA = RowsOfA::kInRows>
HWY_INLINE void RunTile(size_t rows, const TileArguments& arguments, Start start, bool whole_panel = false) {
  static constexpr auto kPlain = TileTable<0, kRowsOfA>(std::make_index_sequence<kTileRows>());
  if constexpr (!kPrefetches) return kPlain[rows - 1](arguments, start);
  static constexpr auto kPrefetching = TileTable<1, kRowsOfA>(std::make_index_sequence<kTileRows>());
  static constexpr auto kPrefetchingPanel = TileTable<kLinesOfPanelRow, kRowsOfA>(std::make_index_sequence<kTileRows>());
  (arguments.prefetch == nullptr ? kPlain : whole_panel ? kPrefetchingPanel : kPrefetching)[rows - 1](arguments, start);
}

// Calls body(begin, end, number) for blocks of at most kTileRows rows that cut [begin, end) evenly: 128 rows are ten blocks of 12 or 13,
// not nine of 14 and one of 2.
template <typename Body>
HWY_INLINE void ForRowBlocks(size_t begin, size_t end, Body body) {
  const size_t count = end - begin, blocks = (count + kTileRows - 1) / kTileRows;
  for (size_t i = 0; i < blocks; ++i) body(begin + count * i / blocks, begin + count * (i + 1) / blocks, i);
}

// Panel `panel` of B = transpose of rows[N][row_stride] (a weight, [outputs, inputs]).
inline void PackPanelTransposed(const float* rows, size_t row_stride, size_t num_columns, size_t num_k, size_t panel, float* HWY_RESTRICT out) {
  const size_t first = panel * kPanel, columns = std::min(kPanel, num_columns - first);
  TransposeOf(rows + first * row_stride, row_stride, columns, num_k, out, kPanel);
  for (size_t k = 0; columns < kPanel && k < num_k; ++k) std::fill(out + k * kPanel + columns, out + (k + 1) * kPanel, 0.0f);
}

// Rows [k_begin, k_end) of panel `panel` of B = rows[K][row_stride].
inline void PackPanel(const float* rows, size_t row_stride, size_t num_columns, size_t k_begin, size_t k_end, size_t panel, float* HWY_RESTRICT out) {
  const size_t first = panel * kPanel, columns = std::min(kPanel, num_columns - first);
  for (size_t k = k_begin; k < k_end; ++k) {
    const float* row = rows + k * row_stride + first;
    if (columns == kPanel) {
      std::memcpy(out + k * kPanel, row, kPanel * sizeof(float));
    } else {
      for (size_t j = 0; j < kPanel; ++j) out[k * kPanel + j] = j < columns ? row[j] : 0.0f;
    }
  }
}

// Rows [begin, end) of A = transpose of columns[K][stride], in blocks as ForRowBlocks cuts them, `block_stride` floats apart. Lanes behind the last row of a
// block hold anything.
HWY_INLINE void PackBlocks(const float* columns, size_t stride, size_t num_k, size_t begin, size_t end, size_t block_stride, float* HWY_RESTRICT out) {
  constexpr size_t kSteps = 8;  // a block reads a part of a line that the next one reads on: few enough steps for it to be in L1 then
  for (size_t k0 = 0; k0 < num_k; k0 += kSteps)
    ForRowBlocks(begin, end, [&](size_t r0, size_t r1, size_t block) {
      float* to = out + block * block_stride;
      for (size_t k = k0; k < std::min(num_k, k0 + kSteps); ++k) {
        const size_t at = k * stride + r0;
        if (at + kBlockWidth > num_k * stride) {  // A ends there
          std::copy_n(columns + at, r1 - r0, to + k * kBlockWidth);
        } else {
          std::memcpy(to + k * kBlockWidth, columns + at, kBlockWidth * sizeof(float));
        }
      }
    });
}

// C's rows [begin, end) of one panel. columns < kPanel: the last panel; C and bias end there, so it goes through a copy.
// after(row_begin, row_end) is called behind each block of rows, while it is in L1.
template <bool kPrefetches = true, RowsOfA kRowsOfA = RowsOfA::kInRows, typename After>
HWY_INLINE void PanelProduct(TileArguments t, Start start, size_t begin, size_t end, size_t columns, After after) {
  const float *a = t.a, *prefetch = t.prefetch;
  const auto rows_of_a = [&](size_t r0, size_t block) { return a + (kRowsOfA == RowsOfA::kInBlocks ? block : r0) * t.a_stride; };
  float* c = t.c;
  if (columns == kPanel) {
    ForRowBlocks(begin, end, [&](size_t r0, size_t r1, size_t block) {
      t.a = rows_of_a(r0, block);
      t.c = c + r0 * t.c_stride;
      // The first two blocks of rows fetch the next panel, a half each; all of them doing so costs more than it brings. Few rows wait for nothing but
      // their weights: a single block fetches all of it.
      t.prefetch = prefetch == nullptr || block > 1 ? nullptr : prefetch + block * t.num_k * 16;
      RunTile<kPrefetches, kRowsOfA>(r1 - r0, t, start, /*whole_panel=*/end - begin <= kTileRows);
      after(r0, r1);
    });
    return;
  }
  HWY_ALIGN float bias[kPanel] = {}, copy[kTileRows * kPanel];
  if (start == Start::kBias) std::copy_n(t.bias, columns, bias);
  t.bias = bias;
  t.prefetch = nullptr;
  const size_t c_stride = t.c_stride;
  ForRowBlocks(begin, end, [&](size_t r0, size_t r1, size_t block) {
    t.a = rows_of_a(r0, block);
    t.c = copy;
    t.c_stride = kPanel;
    if (start == Start::kC) {
      std::fill_n(copy, kTileRows * kPanel, 0.0f);
      for (size_t r = r0; r < r1; ++r) std::copy_n(c + r * c_stride, columns, copy + (r - r0) * kPanel);
    }
    RunTile<kPrefetches, kRowsOfA>(r1 - r0, t, start);
    for (size_t r = r0; r < r1; ++r) std::copy_n(copy + (r - r0) * kPanel, columns, c + r * c_stride);
    after(r0, r1);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace mlac::kernels
HWY_AFTER_NAMESPACE();

#endif
