#include "kernels/int8_gemm.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>
#include <utility>

#include "kernels/instruction_set.h"
#include "kernels/quantize.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/int8_gemm.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/activation-inl.h"
#include "kernels/amx-inl.h"

// r: row. j: column. A panel is 16 columns; for four steps of k it holds 64 bytes, four of each column.
HWY_BEFORE_NAMESPACE();
namespace mlac::kernels {
namespace HWY_NAMESPACE {

// What becomes of the sums of a row's part: `columns` of them, a multiple of 16, from first_column on. It asks for the activation at each row, so that a tile
// is compiled once for all of them.
struct Dequantize {
  const Int8GemmArguments& g;

  HWY_INLINE void operator()(const int32_t* sums, size_t row, size_t first_column, size_t columns) const {
    if (g.activation == Activation::kGelu) return Row(sums, row, first_column, columns, [](const Lanes& y) { return GeluShort(y); });
    Row(sums, row, first_column, columns, [](const Lanes& y) { return y; });
    if (g.activation == Activation::kNone || first_column >= g.num_columns) return;
    float* c = g.c + row * g.c_stride + first_column;
    ActivateRow(g.activation, c, c, std::min(columns, g.num_columns - first_column));
  }

 private:
  template <class Function>
  HWY_INLINE void Row(const int32_t* sums, size_t row, size_t first_column, size_t columns, Function activation) const {
    const Lanes scale = Set(g.a_scales[row]);
    const int32_t zero = g.a_zeros[row];
    for (size_t i = 0; i < columns; i += kLanes) {
      const size_t j = first_column + i;
      const Lanes bias = g.bias == nullptr ? Set(0.0f) : LoadColumns(g.bias, j, g.num_columns);
      StoreColumns(activation(MulAdd(LoadMinusProduct(sums + i, g.b.sums + j, zero) * scale, Load(g.b.scales + j), bias)), row * g.c_stride, j);
    }
  }

  HWY_INLINE void StoreColumns(const Lanes& y, size_t row, size_t j) const {
    const size_t count = j < g.num_columns ? std::min(kLanes, g.num_columns - j) : 0;
    if (g.c_bf16 != nullptr) {
      const Lanes rounded = RoundToBf16(y);
      if (count == kLanes) return StoreBf16(rounded, g.c_bf16 + row + j);
      Bf16 part[kLanes];
      StoreBf16(rounded, part);
      std::copy_n(part, count, g.c_bf16 + row + j);
    } else if (count == kLanes) {
      Store(y, g.c + row + j);
    } else {
      StorePart(y, g.c + row + j, count);
    }
  }
};

// The reference.
template <class Epilogue>
void ReferenceProduct(const Int8GemmArguments& g, size_t row_begin, size_t row_end, size_t panel_begin, size_t panel_end, const Epilogue& epilogue) {
  const size_t stride = Int8RowBytes(g.num_k);
  for (size_t panel = panel_begin; panel < panel_end; ++panel)
    for (size_t r = row_begin; r < row_end; ++r) {
      int32_t sums[kInt8PanelWidth] = {};
      const int8_t* b = g.b.values + panel * kInt8PanelWidth * stride;
      for (size_t k = 0; k < stride; ++k)
        for (size_t j = 0; j < kInt8PanelWidth; ++j)
          sums[j] += static_cast<int32_t>(g.a[r * stride + k]) * b[(k / 4 * kInt8PanelWidth + j) * 4 + k % 4];
      epilogue(sums, r, panel * kInt8PanelWidth, kInt8PanelWidth);
    }
}

#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3

// How a vector of 32-bit sums takes four products an element: x holds the same four activations everywhere, a Weights 4 of each column.
struct VectorOf8 {
  using Vector = __m256i;
  static constexpr size_t kColumns = 8;
  static HWY_INLINE Vector Zero() { return _mm256_setzero_si256(); }
  static HWY_INLINE Vector Load(const void* from) { return _mm256_loadu_si256(static_cast<const __m256i*>(from)); }
  static HWY_INLINE Vector Broadcast(int32_t x) { return _mm256_set1_epi32(x); }
  static HWY_INLINE void Store(Vector x, int32_t* to) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), x); }
};

