#include "kernels/bf16_pack.h"

#include <algorithm>
#include <bit>
#include <cassert>

#include "kernels/instruction_set.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/bf16_pack.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/bf16-inl.h"
#include "kernels/lanes-inl.h"
#include "kernels/transpose-inl.h"

// Products read two steps of k side by side: a pair is 32 bits, and what moves pairs moves them as floats, by their bits.
// r: row. j: column. A panel is 16 columns; for two steps of k it holds 64 bytes, a pair of each column.
HWY_BEFORE_NAMESPACE();
namespace mlac::kernels {
namespace HWY_NAMESPACE {

#if HWY_TARGET == HWY_AVX3

constexpr size_t kPairs = 16;  // of a square of pairs, 16 columns wide, and in a step of the tiles

// Up to 16 elements as bf16, zeros behind them; of no elements nothing is read.
HWY_INLINE __mmask16 FirstOf(size_t count) { return static_cast<__mmask16>((1u << std::min<size_t>(count, 16)) - 1); }
HWY_INLINE __m256i LoadRounded(const float* from, size_t count) { return RoundToBf16(_mm512_maskz_loadu_ps(FirstOf(count), from)); }
HWY_INLINE __m256i LoadRounded(const Bf16* from, size_t count) { return _mm256_maskz_loadu_epi16(FirstOf(count), from); }

// A pair of each of 16 columns: row k of b, and the row behind it.
template <typename T>
HWY_INLINE __m512i LoadPairs(const T* b, size_t stride, size_t num_k, size_t k, size_t first_column, size_t count) {
  const T* row = b + k * stride + first_column;
  const __m256i even = LoadRounded(row, k < num_k ? count : 0), odd = LoadRounded(row + stride, k + 1 < num_k ? count : 0);
  return _mm512_or_si512(_mm512_cvtepu16_epi32(even), _mm512_slli_epi32(_mm512_cvtepu16_epi32(odd), 16));
}

size_t ColumnsFrom(size_t column, size_t num_columns) { return column < num_columns ? std::min<size_t>(16, num_columns - column) : 0; }

// A few rows for all panels, then the next ones, so that rows are read from start to end.
template <typename T>
void PackRows(const T* b, size_t stride, size_t num_k, size_t num_columns, size_t panel_begin, size_t panel_end, Bf16* packed) {
  constexpr size_t kRows = 8;
  const size_t size = Bf16RowSize(num_k);
  for (size_t begin = 0; begin < size; begin += kRows)
    for (size_t panel = panel_begin; panel < panel_end; ++panel) {
      const size_t first = panel * kBf16PanelWidth, count = ColumnsFrom(first, num_columns);
      Bf16* out = packed + panel * kBf16PanelWidth * size + begin * kBf16PanelWidth;
      for (size_t k = begin; k < begin + kRows; k += 2, out += 2 * kBf16PanelWidth)
        _mm512_storeu_si512(out, LoadPairs(b, stride, num_k, k, first, count));
    }
}

// 16 rows of b, a step of the tiles of each, make a square of pairs.
void PackTransposed(const float* b, size_t stride, size_t num_k, size_t num_columns, size_t panel_begin, size_t panel_end, Bf16* packed) {
  const size_t size = Bf16RowSize(num_k);
  HWY_ALIGN float square[kBf16PanelWidth * kPairs];
  for (size_t panel = panel_begin; panel < panel_end; ++panel)
    for (size_t k = 0; k < size; k += 2 * kPairs) {
      for (size_t j = 0; j < kBf16PanelWidth; ++j) {
        const size_t column = panel * kBf16PanelWidth + j, count = column < num_columns && k < num_k ? num_k - k : 0;
        const float* from = b + column * stride + k;
        auto* to = reinterpret_cast<__m256i*>(square + j * kPairs);
        _mm256_storeu_si256(to, LoadRounded(from, count));
        _mm256_storeu_si256(to + 1, LoadRounded(from + kPairs, count > kPairs ? count - kPairs : 0));
      }
      TransposeOf(square, kPairs, kBf16PanelWidth, kPairs, reinterpret_cast<float*>(packed + (panel * size + k) * kBf16PanelWidth),
                  kBf16PanelWidth);
    }
}

void PackFloatsOf(const float* b, size_t stride, Layout layout, size_t num_k, size_t num_columns, size_t panel_begin, size_t panel_end,
                  Bf16* packed) {
  if (layout == Layout::kTransposed) return PackTransposed(b, stride, num_k, num_columns, panel_begin, panel_end, packed);
  PackRows(b, stride, num_k, num_columns, panel_begin, panel_end, packed);
}

void PackRoundedOf(const Bf16* b, size_t stride, size_t num_k, size_t num_columns, size_t panel_begin, size_t panel_end, Bf16* packed) {
  PackRows(b, stride, num_k, num_columns, panel_begin, panel_end, packed);
}

void TransposeBf16Of(const Bf16* in, size_t stride, size_t rows, size_t column_begin, size_t column_end, Bf16* out) {
  const size_t out_stride = Bf16RowSize(rows);
  HWY_ALIGN float square[kPairs * 16];
  for (size_t j = column_begin; j < column_end; j += 16) {
    const size_t columns = ColumnsFrom(j, column_end);
    for (size_t i = 0; i < rows; i += 2 * kPairs) {
      for (size_t pair = 0; pair < kPairs; ++pair)
        _mm512_storeu_si512(square + pair * 16, LoadPairs(in, stride, rows, i + 2 * pair, j, columns));
      TransposeOf(square, 16, kPairs, columns, reinterpret_cast<float*>(out + j * out_stride + i), out_stride / 2);
    }
  }
}

void ToBf16RowsOf(const float* x, size_t x_stride, size_t num_rows, size_t size, Bf16* out) {
  const size_t stride = Bf16RowSize(size);
  for (size_t r = 0; r < num_rows; ++r, x += x_stride, out += stride)
    for (size_t i = 0; i < stride; i += kLanes)
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i), LoadRounded(x + i, i < size ? size - i : 0));
}

