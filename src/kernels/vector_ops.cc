#include "kernels/vector_ops.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/vector_ops.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlac::kernels {
namespace HWY_NAMESPACE {

void AddOf(const float* a, const float* b, float* out, size_t count) {
  ForEach(a, b, out, count, [](const Lanes& x, const Lanes& y) { return x + y; });
}

void ScaleOf(const float* in, float factor, float* out, size_t count) {
  const Lanes factors = Set(factor);
  ForEach(in, out, count, [&](const Lanes& x) { return x * factors; });
}

float DotOf(const float* x, const float* y, size_t count) {
  Lanes sum = Set(0.0f);
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) sum = MulAdd(Load(x + i), Load(y + i), sum);
  if (i < count) sum = MulAdd(LoadPart(x + i, count - i), LoadPart(y + i, count - i), sum);
  return FoldSum(sum);
}

void AddRowsOf(const float* rows, size_t num_rows, size_t num_columns, float* out, size_t column_begin, size_t column_end) {
  for (size_t r = 0; r < num_rows; ++r) {
    const float* row = rows + r * num_columns + column_begin;
    ForEach(out + column_begin, row, out + column_begin, column_end - column_begin, [](const Lanes& x, const Lanes& y) { return x + y; });
  }
}

void AdamWOf(const AdamWStep& s, const float* gradient, float* parameter, float* moment1, float* moment2, size_t count) {
  const Lanes beta1 = Set(s.beta1), beta2 = Set(s.beta2), rest1 = Set(s.rest1), rest2 = Set(s.rest2), eps = Set(s.eps);
  const Lanes decay = Set(s.decay), minus_step = Set(-s.step_size), correction = Set(s.inverse_root_correction), scale = Set(s.gradient_scale);
  const auto update = [&](const Lanes& g_in, Lanes& p, Lanes& m, Lanes& v) {
    const Lanes g = g_in * scale;
    m = MulAdd(beta1, m, rest1 * g);
    v = MulAdd(beta2, v, rest2 * g * g);
    p = MulAdd(minus_step, m / MulAdd(SquareRoot(v), correction, eps), p * decay);
  };
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    Lanes p = Load(parameter + i), m = Load(moment1 + i), v = Load(moment2 + i);
    update(Load(gradient + i), p, m, v);
    Store(p, parameter + i), Store(m, moment1 + i), Store(v, moment2 + i);
  }
  if (const size_t tail = count - i; tail > 0) {
    Lanes p = LoadPart(parameter + i, tail), m = LoadPart(moment1 + i, tail), v = LoadPart(moment2 + i, tail);
    update(LoadPart(gradient + i, tail), p, m, v);
    StorePart(p, parameter + i, tail), StorePart(m, moment1 + i, tail), StorePart(v, moment2 + i, tail);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace mlac::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlac::kernels {

HWY_EXPORT(AddOf);
HWY_EXPORT(ScaleOf);
HWY_EXPORT(DotOf);
HWY_EXPORT(AddRowsOf);
HWY_EXPORT(AdamWOf);

void Add(const float* a, const float* b, float* out, size_t count) { HWY_DYNAMIC_DISPATCH(AddOf)(a, b, out, count); }

void Scale(const float* in, float factor, float* out, size_t count) { HWY_DYNAMIC_DISPATCH(ScaleOf)(in, factor, out, count); }

float Dot(const float* x, const float* y, size_t count) { return HWY_DYNAMIC_DISPATCH(DotOf)(x, y, count); }

void AddRows(const float* rows, size_t num_rows, size_t num_columns, float* out, size_t column_begin, size_t column_end) {
  HWY_DYNAMIC_DISPATCH(AddRowsOf)(rows, num_rows, num_columns, out, column_begin, column_end);
}

void AdamW(const AdamWStep& step, const float* gradient, float* parameter, float* moment1, float* moment2, size_t count) {
  HWY_DYNAMIC_DISPATCH(AdamWOf)(step, gradient, parameter, moment1, moment2, count);
}

}  // namespace mlac::kernels
#endif
