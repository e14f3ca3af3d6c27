// What attention does with its arguments: for attention.cc, attention_backward.cc and bf16_attention.cc.
#if defined(MLAC_KERNELS_ATTENTION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MLAC_KERNELS_ATTENTION_INL_H_
#undef MLAC_KERNELS_ATTENTION_INL_H_
#else
#define MLAC_KERNELS_ATTENTION_INL_H_
#endif

#include "kernels/attention.h"
#include "kernels/softmax-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlac::kernels {
namespace HWY_NAMESPACE {

HWY_INLINE size_t RoundUp(size_t n, size_t multiple) { return (n + multiple - 1) / multiple * multiple; }

template <class Arguments>
HWY_INLINE size_t NumQueries(const Arguments& t) {
  return t.query_positions == nullptr ? t.num_tokens : t.num_queries;
}
template <class Arguments>
HWY_INLINE size_t Position(const Arguments& t, size_t query) {
  return t.query_positions == nullptr ? query : t.query_positions[query];
}

// What is added to scores of query i and all keys, and the scale of the softmax that is left to do then.
template <class Arguments>
HWY_INLINE float AddBias(const Arguments& t, size_t i, float* scores) {
  if (t.position_bias == nullptr) return t.scale;
  const Lanes scale = Set(t.scale);
  ForEach(scores, t.position_bias - Position(t, i), scores, t.num_tokens, [&](const Lanes& score, const Lanes& bias) { return MulAdd(score, scale, bias); });
  return 1.0f;
}

// Rows x[r] of `count` elements, `stride` apart: exp, with sums, four rows at a time.
HWY_INLINE void ExpBlock(float* x, size_t stride, size_t rows, size_t count, float scale, float* sums) {
  size_t r = 0;
  for (; r + 4 <= rows; r += 4) ExpRows<4>(x + r * stride, stride, count, scale, sums + r);
  for (; r < rows; ++r) ExpRows<1>(x + r * stride, stride, count, scale, sums + r);
}

// Dropout of one query's probabilities.
HWY_INLINE void DropProbabilities(const AttentionArguments& t, size_t query, const float* from, float* to) {
  Dropout(*t.dropout, static_cast<uint32_t>(t.dropout_row + Position(t, query)), t.dropout_block, from, to, t.num_tokens);
}

}  // namespace HWY_NAMESPACE
}  // namespace mlac::kernels
HWY_AFTER_NAMESPACE();

#endif
