// Products on the tiles of Intel AMX: eight registers of 16 rows x 64 bytes. A tile of A holds 16 rows x 64 bytes of k, a tile of B (packed in panels
// of 16 columns) 64 bytes of k x 16 columns, a tile of C 16 x 16 sums of 32 bits.
// Included by int8_gemm.cc and bf16_gemm.cc. The instructions are written as assembly: the intrinsics of GCC 12 do not say what memory they touch, and
// a function with the attributes that they ask for could not be inlined into one without.
#if defined(MLAC_KERNELS_AMX_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MLAC_KERNELS_AMX_INL_H_
#undef MLAC_KERNELS_AMX_INL_H_
#else
#define MLAC_KERNELS_AMX_INL_H_
#endif

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <hwy/highway.h>

#if HWY_TARGET == HWY_AVX3
HWY_BEFORE_NAMESPACE();
namespace mlac::kernels {
namespace HWY_NAMESPACE {

// What ldtilecfg reads and sttilecfg writes: Intel's Software Developer's Manual, volume 1, "Programming with Intel AMX".
struct alignas(64) TileConfig {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t bytes_per_row[16] = {};
  uint8_t rows[16] = {};
};

// All eight tiles as 16 rows of 64 bytes. Fewer rows of A are read beyond and dropped, which is cheaper than another shape.
// Looked at before each product and not once a thread: the thread may be a caller's of the C API, and other libraries in the process, oneDNN for one, give
// its tiles shapes of their own, or release them; a tile instruction would then fault or compute something else.
HWY_INLINE void ConfigureTiles() {
  TileConfig wanted, found;
  for (int i = 0; i < 8; ++i) wanted.bytes_per_row[i] = 64, wanted.rows[i] = 16;
  asm volatile("sttilecfg %0" : "=m"(found));
  if (std::memcmp(&found, &wanted, sizeof wanted) != 0) asm volatile("ldtilecfg %0" ::"m"(wanted));
}

enum class TileType { kInt8, kBf16 };

template <int kTile>
HWY_INLINE void TileZero() {
  asm volatile("tilezero %%tmm%c0" ::"i"(kTile));
}
// 16 rows of 64 bytes, `stride` bytes apart. Says nothing of the memory it reads: AmxProduct has a barrier before all of them.
template <int kTile>
HWY_INLINE void TileLoad(const char* from, size_t stride) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(from), "r"(stride), "i"(kTile));
}
// The same for what is needed only once for now: it leaves the rest of L1 alone. Of A, while the panels of B stay: 3 to 9 % of a product.
template <int kTile>
HWY_INLINE void TileLoadOnce(const char* from, size_t stride) {
  asm volatile("tileloaddt1 (%0,%1,1), %%tmm%c2" ::"r"(from), "r"(stride), "i"(kTile));
}
template <int kTile>
HWY_INLINE void TileStore(int32_t* to, size_t stride) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(to), "r"(stride), "i"(kTile) : "memory");
}
// C += A B: u8 by s8 into 32-bit integers, or bf16 into f32.
template <TileType kType, int kC, int kA, int kB>
HWY_INLINE void TileMultiply() {
  if constexpr (kType == TileType::kInt8) {
    asm volatile("tdpbusd %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kC), "i"(kA), "i"(kB));
  } else {
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kC), "i"(kA), "i"(kB));
  }
}

// A block of sums whose epilogue is still to come. It runs a few rows at a time between the tile instructions of the next block, so that tiles and
// vector units work side by side: 8 to 40 % faster from k = 768 on.
struct PendingBlock {
  const int32_t* sums = nullptr;  // [rows][columns], aligned to 64
  size_t first_row = 0, first_column = 0, rows = 0, columns = 0, next = 0;

  // Not inlined at each of its many places: an epilogue with its activations takes long to compile.
  template <class Epilogue>
  HWY_NOINLINE void Finish(const Epilogue& epilogue, size_t count) {
    const size_t end = std::min(rows, next + count);
    for (; next < end; ++next) epilogue(sums + next * columns, first_row + next, first_column, columns);
  }
};