// AVX2 has no such instruction: maddubs adds pairs of u8 x s8 into 16 bits, where |w| |x| pairs stay below 2 * 128 * 127 = 32512. So the sign goes over
// to the activation, of which 128 is taken away first; the sums start from what that leaves out.
struct Avx2Dot : VectorOf8 {
  static constexpr size_t kRows = 4;
  struct Weights {
    Vector value, magnitude;
    HWY_INLINE explicit Weights(const int8_t* from) : value(Load(from)), magnitude(_mm256_abs_epi8(value)) {}
  };
  static HWY_INLINE Vector Start(const int32_t* column_sums) { return _mm256_slli_epi32(Load(column_sums), 7); }
  static HWY_INLINE Vector Activations(int32_t x) { return Broadcast(x ^ static_cast<int32_t>(0x80808080u)); }
  static HWY_INLINE Vector Dot(Vector sum, Vector x, const Weights& w) {
    const Vector pairs = _mm256_maddubs_epi16(w.magnitude, _mm256_sign_epi8(x, w.value));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
  }
};

// Assembly, because a function that may use AVX-VNNI's intrinsics cannot be inlined into one that may not.
struct AvxVnniDot : VectorOf8 {
  static constexpr size_t kRows = 6;
  struct Weights {
    Vector value;
    HWY_INLINE explicit Weights(const int8_t* from) : value(Load(from)) {}
  };
  static HWY_INLINE Vector Start(const int32_t*) { return Zero(); }
  static HWY_INLINE Vector Activations(int32_t x) { return Broadcast(x); }
  static HWY_INLINE Vector Dot(Vector sum, Vector x, const Weights& w) {
    asm("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(x), "x"(w.value));
    return sum;
  }
};

#if HWY_TARGET == HWY_AVX3
struct Avx512VnniDot {
  using Vector = __m512i;
  static constexpr size_t kColumns = 16, kRows = 12;
  struct Weights {
    Vector value;
    HWY_INLINE explicit Weights(const int8_t* from) : value(_mm512_loadu_si512(from)) {}
  };
  static HWY_INLINE Vector Start(const int32_t*) { return _mm512_setzero_si512(); }
  static HWY_INLINE Vector Activations(int32_t x) { return _mm512_set1_epi32(x); }
  static HWY_INLINE Vector Dot(Vector sum, Vector x, const Weights& w) {
    asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(x), "v"(w.value));
    return sum;
  }
  static HWY_INLINE void Store(Vector x, int32_t* to) { _mm512_storeu_si512(to, x); }
};
#endif

// The register tile: kRows rows times the columns of two vectors, which lie in one panel or in two.
template <class Path, size_t kRows, class Epilogue>
void Int8Tile(const Int8GemmArguments& g, size_t row, size_t first_column, const Epilogue& epilogue) {
  constexpr size_t kColumns = Path::kColumns;
  const size_t stride = Int8RowBytes(g.num_k), second_column = first_column + kColumns;
  const auto weights = [&](size_t column) {
    return g.b.values + column / kInt8PanelWidth * kInt8PanelWidth * stride + column % kInt8PanelWidth * 4;
  };
  const int8_t *b0 = weights(first_column), *b1 = weights(second_column);
  const uint8_t* a = g.a + row * stride;
  typename Path::Vector sum[kRows][2];
#pragma GCC unroll 16
  for (size_t r = 0; r < kRows; ++r) sum[r][0] = Path::Start(g.b.sums + first_column), sum[r][1] = Path::Start(g.b.sums + second_column);
  for (size_t k = 0; k < stride; k += 4, b0 += 64, b1 += 64) {
    const typename Path::Weights w0(b0), w1(b1);
#pragma GCC unroll 16
    for (size_t r = 0; r < kRows; ++r) {
      int32_t four;
      std::memcpy(&four, a + r * stride + k, sizeof four);
      const typename Path::Vector x = Path::Activations(four);
      sum[r][0] = Path::Dot(sum[r][0], x, w0);
      sum[r][1] = Path::Dot(sum[r][1], x, w1);
    }
  }
  alignas(64) int32_t sums[kRows][2 * kColumns];
#pragma GCC unroll 16
  for (size_t r = 0; r < kRows; ++r) Path::Store(sum[r][0], sums[r]), Path::Store(sum[r][1], sums[r] + kColumns);
#pragma GCC unroll 1
  for (size_t r = 0; r < kRows; ++r) epilogue(sums[r], row + r, first_column, 2 * kColumns);
}

template <class Path, class Epilogue, size_t... kRows>
constexpr auto Int8TileTable(std::index_sequence<kRows...>) {
  using Function = void (*)(const Int8GemmArguments&, size_t, size_t, const Epilogue&);
  return std::array<Function, sizeof...(kRows)>{&Int8Tile<Path, kRows + 1, Epilogue>...};
}

