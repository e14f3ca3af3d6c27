#include "kernels/bf16_gemm.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cstring>
#include <utility>

#include "kernels/instruction_set.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/bf16_gemm.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/activation-inl.h"
#include "kernels/amx-inl.h"

// r: row. j: column. A panel is 16 columns; for two steps of k it holds 64 bytes, two elements of each column.
HWY_BEFORE_NAMESPACE();
namespace mlac::kernels {
namespace HWY_NAMESPACE {

#if HWY_TARGET == HWY_AVX3

// AVX512-BF16 by assembly, as in amx-inl.h.
HWY_INLINE __m256i RoundToBf16(__m512 x) {
  __m256i y;
  asm("vcvtneps2bf16 %1, %0" : "=v"(y) : "v"(x));
  return y;
}
HWY_INLINE void StoreBf16(const Lanes& x, Bf16* to) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), RoundToBf16(x.part[0].raw)); }

void ToBf16RowsOf(const float* x, size_t x_stride, size_t num_rows, size_t size, Bf16* out) {
  const size_t stride = Bf16RowSize(size);
  for (size_t r = 0; r < num_rows; ++r, x += x_stride, out += stride) {
    size_t i = 0;
    for (; i + kLanes <= size; i += kLanes) StoreBf16(Load(x + i), out + i);
    for (; i < stride; i += kLanes) StoreBf16(i < size ? LoadPart(x + i, size - i) : Set(0.0f), out + i);
  }
}

// What becomes of the sums of a row's part: `columns` of them, a multiple of 16, from first_column on.
template <Activation kActivation>
struct Bf16Epilogue {
  const Bf16GemmArguments& g;

  HWY_INLINE void operator()(const int32_t* sums, size_t row, size_t first_column, size_t columns) const {
    for (size_t i = 0; i < columns; i += kLanes) {
      const size_t j = first_column + i;
      HWY_ALIGN float lanes[kLanes];
      std::memcpy(lanes, sums + i, sizeof lanes);
      Lanes y = Load(lanes) + Load(g.bias + j);
      if constexpr (kActivation == Activation::kGelu) y = GeluShort(y);
      if constexpr (kActivation == Activation::kTanh) {  // and all others, which are rare
        Store(y, lanes);
        ActivateRow(g.activation, lanes, lanes, kLanes);
        y = Load(lanes);
      }
      const size_t count = j < g.num_columns ? std::min(kLanes, g.num_columns - j) : 0, at = row * g.c_stride + j;
      if (g.c_bf16 != nullptr) {
        if (count == kLanes) {
          StoreBf16(y, g.c_bf16 + at);
        } else {
          Bf16 part[kLanes];
          StoreBf16(y, part);
          std::copy_n(part, count, g.c_bf16 + at);
        }
      } else if (count == kLanes) {
        Store(y, g.c + at);
      } else {
        StorePart(y, g.c + at, count);
      }
    }
  }
};

// The register tile of vdpbf16ps: kRows rows times two panels.
template <size_t kRows, class Epilogue>
void Bf16Tile(const Bf16GemmArguments& g, size_t row, size_t panel, const Epilogue& epilogue) {
  const size_t stride = Bf16RowSize(g.num_k);
  const Bf16 *a = g.a + row * stride, *b0 = g.packed_b + panel * kBf16PanelWidth * stride, *b1 = b0 + kBf16PanelWidth * stride;
  __m512 sum[kRows][2];
#pragma GCC unroll 16
  for (size_t r = 0; r < kRows; ++r) sum[r][0] = sum[r][1] = _mm512_setzero_ps();
  for (size_t k = 0; k < stride; k += 2, b0 += 32, b1 += 32) {
    const __m512i w0 = _mm512_loadu_si512(b0), w1 = _mm512_loadu_si512(b1);
#pragma GCC unroll 16
    for (size_t r = 0; r < kRows; ++r) {
      int32_t pair;
      std::memcpy(&pair, a + r * stride + k, sizeof pair);
      const __m512i x = _mm512_set1_epi32(pair);
      asm("vdpbf16ps %2, %1, %0" : "+v"(sum[r][0]) : "v"(x), "v"(w0));
      asm("vdpbf16ps %2, %1, %0" : "+v"(sum[r][1]) : "v"(x), "v"(w1));
    }
  }
#pragma GCC unroll 16
  for (size_t r = 0; r < kRows; ++r) {
    alignas(64) int32_t sums[2 * kBf16PanelWidth];
    _mm512_store_ps(sums, sum[r][0]);
    _mm512_store_ps(sums + kBf16PanelWidth, sum[r][1]);
    epilogue(sums, row + r, panel * kBf16PanelWidth, 2 * kBf16PanelWidth);
  }
}

template <class Epilogue, size_t... kRows>
constexpr auto Bf16TileTable(std::index_sequence<kRows...>) {
  using Function = void (*)(const Bf16GemmArguments&, size_t, size_t, const Epilogue&);
  return std::array<Function, sizeof...(kRows)>{&Bf16Tile<kRows + 1, Epilogue>...};
}