#else  // Bf16PathInUse() is kNone

void PackFloatsOf(const float*, size_t, Layout, size_t, size_t, size_t, size_t, Bf16*) { assert(false); }
void PackRoundedOf(const Bf16*, size_t, size_t, size_t, size_t, size_t, Bf16*) { assert(false); }
void TransposeBf16Of(const Bf16*, size_t, size_t, size_t, size_t, Bf16*) { assert(false); }
void ToBf16RowsOf(const float*, size_t, size_t, size_t, Bf16*) { assert(false); }

#endif

}  // namespace HWY_NAMESPACE
}  // namespace mlac::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlac::kernels {
namespace {

bool HasPath() { return Bf16PathInUse() != Bf16Path::kNone; }

Bf16 RoundOne(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  if (x != x) return static_cast<Bf16>((bits >> 16) | 0x40);                    // a NaN whose low half alone says so would become infinite
  if ((bits & 0x7f800000) == 0) return static_cast<Bf16>(bits >> 16 & 0x8000);  // as vcvtneps2bf16 and the products do
  return static_cast<Bf16>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

}  // namespace

HWY_EXPORT(PackFloatsOf);
HWY_EXPORT(PackRoundedOf);
HWY_EXPORT(TransposeBf16Of);
HWY_EXPORT(ToBf16RowsOf);

void ToBf16Rows(const float* x, size_t x_stride, size_t num_rows, size_t size, Bf16* out) {
  assert(HasPath());
  HWY_DYNAMIC_DISPATCH(ToBf16RowsOf)(x, x_stride, num_rows, size, out);
}

void ToBf16(const float* x, size_t count, Bf16* out) {
  for (size_t i = 0; i < count; ++i) out[i] = RoundOne(x[i]);
}

void RoundToBf16(const float* x, size_t count, float* out) {
  for (size_t i = 0; i < count; ++i) out[i] = std::bit_cast<float>(static_cast<uint32_t>(RoundOne(x[i])) << 16);
}

void PackBf16Panels(const float* b, size_t stride, Layout layout, size_t num_k, size_t num_columns, size_t panel_begin, size_t panel_end,
                    Bf16* packed) {
  if (HasPath()) return HWY_DYNAMIC_DISPATCH(PackFloatsOf)(b, stride, layout, num_k, num_columns, panel_begin, panel_end, packed);
  const size_t size = Bf16RowSize(num_k);
  for (size_t panel = panel_begin; panel < panel_end; ++panel) {
    Bf16* out = packed + panel * kBf16PanelWidth * size;
    for (size_t j = 0; j < kBf16PanelWidth; ++j) {
      const size_t column = panel * kBf16PanelWidth + j;
      for (size_t k = 0; k < size; ++k) {
        const bool inside = column < num_columns && k < num_k;
        const float value = !inside ? 0.0f : layout == Layout::kTransposed ? b[column * stride + k] : b[k * stride + column];
        out[(k / 2 * kBf16PanelWidth + j) * 2 + k % 2] = RoundOne(value);
      }
    }
  }
}

void PackBf16Panels(const Bf16* b, size_t stride, size_t num_k, size_t num_columns, size_t panel_begin, size_t panel_end, Bf16* packed) {
  assert(HasPath());
  HWY_DYNAMIC_DISPATCH(PackRoundedOf)(b, stride, num_k, num_columns, panel_begin, panel_end, packed);
}

void TransposeBf16(const Bf16* in, size_t stride, size_t rows, size_t column_begin, size_t column_end, Bf16* out) {
  assert(HasPath());
  HWY_DYNAMIC_DISPATCH(TransposeBf16Of)(in, stride, rows, column_begin, column_end, out);
}

}  // namespace mlac::kernels
#endif
