#include "kernels/gemm.h"

#include <array>
#include <cmath>
#include <utility>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/gemm.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/activation-inl.h"
#include "kernels/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlac::kernels {
namespace HWY_NAMESPACE {

size_t PanelWidthOf() { return kPanel; }

void PackPanelsOf(const float* b, size_t stride, Layout layout, size_t num_k, size_t num_columns, size_t panel_begin, size_t panel_end,
                  float* packed) {
  if (layout == Layout::kTransposed) {
    for (size_t panel = panel_begin; panel < panel_end; ++panel)
      PackPanelTransposed(b, stride, num_columns, num_k, panel, packed + panel * kPanel * num_k);
    return;
  }
  // A few rows for all panels, then the next ones: rows are read from start to end, and not in pieces that lie pages apart.
  constexpr size_t kRows = 8;
  for (size_t k = 0; k < num_k; k += kRows)
    for (size_t panel = panel_begin; panel < panel_end; ++panel)
      PackPanel(b, stride, num_columns, k, std::min(num_k, k + kRows), panel, packed + panel * kPanel * num_k);
}

// Rows [begin, end) of one panel, packed at b; `next` is fetched meanwhile.
template <RowsOfA kRowsOfA = RowsOfA::kInRows>
HWY_INLINE void MultiplyPanel(const GemmArguments& g, size_t panel, const float* b, const float* next, size_t begin, size_t end) {
  const Start start = g.accumulate ? Start::kC : g.bias != nullptr ? Start::kBias : Start::kZero;
  const size_t first = panel * kPanel, columns = std::min(kPanel, g.num_columns - first);
  const TileArguments tile = {.a = g.a, .a_stride = g.a_stride, .b = b, .b_stride = kPanel, .num_k = g.num_k, .c = g.c + first,
                              .c_stride = g.c_stride, .bias = g.bias == nullptr ? nullptr : g.bias + first, .prefetch = next};
  PanelProduct<true, kRowsOfA>(tile, start, begin, end, columns, [&](size_t r0, size_t r1) {
    if (g.activation == Activation::kNone) return;
    for (size_t r = r0; r < r1; ++r) ActivateRow(g.activation, g.c + r * g.c_stride + first, g.c + r * g.c_stride + first, columns);
  });
}

// How many rows of A, a row of `num_k` floats, stay in L2.
constexpr size_t RowsPerChunk(size_t num_k) {
  constexpr size_t kChunkBytes = size_t{512} << 10;
  return std::max(4 * kTileRows, kChunkBytes / (std::max<size_t>(1, num_k) * sizeof(float)));
}

// Rows go in chunks whose part of A stays in L2; inside, each panel meets all rows of the chunk, so it is read from L3 once a chunk.
// begin_chunk(begin, end) comes before the panels of a chunk; multiply(panel, packed panel, what is to be fetched meanwhile, begin, end) is called for each.
template <typename BeginChunk, typename Multiply>
HWY_INLINE void ForChunks(const GemmArguments& g, size_t row_begin, size_t row_end, size_t panel_begin, size_t panel_end, BeginChunk begin_chunk,
                          Multiply multiply) {
  const size_t rows = row_end - row_begin, rows_per_chunk = RowsPerChunk(g.num_k), chunks = (rows + rows_per_chunk - 1) / rows_per_chunk;
  for (size_t chunk = 0; chunk < chunks; ++chunk) {
    const size_t begin = row_begin + rows * chunk / chunks, end = row_begin + rows * (chunk + 1) / chunks;
    begin_chunk(begin, end);
    for (size_t panel = panel_begin; panel < panel_end; ++panel) {
      const float* b = g.packed_b + panel * kPanel * g.num_k;
      multiply(panel, b, panel + 1 < panel_end ? b + kPanel * g.num_k : nullptr, begin, end);
    }
  }
}

void GemmOf(const GemmArguments& g, size_t row_begin, size_t row_end, size_t panel_begin, size_t panel_end) {
  const auto multiply = [&](size_t panel, const float* b, const float* next, size_t begin, size_t end) { MultiplyPanel(g, panel, b, next, begin, end); };
  ForChunks(g, row_begin, row_end, panel_begin, panel_end, [](size_t, size_t) {}, multiply);
}

size_t TransposedScratchOf(size_t num_k, size_t rows) {
  return (std::min(rows, RowsPerChunk(num_k)) + kTileRows - 1) / kTileRows * num_k * kBlockWidth;
}

void GemmTransposedOf(const GemmArguments& g, size_t row_begin, size_t row_end, size_t panel_begin, size_t panel_end, float* scratch) {
  GemmArguments blocks = g;
  blocks.a = scratch;
  blocks.a_stride = g.num_k * kBlockWidth;
  const auto pack = [&](size_t begin, size_t end) { PackBlocks(g.a, g.a_stride, g.num_k, begin, end, blocks.a_stride, scratch); };
  const auto multiply = [&](size_t panel, const float* b, const float* next, size_t begin, size_t end) {
    MultiplyPanel<RowsOfA::kInBlocks>(blocks, panel, b, next, begin, end);
  };
  ForChunks(g, row_begin, row_end, panel_begin, panel_end, pack, multiply);
}

// Panels that stay in L2 beside a chunk of rows.
size_t PanelsAtOnceOf(size_t num_k) {
  constexpr size_t kBytes = size_t{384} << 10;
  return std::max<size_t>(1, kBytes / (std::max<size_t>(1, num_k) * kPanel * sizeof(float)));
}

size_t UnpackedScratchOf(size_t num_k, size_t panels) { return std::min(panels, PanelsAtOnceOf(num_k)) * kPanel * num_k; }

void GemmUnpackedOf(const GemmArguments& g, const float* b, size_t stride, Layout layout, size_t num_rows, size_t panel_begin, size_t panel_end,
                    float* scratch) {
  GemmArguments part = g;
  part.packed_b = scratch;
  const size_t at_once = PanelsAtOnceOf(g.num_k);
  for (size_t panel = panel_begin; panel < panel_end; panel += at_once) {
    const size_t first = panel * kPanel, panels = std::min(at_once, panel_end - panel);
    part.num_columns = g.num_columns - first;
    part.bias = g.bias == nullptr ? nullptr : g.bias + first;
    part.c = g.c + first;
    PackPanelsOf(layout == Layout::kTransposed ? b + first * stride : b + first, stride, layout, g.num_k, part.num_columns, 0, panels, scratch);
    GemmOf(part, 0, num_rows, 0, panels);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace mlac::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlac::kernels {

HWY_EXPORT(PanelWidthOf);
HWY_EXPORT(PackPanelsOf);
HWY_EXPORT(GemmOf);
HWY_EXPORT(PanelsAtOnceOf);
HWY_EXPORT(UnpackedScratchOf);
HWY_EXPORT(GemmUnpackedOf);
HWY_EXPORT(TransposedScratchOf);
HWY_EXPORT(GemmTransposedOf);

size_t PanelWidth() { return HWY_DYNAMIC_DISPATCH(PanelWidthOf)(); }

size_t NumPanels(size_t num_columns) { return (num_columns + PanelWidth() - 1) / PanelWidth(); }

size_t PackedSize(size_t num_k, size_t num_columns) { return NumPanels(num_columns) * PanelWidth() * num_k; }

void PackPanels(const float* b, size_t stride, Layout layout, size_t num_k, size_t num_columns, size_t panel_begin, size_t panel_end,
                float* packed) {
  HWY_DYNAMIC_DISPATCH(PackPanelsOf)(b, stride, layout, num_k, num_columns, panel_begin, panel_end, packed);
}

void Gemm(const GemmArguments& arguments, size_t row_begin, size_t row_end, size_t panel_begin, size_t panel_end) {
  HWY_DYNAMIC_DISPATCH(GemmOf)(arguments, row_begin, row_end, panel_begin, panel_end);
}

size_t TransposedScratch(size_t num_k, size_t rows) { return HWY_DYNAMIC_DISPATCH(TransposedScratchOf)(num_k, rows); }

void GemmTransposed(const GemmArguments& arguments, size_t row_begin, size_t row_end, size_t panel_begin, size_t panel_end, float* scratch) {
  HWY_DYNAMIC_DISPATCH(GemmTransposedOf)(arguments, row_begin, row_end, panel_begin, panel_end, scratch);
}

size_t PanelsAtOnce(size_t num_k) { return HWY_DYNAMIC_DISPATCH(PanelsAtOnceOf)(num_k); }

size_t UnpackedScratch(size_t num_k, size_t panels) { return HWY_DYNAMIC_DISPATCH(UnpackedScratchOf)(num_k, panels); }

void GemmUnpacked(const GemmArguments& arguments, const float* b, size_t stride, Layout layout, size_t num_rows, size_t panel_begin, size_t panel_end,
                  float* scratch) {
  HWY_DYNAMIC_DISPATCH(GemmUnpackedOf)(arguments, b, stride, layout, num_rows, panel_begin, panel_end, scratch);
}

void GemmReference(const GemmArguments& g, const float* b, size_t stride, Layout layout, size_t num_rows) {
  for (size_t r = 0; r < num_rows; ++r)
    for (size_t j = 0; j < g.num_columns; ++j) {
      float* c = g.c + r * g.c_stride + j;
      float sum = g.accumulate ? *c : g.bias != nullptr ? g.bias[j] : 0.0f;
      for (size_t k = 0; k < g.num_k; ++k)
        sum = std::fma(g.a[r * g.a_stride + k], layout == Layout::kTransposed ? b[j * stride + k] : b[k * stride + j], sum);
      *c = sum;
    }
  for (size_t r = 0; r < num_rows && g.activation != Activation::kNone; ++r)
    Activate(g.activation, g.c + r * g.c_stride, g.c + r * g.c_stride, g.num_columns);
}

}  // namespace mlac::kernels
#endif
