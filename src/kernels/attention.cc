#include "kernels/attention.h"

#include "kernels/gemm.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/attention.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/attention-inl.h"
#include "kernels/tile-inl.h"

// n: tokens of the sequence. m: queries, n or fewer. d: head_dim.
HWY_BEFORE_NAMESPACE();
namespace mlac::kernels {
namespace HWY_NAMESPACE {

size_t AttentionScratchSizeOf(size_t n, size_t d) {
  return RoundUp(n, kPanel) * d + RoundUp(d, kPanel) * n + kTileRows * RoundUp(n, kPanel) + kTileRows * kPanel;
}

// One block of queries at a time: its scores against all keys stay in L1 (14 rows of 512 are 28 KiB). Longer sequences spill to L2.
void AttentionOf(const AttentionArguments& t, size_t query_begin, size_t query_end, float* out, size_t out_stride, float* scratch) {
  const size_t n = t.num_tokens, d = t.head_dim, score_stride = RoundUp(n, kPanel);
  float* keys = scratch;  // packed panels of K transposed, [n/kPanel][d][kPanel]
  float* values = keys + score_stride * d;  // packed panels of V, where the panels do not divide d
  float* scores = values + RoundUp(d, kPanel) * n;
  for (size_t panel = 0; panel * kPanel < n; ++panel) PackPanelTransposed(t.k, t.stride, n, d, panel, keys + panel * kPanel * d);
  const bool values_in_place = d % kPanel == 0;
  for (size_t panel = 0; !values_in_place && panel * kPanel < d; ++panel) PackPanel(t.v, t.stride, d, 0, n, panel, values + panel * kPanel * n);
  const auto no_epilogue = [](size_t, size_t) {};
  ForRowBlocks(query_begin, query_end, [&](size_t q0, size_t q1, size_t) {
    const size_t rows = q1 - q0;
    for (size_t j = 0; j < n; j += kPanel)
      RunTile</*kPrefetches=*/false>(rows, {.a = t.q + q0 * t.stride, .a_stride = t.stride, .b = keys + j * d, .b_stride = kPanel, .num_k = d, .c = scores + j,
                     .c_stride = score_stride, .bias = nullptr, .prefetch = nullptr}, Start::kZero);
    float sums[kTileRows], scale = t.scale;
    for (size_t r = 0; r < rows; ++r) scale = AddBias(t, q0 + r, scores + r * score_stride);
    ExpBlock(scores, score_stride, rows, n, scale, sums);
    for (size_t r = 0; r < rows && t.dropout != nullptr; ++r) DropProbabilities(t, q0 + r, scores + r * score_stride, scores + r * score_stride);
    for (size_t c = 0; c < d; c += kPanel)
      PanelProduct</*kPrefetches=*/false>({.a = scores, .a_stride = score_stride, .b = values_in_place ? t.v + c : values + c * n,
                    .b_stride = values_in_place ? t.stride : kPanel, .num_k = n, .c = out + q0 * out_stride + c, .c_stride = out_stride,
                    .bias = nullptr, .prefetch = nullptr}, Start::kZero, 0, rows, std::min(kPanel, d - c), no_epilogue);
    for (size_t r = 0; r < rows; ++r) {
      float* row = out + (q0 + r) * out_stride;
      const Lanes inverse = Set(1.0f / sums[r]);
      ForEach(row, row, d, [&](const Lanes& x) { return x * inverse; });
    }
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace mlac::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlac::kernels {

HWY_EXPORT(AttentionScratchSizeOf);
HWY_EXPORT(AttentionOf);

size_t AttentionScratchSize(size_t num_tokens, size_t head_dim) { return HWY_DYNAMIC_DISPATCH(AttentionScratchSizeOf)(num_tokens, head_dim); }

void Attention(const AttentionArguments& arguments, size_t query_begin, size_t query_end, float* out, size_t out_stride, float* scratch) {
  HWY_DYNAMIC_DISPATCH(AttentionOf)(arguments, query_begin, query_end, out, out_stride, scratch);
}

}  // namespace mlac::kernels
#endif