// Each panel (or two) meets all rows, in blocks of even height, before the next.
template <class Path, class Epilogue>
void VectorProduct(const Int8GemmArguments& g, size_t row_begin, size_t row_end, size_t panel_begin, size_t panel_end, const Epilogue& epilogue) {
  static constexpr auto kTiles = Int8TileTable<Path, Epilogue>(std::make_index_sequence<Path::kRows>());
  constexpr size_t kChunk = 128;  // rows whose A stays in L2
  for (size_t chunk = row_begin; chunk < row_end; chunk += kChunk) {
    const size_t count = std::min(row_end, chunk + kChunk) - chunk, blocks = (count + Path::kRows - 1) / Path::kRows;
    for (size_t column = panel_begin * kInt8PanelWidth; column < panel_end * kInt8PanelWidth; column += 2 * Path::kColumns)
      for (size_t i = 0; i < blocks; ++i) {
        const size_t begin = chunk + count * i / blocks, end = chunk + count * (i + 1) / blocks;
        kTiles[end - begin - 1](g, begin, column, epilogue);
        // The next panels come from L3 while the other rows meet these.
        const size_t next = column + 2 * Path::kColumns, bytes = 2 * Path::kColumns * Int8RowBytes(g.num_k);
        if (i == 0 && blocks > 1 && next < panel_end * kInt8PanelWidth)
          for (size_t byte = 0; byte < bytes; byte += 64) __builtin_prefetch(g.b.values + next * Int8RowBytes(g.num_k) + byte, 0, 2);
      }
  }
}

#endif  // AVX2 or AVX-512

void Int8GemmOf(const Int8GemmArguments& g, size_t row_begin, size_t row_end, size_t panel_begin, size_t panel_end) {
  const Dequantize epilogue = {g};
#if HWY_TARGET == HWY_AVX3
  // Below about twelve rows both wait for the weights, and tiles would be filled to a part only.
  constexpr size_t kFewRows = 12;
  const Int8Path path = Int8PathInUse();
  if (path == Int8Path::kAmx && row_end - row_begin > kFewRows) {
    const size_t stride = Int8RowBytes(g.num_k);
    return AmxProduct<TileType::kInt8>({.a = reinterpret_cast<const char*>(g.a), .a_stride = stride,
                                        .packed_b = reinterpret_cast<const char*>(g.b.values), .row_bytes = stride},
                                       row_begin, row_end, panel_begin, panel_end, epilogue);
  }
  if (path >= Int8Path::kAvx512Vnni) {
    // Two panels at a time; packing fills up to an even number (NumInt8Panels).
    return VectorProduct<Avx512VnniDot>(g, row_begin, row_end, panel_begin, panel_end, epilogue);
  }
#endif
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
  if (Int8PathInUse() >= Int8Path::kAvxVnni) return VectorProduct<AvxVnniDot>(g, row_begin, row_end, panel_begin, panel_end, epilogue);
  return VectorProduct<Avx2Dot>(g, row_begin, row_end, panel_begin, panel_end, epilogue);
#else
  ReferenceProduct(g, row_begin, row_end, panel_begin, panel_end, epilogue);
#endif
}

}  // namespace HWY_NAMESPACE
}  // namespace mlac::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlac::kernels {

HWY_EXPORT(Int8GemmOf);

size_t NumInt8Panels(size_t num_columns) { return (num_columns + 31) / 32 * 2; }

size_t PackedInt8Size(size_t num_k, size_t num_columns) { return NumInt8Panels(num_columns) * kInt8PanelWidth * Int8RowBytes(num_k); }

void PackInt8Panels(const int8_t* rows, size_t num_k, size_t num_columns, size_t panel_begin, size_t panel_end, int8_t* packed,
                    int32_t* sums) {
  const size_t stride = Int8RowBytes(num_k);
  for (size_t j = panel_begin * kInt8PanelWidth; j < panel_end * kInt8PanelWidth; ++j) {
    int8_t* column = packed + j / kInt8PanelWidth * kInt8PanelWidth * stride + j % kInt8PanelWidth * 4;
    const int8_t* row = rows + j * num_k;
    int32_t sum = 0;
    for (size_t k = 0; k < stride; ++k) {
      const int8_t value = j < num_columns && k < num_k ? row[k] : int8_t{0};
      sum += value;
      column[k / 4 * 64 + k % 4] = value;
    }
    sums[j] = sum;
  }
}

void Int8Gemm(const Int8GemmArguments& arguments, size_t row_begin, size_t row_end, size_t panel_begin, size_t panel_end) {
  assert(arguments.num_k <= kInt8MaxK && (arguments.c_bf16 == nullptr || arguments.activation == Activation::kNone));
  HWY_DYNAMIC_DISPATCH(Int8GemmOf)(arguments, row_begin, row_end, panel_begin, panel_end);
}

}  // namespace mlac::kernels
#endif
