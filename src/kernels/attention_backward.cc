#include "kernels/attention.h"

#include <algorithm>

#include "kernels/gemm.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/attention_backward.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/attention-inl.h"
#include "kernels/tile-inl.h"

// n: tokens of the sequence. m: queries, n or fewer. d: head_dim.
HWY_BEFORE_NAMESPACE();
namespace mlac::kernels {
namespace HWY_NAMESPACE {

size_t AttentionBackwardScratchSizeOf(size_t n, size_t d) {
  const size_t row = RoundUp(n, kPanel);
  return 3 * n * row + std::max(row * d, RoundUp(d, kPanel) * n) + n;
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

HWY_EXPORT(AttentionBackwardScratchSizeOf);
HWY_EXPORT(AttentionBackwardOf);

size_t AttentionBackwardScratchSize(size_t num_tokens, size_t head_dim) {
  return HWY_DYNAMIC_DISPATCH(AttentionBackwardScratchSizeOf)(num_tokens, head_dim);
}

void AttentionBackward(const AttentionArguments& arguments, const float* gradient_out, size_t out_stride, float* gradient_q, float* gradient_k,
                       float* gradient_v, float* gradient_bias, float* scratch) {
  HWY_DYNAMIC_DISPATCH(AttentionBackwardOf)(arguments, gradient_out, out_stride, gradient_q, gradient_k, gradient_v, gradient_bias, scratch);
}

}  // namespace mlac::kernels
#endif