template <class Epilogue>
void Bf16VectorProduct(const Bf16GemmArguments& g, size_t row_begin, size_t row_end, size_t panel_begin, size_t panel_end, const Epilogue& epilogue) {
  constexpr size_t kTileRows = 12, kChunk = 128;  // kChunk: rows whose A stays in L2
  static constexpr auto kTiles = Bf16TileTable<Epilogue>(std::make_index_sequence<kTileRows>());
  for (size_t chunk = row_begin; chunk < row_end; chunk += kChunk) {
    const size_t count = std::min(row_end, chunk + kChunk) - chunk, blocks = (count + kTileRows - 1) / kTileRows;
    for (size_t panel = panel_begin; panel < panel_end; panel += 2)
      for (size_t i = 0; i < blocks; ++i) {
        const size_t begin = chunk + count * i / blocks, end = chunk + count * (i + 1) / blocks;
        kTiles[end - begin - 1](g, begin, panel, epilogue);
      }
  }
}

template <Activation kActivation>
void Bf16Product(const Bf16GemmArguments& g, size_t row_begin, size_t row_end, size_t panel_begin, size_t panel_end) {
  const Bf16Epilogue<kActivation> epilogue = {g};
  // One path for all sizes: their bits differ, so the number of rows must not choose.
  if (Bf16PathInUse() == Bf16Path::kAmx) {
    const size_t row_bytes = Bf16RowSize(g.num_k) * sizeof(Bf16);
    return AmxProduct<TileType::kBf16>({.a = reinterpret_cast<const char*>(g.a), .a_stride = row_bytes,
                                        .packed_b = reinterpret_cast<const char*>(g.packed_b), .row_bytes = row_bytes},
                                       row_begin, row_end, panel_begin, panel_end, epilogue);
  }
  Bf16VectorProduct(g, row_begin, row_end, panel_begin, panel_end, epilogue);
}

void Bf16GemmOf(const Bf16GemmArguments& g, size_t row_begin, size_t row_end, size_t panel_begin, size_t panel_end) {
  switch (g.activation) {
    case Activation::kNone: return Bf16Product<Activation::kNone>(g, row_begin, row_end, panel_begin, panel_end);
    case Activation::kGelu: return Bf16Product<Activation::kGelu>(g, row_begin, row_end, panel_begin, panel_end);
    default: return Bf16Product<Activation::kTanh>(g, row_begin, row_end, panel_begin, panel_end);
  }
}

#else  // Bf16PathInUse() is kNone

void ToBf16RowsOf(const float*, size_t, size_t, size_t, Bf16*) { assert(false); }
void Bf16GemmOf(const Bf16GemmArguments&, size_t, size_t, size_t, size_t) { assert(false); }

#endif

}  // namespace HWY_NAMESPACE
}  // namespace mlac::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlac::kernels {
namespace {

Bf16 RoundOne(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  if (x != x) return static_cast<Bf16>((bits >> 16) | 0x40);  // a NaN whose low half alone says so would become infinite
  if ((bits & 0x7f800000) == 0) return static_cast<Bf16>(bits >> 16 & 0x8000);  // as vcvtneps2bf16 and the products do
  return static_cast<Bf16>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

}  // namespace

HWY_EXPORT(ToBf16RowsOf);
HWY_EXPORT(Bf16GemmOf);

size_t Bf16RowSize(size_t num_k) { return (num_k + 31) / 32 * 32; }

size_t NumBf16Panels(size_t num_columns) { return (num_columns + 31) / 32 * 2; }

size_t PackedBf16Size(size_t num_k, size_t num_columns) { return NumBf16Panels(num_columns) * kBf16PanelWidth * Bf16RowSize(num_k); }

void ToBf16Rows(const float* x, size_t x_stride, size_t num_rows, size_t size, Bf16* out) {
  HWY_DYNAMIC_DISPATCH(ToBf16RowsOf)(x, x_stride, num_rows, size, out);
}

void RoundToBf16(const float* x, size_t count, float* out) {
  for (size_t i = 0; i < count; ++i) out[i] = std::bit_cast<float>(static_cast<uint32_t>(RoundOne(x[i])) << 16);
}

void PackBf16Panels(const float* b, size_t stride, Layout layout, size_t num_k, size_t num_columns, size_t panel_begin, size_t panel_end,
                    Bf16* packed) {
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

void Bf16Gemm(const Bf16GemmArguments& arguments, size_t row_begin, size_t row_end, size_t panel_begin, size_t panel_end) {
  assert(Bf16PathInUse() != Bf16Path::kNone);
  HWY_DYNAMIC_DISPATCH(Bf16GemmOf)(arguments, row_begin, row_end, panel_begin, panel_end);
}

}  // namespace mlac::kernels
#endif