struct AmxArguments {
  const char* a;  // row r at a + r * a_stride bytes; the first of the product's rows is row 0
  size_t a_stride;
  const char* packed_b;  // panel p at packed_b + p * 16 * row_bytes
  size_t row_bytes;      // of k, a multiple of 64
};

// At most 16 rows times kPanels panels: every tile of B is used once, so this is for few rows, where reading B is the cost.
template <TileType kType, int kPanels, class Epilogue>
HWY_INLINE void AmxRow(const AmxArguments& t, size_t row, size_t panel, PendingBlock& pending, const Epilogue& epilogue, int32_t* sums) {
  const size_t steps = t.row_bytes / 64, panel_bytes = 16 * t.row_bytes, finish = (pending.rows + steps - 1) / steps;
  const char *a = t.a + row * t.a_stride, *b = t.packed_b + panel * panel_bytes;
  TileZero<0>();
  if constexpr (kPanels > 1) TileZero<1>();
  if constexpr (kPanels > 2) TileZero<2>();
  if constexpr (kPanels > 3) TileZero<3>();
  for (size_t k = 0; k < steps; ++k, a += 64, b += 1024) {
    for (size_t p = 0; p < kPanels; ++p)
      for (size_t i = 0; i < 1024; i += 64) __builtin_prefetch(b + p * panel_bytes + 4096 + i);
    TileLoad<4>(a, t.a_stride);
    TileLoad<5>(b, 64);
    TileMultiply<kType, 0, 4, 5>();
    if constexpr (kPanels > 1) {
      TileLoad<6>(b + panel_bytes, 64);
      TileMultiply<kType, 1, 4, 6>();
    }
    if constexpr (kPanels > 2) {
      TileLoad<7>(b + 2 * panel_bytes, 64);
      TileMultiply<kType, 2, 4, 7>();
    }
    if constexpr (kPanels > 3) {
      TileLoad<5>(b + 3 * panel_bytes, 64);
      TileMultiply<kType, 3, 4, 5>();
    }
    pending.Finish(epilogue, finish);
  }
  pending.Finish(epilogue, pending.rows);
  constexpr size_t kStride = kPanels * 64;
  TileStore<0>(sums, kStride);
  if constexpr (kPanels > 1) TileStore<1>(sums + 16, kStride);
  if constexpr (kPanels > 2) TileStore<2>(sums + 32, kStride);
  if constexpr (kPanels > 3) TileStore<3>(sums + 48, kStride);
}

// 32 (or 16) rows times two panels (or one): four products for four tiles read. Fetches the next two panels into L2 where `prefetch` says so.
template <TileType kType, bool kTwoRows, bool kTwoPanels, class Epilogue>
HWY_INLINE void AmxBlock(const AmxArguments& t, size_t row, size_t panel, bool prefetch, PendingBlock& pending, const Epilogue& epilogue,
                         int32_t* sums) {
  const size_t steps = t.row_bytes / 64, panel_bytes = 16 * t.row_bytes, finish = (pending.rows + steps - 1) / steps;
  const char *a0 = t.a + row * t.a_stride, *a1 = a0 + 16 * t.a_stride, *b0 = t.packed_b + panel * panel_bytes, *b1 = b0 + panel_bytes;
  TileZero<0>();
  if constexpr (kTwoPanels) TileZero<1>();
  if constexpr (kTwoRows) TileZero<2>();
  if constexpr (kTwoRows && kTwoPanels) TileZero<3>();
  for (size_t k = 0; k < steps; ++k) {
    TileLoad<6>(b0 + k * 1024, 64);
    TileLoadOnce<4>(a0 + k * 64, t.a_stride);
    TileMultiply<kType, 0, 4, 6>();
    if constexpr (kTwoPanels) {
      TileLoad<7>(b1 + k * 1024, 64);
      TileMultiply<kType, 1, 4, 7>();
    }
    if constexpr (kTwoRows) {
      TileLoadOnce<5>(a1 + k * 64, t.a_stride);
      TileMultiply<kType, 2, 5, 6>();
      if constexpr (kTwoPanels) TileMultiply<kType, 3, 5, 7>();
    }
    if (prefetch)
      for (size_t i = 0; i < 1024; i += 64) {
        __builtin_prefetch(b0 + 2 * panel_bytes + k * 1024 + i, 0, 2);
        __builtin_prefetch(b0 + 3 * panel_bytes + k * 1024 + i, 0, 2);
      }
    pending.Finish(epilogue, finish);
  }
  pending.Finish(epilogue, pending.rows);
  constexpr size_t kStride = kTwoPanels ? 128 : 64;
  TileStore<0>(sums, kStride);
  if constexpr (kTwoPanels) TileStore<1>(sums + 16, kStride);
  if constexpr (kTwoRows) TileStore<2>(sums + 16 * kStride / 4, kStride);
  if constexpr (kTwoRows && kTwoPanels) TileStore<3>(sums + 16 * kStride / 4 + 16, kStride);
}

