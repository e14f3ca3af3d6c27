// What both attentions do with their arguments: for attention.cc and bf16_attention.cc.
#if defined(MLAC_KERNELS_ATTENTION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MLAC_KERNELS_ATTENTION_INL_H_
#undef MLAC_KERNELS_ATTENTION_INL_H_
#else
#define MLAC_KERNELS_ATTENTION_INL_H_
#endif

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

}  // namespace HWY_NAMESPACE
}  // namespace mlac::kernels
HWY_AFTER_NAMESPACE();

#endif
