#include "kernels/bf16_gemm.h"

#include <algorithm>
#include <array>
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
#include "kernels/bf16-inl.h"

// r: row. j: column. A panel is 16 columns; for two steps of k it holds 64 bytes, two elements of each column.
HWY_BEFORE_NAMESPACE();
namespace mlac::kernels {
namespace HWY_NAMESPACE {

#if HWY_TARGET == HWY_AVX3

HWY_INLINE void RoundAndStore(const Lanes& x, Bf16* to) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), RoundToBf16(x.part[0].raw)); }

// What becomes of the sums of a row's part: `columns` of them, a multiple of 16, from first_column on. It asks for the activation at each row, so that a tile
// is compiled once for all of them.
struct Bf16Epilogue {
  const Bf16GemmArguments& g;

  HWY_INLINE void operator()(const int32_t* sums, size_t row, size_t first_column, size_t columns) const {
    switch (g.activation) {
      case Activation::kNone: return Row(sums, row, first_column, columns, [](const Lanes& y) { return y; });
      case Activation::kGelu: return Row(sums, row, first_column, columns, [](const Lanes& y) { return GeluShort(y); });
      default:  // which are rare
        return Row(sums, row, first_column, columns, [&](const Lanes& y) {
          HWY_ALIGN float lanes[kLanes];
          Store(y, lanes);
          ActivateRow(g.activation, lanes, lanes, kLanes);
          return Load(lanes);
        });
    }
  }

 private:
  template <class Function>
  HWY_INLINE void Row(const int32_t* sums, size_t row, size_t first_column, size_t columns, Function activation) const {
    for (size_t i = 0; i < columns; i += kLanes) {
      const size_t j = first_column + i;
      Lanes y;
      y.part[0].raw = _mm512_load_ps(sums + i);
      if (g.accumulate) {
        y = y + LoadColumns(g.c + row * g.c_stride, j, g.num_columns);
      } else if (g.bias != nullptr) {
        y = y + LoadColumns(g.bias, j, g.num_columns);
      }
      StoreColumns(activation(y), row * g.c_stride, j);
    }
  }

  HWY_INLINE void StoreColumns(const Lanes& y, size_t row, size_t j) const {
    const size_t count = j < g.num_columns ? std::min(kLanes, g.num_columns - j) : 0;
    if (g.c_bf16 != nullptr) {
      if (count == kLanes) return RoundAndStore(y, g.c_bf16 + row + j);
      Bf16 part[kLanes];
      RoundAndStore(y, part);
      std::copy_n(part, count, g.c_bf16 + row + j);
    } else if (count == kLanes) {
      Store(y, g.c + row + j);
    } else {
      StorePart(y, g.c + row + j, count);
    }
  }
};

// A function of values: GCC keeps an array whose elements an asm statement changes in memory.
HWY_INLINE __m512 AddPairs(__m512 sum, __m512i x, __m512i w) {
  asm("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(x), "v"(w));
  return sum;
}

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
      sum[r][0] = AddPairs(sum[r][0], x, w0);
      sum[r][1] = AddPairs(sum[r][1], x, w1);
    }
  }
  alignas(64) int32_t sums[kRows][2 * kBf16PanelWidth];
#pragma GCC unroll 16
  for (size_t r = 0; r < kRows; ++r) _mm512_store_ps(sums[r], sum[r][0]), _mm512_store_ps(sums[r] + kBf16PanelWidth, sum[r][1]);
#pragma GCC unroll 1
  for (size_t r = 0; r < kRows; ++r) epilogue(sums[r], row + r, panel * kBf16PanelWidth, 2 * kBf16PanelWidth);
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

void Bf16GemmOf(const Bf16GemmArguments& g, size_t row_begin, size_t row_end, size_t panel_begin, size_t panel_end) {
  const Bf16Epilogue epilogue = {g};
  // One path for all sizes: their bits differ, so the number of rows must not choose.
  if (Bf16PathInUse() == Bf16Path::kAmx) {
    const size_t row_bytes = Bf16RowSize(g.num_k) * sizeof(Bf16);
    return AmxProduct<TileType::kBf16>({.a = reinterpret_cast<const char*>(g.a), .a_stride = row_bytes,
                                        .packed_b = reinterpret_cast<const char*>(g.packed_b), .row_bytes = row_bytes},
                                       row_begin, row_end, panel_begin, panel_end, epilogue);
  }
  Bf16VectorProduct(g, row_begin, row_end, panel_begin, panel_end, epilogue);
}

#else  // Bf16PathInUse() is kNone

void Bf16GemmOf(const Bf16GemmArguments&, size_t, size_t, size_t, size_t) { assert(false); }

#endif

}  // namespace HWY_NAMESPACE
}  // namespace mlac::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlac::kernels {
HWY_EXPORT(Bf16GemmOf);

size_t Bf16RowSize(size_t num_k) { return (num_k + 31) / 32 * 32; }

size_t NumBf16Panels(size_t num_columns) { return (num_columns + 31) / 32 * 2; }

size_t PackedBf16Size(size_t num_k, size_t num_columns) { return NumBf16Panels(num_columns) * kBf16PanelWidth * Bf16RowSize(num_k); }

void Bf16Gemm(const Bf16GemmArguments& arguments, size_t row_begin, size_t row_end, size_t panel_begin, size_t panel_end) {
  assert(Bf16PathInUse() != Bf16Path::kNone);
  HWY_DYNAMIC_DISPATCH(Bf16GemmOf)(arguments, row_begin, row_end, panel_begin, panel_end);
}

}  // namespace mlac::kernels
#endif