// Rows [row_begin, row_end) of the panels [panel_begin, panel_end). A must be readable in whole steps of 16 rows from row_begin, and memory behind B may be
// prefetched. epilogue(sums, row, first_column, columns) takes the sums of a row's part, 32-bit integers or floats by their bits.
template <TileType kType, class Epilogue>
HWY_INLINE void AmxProduct(const AmxArguments& t, size_t row_begin, size_t row_end, size_t panel_begin, size_t panel_end, const Epilogue& epilogue) {
  constexpr size_t kChunk = 128;  // rows whose A stays in L2 while the panels pass
  ConfigureTiles();
  asm volatile("" ::: "memory");  // what tiles read has been written
  alignas(64) int32_t sums[2][32 * 64];
  PendingBlock pending;
  size_t flip = 0;
  const auto done = [&](size_t row, size_t rows, size_t panel, size_t panels) {
    pending = {.sums = sums[flip], .first_row = row, .first_column = panel * 16, .rows = rows, .columns = panels * 16, .next = 0};
    flip ^= 1;
  };
  for (size_t chunk = row_begin; chunk < row_end; chunk += kChunk) {
    const size_t chunk_end = std::min(row_end, chunk + kChunk);
    if (chunk_end - chunk <= 16) {
      for (size_t panel = panel_begin; panel < panel_end; panel += 4) {
        const size_t panels = std::min<size_t>(4, panel_end - panel);
        switch (panels) {
          case 1: AmxRow<kType, 1>(t, chunk, panel, pending, epilogue, sums[flip]); break;
          case 2: AmxRow<kType, 2>(t, chunk, panel, pending, epilogue, sums[flip]); break;
          case 3: AmxRow<kType, 3>(t, chunk, panel, pending, epilogue, sums[flip]); break;
          default: AmxRow<kType, 4>(t, chunk, panel, pending, epilogue, sums[flip]); break;
        }
        done(chunk, chunk_end - chunk, panel, panels);
      }
      continue;
    }
    for (size_t panel = panel_begin; panel < panel_end; panel += 2)
      for (size_t row = chunk; row < chunk_end; row += 32) {
        const size_t rows = std::min<size_t>(32, chunk_end - row);
        const bool two_rows = rows > 16, two_panels = panel_end - panel > 1, prefetch = row == chunk && panel + 2 < panel_end;
        if (two_rows && two_panels) {
          AmxBlock<kType, true, true>(t, row, panel, prefetch, pending, epilogue, sums[flip]);
        } else if (two_panels) {
          AmxBlock<kType, false, true>(t, row, panel, prefetch, pending, epilogue, sums[flip]);
        } else if (two_rows) {
          AmxBlock<kType, true, false>(t, row, panel, false, pending, epilogue, sums[flip]);
        } else {
          AmxBlock<kType, false, false>(t, row, panel, false, pending, epilogue, sums[flip]);
        }
        done(row, rows, panel, two_panels ? 2 : 1);
      }
  }
  pending.Finish(epilogue, pending.rows);
}

}  // namespace HWY_NAMESPACE
}  // namespace mlac::kernels
HWY_AFTER_NAMESPACE();
#endif

#endif
