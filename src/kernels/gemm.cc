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
  for (size_t panel = panel_begin; panel < panel_end; ++panel) {
    float* out = packed + panel * kPanel * num_k;
    if (layout == Layout::kTransposed) {
      PackPanelTransposed(b, stride, num_columns, num_k, panel, out);
    } else {
      PackPanel(b, stride, num_columns, num_k, panel, out);
    }
  }
}

// Rows go in chunks whose part of A stays in L2; inside, each panel meets all rows of the chunk, so it is read from L3 once a chunk.
void GemmOf(const GemmArguments& g, size_t row_begin, size_t row_end, size_t panel_begin, size_t panel_end) {
  constexpr size_t kChunkBytes = size_t{512} << 10;
  const size_t rows = row_end - row_begin;
  if (rows == 0) return;
  const size_t rows_per_chunk = std::max(4 * kTileRows, kChunkBytes / (std::max<size_t>(1, g.num_k) * sizeof(float)));
  const size_t chunks = (rows + rows_per_chunk - 1) / rows_per_chunk;
  const Start start = g.accumulate ? Start::kC : g.bias != nullptr ? Start::kBias : Start::kZero;
  for (size_t chunk = 0; chunk < chunks; ++chunk) {
    const size_t begin = row_begin + rows * chunk / chunks, end = row_begin + rows * (chunk + 1) / chunks;
    for (size_t panel = panel_begin; panel < panel_end; ++panel) {
      const size_t first = panel * kPanel, columns = std::min(kPanel, g.num_columns - first);
      const float* b = g.packed_b + first * g.num_k;
      const TileArguments tile = {.a = g.a, .a_stride = g.a_stride, .b = b, .b_stride = kPanel, .num_k = g.num_k, .c = g.c + first,
                                  .c_stride = g.c_stride, .bias = g.bias == nullptr ? nullptr : g.bias + first,
                                  .prefetch = panel + 1 < panel_end ? b + kPanel * g.num_k : nullptr};
      PanelProduct(tile, start, begin, end, columns, [&](size_t r0, size_t r1) {
        if (g.activation == Activation::kNone) return;
        for (size_t r = r0; r < r1; ++r) ActivateRow(g.activation, g.c + r * g.c_stride + first, g.c + r * g.c_stride + first, columns);
      });
    }
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

void Transpose(const float* in, size_t in_stride, size_t rows, size_t columns, float* out, size_t out_stride) {
  constexpr size_t kBlock = 16;  // a cache line of each side
  for (size_t i0 = 0; i0 < rows; i0 += kBlock)
    for (size_t j0 = 0; j0 < columns; j0 += kBlock)
      for (size_t j = j0; j < std::min(columns, j0 + kBlock); ++j)
        for (size_t i = i0; i < std::min(rows, i0 + kBlock); ++i) out[j * out_stride + i] = in[i * in_stride + j];
}

}  // namespace mlac::kernels
#endif
