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

size_t AttentionBackwardScratchSizeOf(size_t n, size_t d) {
  const size_t row = RoundUp(n, kPanel);
  return 3 * n * row + std::max(row * d, RoundUp(d, kPanel) * n) + n;
}

// Rows x[r] of `count` elements, `stride` apart: exp, with sums, four rows at a time.
HWY_INLINE void ExpBlock(float* x, size_t stride, size_t rows, size_t count, float scale, float* sums) {
  size_t r = 0;
  for (; r + 4 <= rows; r += 4) ExpRows<4>(x + r * stride, stride, count, scale, sums + r);
  for (; r < rows; ++r) ExpRows<1>(x + r * stride, stride, count, scale, sums + r);
}

HWY_INLINE void DropProbabilities(const AttentionArguments& t, size_t query, const float* from, float* to) {
  Dropout(*t.dropout, static_cast<uint32_t>(t.dropout_row + Position(t, query)), t.dropout_block, from, to, t.num_tokens);
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

// C[m][n] = A B, B packed into `packed` panel by panel.
void Product(const float* a, size_t a_stride, size_t rows, const float* b, size_t b_stride, Layout layout, size_t columns, size_t num_k,
                        float* c, size_t c_stride, float* packed) {
  for (size_t panel = 0; panel * kPanel < columns; ++panel) {
    if (layout == Layout::kTransposed) {
      PackPanelTransposed(b, b_stride, columns, num_k, panel, packed);
    } else {
      PackPanel(b, b_stride, columns, 0, num_k, panel, packed);
    }
    const size_t first = panel * kPanel;
    PanelProduct</*kPrefetches=*/false>({.a = a, .a_stride = a_stride, .b = packed, .b_stride = kPanel, .num_k = num_k, .c = c + first, .c_stride = c_stride,
                  .bias = nullptr, .prefetch = nullptr}, Start::kZero, 0, rows, std::min(kPanel, columns - first), [](size_t, size_t) {});
  }
}

// P = softmax(scale Q K^T + B), D = dropout:  dV = D(P)^T dO;  dP = D(dO V^T);  dB = P (dP - rowsum(dP P));  dS = scale dB;  dQ = dS K;  dK = dS^T Q.
void AttentionBackwardOf(const AttentionArguments& t, const float* gradient_out, size_t out_stride, float* gradient_q, float* gradient_k,
                         float* gradient_v, float* gradient_bias, float* scratch) {
  const size_t n = t.num_tokens, m = NumQueries(t), d = t.head_dim, row = RoundUp(n, kPanel), column = RoundUp(m, kPanel);
  float *p = scratch, *gradient_p = p + m * row, *other = gradient_p + m * row, *packed = other + n * column;
  float* sums = packed + std::max(row * d, RoundUp(d, kPanel) * n);
  const auto drop = [&](const float* from, float* to) {
    for (size_t i = 0; i < m; ++i) DropProbabilities(t, i, from + i * row, to + i * row);
  };
  Product(t.q, t.stride, m, t.k, t.stride, Layout::kTransposed, n, d, p, row, packed);
  float scale_left = t.scale;
  for (size_t i = 0; i < m; ++i) scale_left = AddBias(t, i, p + i * row);
  ExpBlock(p, row, m, n, scale_left, sums);
  for (size_t i = 0; i < m; ++i) {
    const Lanes inverse = Set(1.0f / sums[i]);
    ForEach(p + i * row, p + i * row, n, [&](const Lanes& x) { return x * inverse; });
  }
  const float* dropped = p;
  if (t.dropout != nullptr) {
    drop(p, gradient_p);
    dropped = gradient_p;
  }
  TransposeOf(dropped, row, m, n, other, column);
  Product(other, column, n, gradient_out, out_stride, Layout::kRows, d, m, gradient_v, t.stride, packed);
  Product(gradient_out, out_stride, m, t.v, t.stride, Layout::kTransposed, n, d, gradient_p, row, packed);
  if (t.dropout != nullptr) drop(gradient_p, gradient_p);
  for (size_t i = 0; i < m; ++i) {  // gradient_p becomes dS
    float *g = gradient_p + i * row, *probability = p + i * row;
    Lanes sum = Set(0.0f);
    size_t j = 0;
    for (; j + kLanes <= n; j += kLanes) sum = MulAdd(Load(g + j), Load(probability + j), sum);
    if (j < n) sum = MulAdd(LoadPart(g + j, n - j), LoadPart(probability + j, n - j), sum);
    const Lanes total = Set(FoldSum(sum)), scale = Set(t.scale);
    if (gradient_bias != nullptr) {
      ForEach(g, probability, g, n, [&](const Lanes& x, const Lanes& y) { return (x - total) * y; });
      float* diagonals = gradient_bias - Position(t, i);
      ForEach(diagonals, g, diagonals, n, [&](const Lanes& x, const Lanes& y) { return x + y; });
      ForEach(g, g, n, [&](const Lanes& x) { return x * scale; });
    } else {
      ForEach(g, probability, g, n, [&](const Lanes& x, const Lanes& y) { return (x - total) * y * scale; });
    }
  }
  Product(gradient_p, row, m, t.k, t.stride, Layout::kRows, d, n, gradient_q, t.stride, packed);
  TransposeOf(gradient_p, row, m, n, other, column);
  Product(other, column, n, t.q, t.stride, Layout::kRows, d, m, gradient_k, t.stride, packed);
}

}  // namespace HWY_NAMESPACE
}  // namespace mlac::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlac::kernels {

HWY_EXPORT(AttentionScratchSizeOf);
HWY_EXPORT(AttentionBackwardScratchSizeOf);
HWY_EXPORT(AttentionOf);
HWY_EXPORT(AttentionBackwardOf);

size_t AttentionScratchSize(size_t num_tokens, size_t head_dim) { return HWY_DYNAMIC_DISPATCH(AttentionScratchSizeOf)(num_tokens, head_dim); }

size_t AttentionBackwardScratchSize(size_t num_tokens, size_t head_dim) {
  return HWY_DYNAMIC_DISPATCH(AttentionBackwardScratchSizeOf)(num_tokens, head_dim);
}

void Attention(const AttentionArguments& arguments, size_t query_begin, size_t query_end, float* out, size_t out_stride, float* scratch) {
  HWY_DYNAMIC_DISPATCH(AttentionOf)(arguments, query_begin, query_end, out, out_stride, scratch);
}

void AttentionBackward(const AttentionArguments& arguments, const float* gradient_out, size_t out_stride, float* gradient_q, float* gradient_k,
                       float* gradient_v, float* gradient_bias, float* scratch) {
  HWY_DYNAMIC_DISPATCH(AttentionBackwardOf)(arguments, gradient_out, out_stride, gradient_q, gradient_k, gradient_v, gradient_bias, scratch);
}

}  // namespace mlac::kernels
#endif
