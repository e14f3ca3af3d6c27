#include "kernels/layer_norm.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/layer_norm.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlac::kernels {
namespace HWY_NAMESPACE {

// kRows rows at once: each waits for its own chain of adds, and another row fills the wait. No row's order changes by it. n: a copy, which no store can change.
template <size_t kRows, bool kHasResidual>
void LayerNormRows(const LayerNormArguments n, size_t row) {
  const size_t size = n.size, whole = size / kLanes * kLanes, tail = size - whole;
  const float inverse_size = 1.0f / static_cast<float>(size);
  const float *x[kRows], *residual[kRows];
  float *y[kRows], *values[kRows];  // values: where x + residual is kept between the passes
  Lanes sum[kRows], squares[kRows], mean[kRows], scale[kRows];
  for (size_t r = 0; r < kRows; ++r) {
    x[r] = n.x + (row + r) * size;
    residual[r] = kHasResidual ? n.residual + (row + r) * size : nullptr;
    y[r] = n.y + (row + r) * size;
    values[r] = n.sum != nullptr ? n.sum + (row + r) * size : y[r];
    sum[r] = squares[r] = mean[r] = scale[r] = Set(0.0f);
  }
  for (size_t i = 0; i < whole; i += kLanes) {
#pragma GCC unroll 4
    for (size_t r = 0; r < kRows; ++r) {
      Lanes value = Load(x[r] + i);
      if constexpr (kHasResidual) value = value + Load(residual[r] + i);
      Store(value, values[r] + i);
      sum[r] = sum[r] + value;
    }
  }
  for (size_t r = 0; r < kRows; ++r) {
    if (tail > 0) {
      Lanes value = LoadPart(x[r] + whole, tail);
      if constexpr (kHasResidual) value = value + LoadPart(residual[r] + whole, tail);
      StorePart(value, values[r] + whole, tail);
      sum[r] = sum[r] + value;
    }
    mean[r] = Set(FoldSum(sum[r]) * inverse_size);
  }
  for (size_t i = 0; i < whole; i += kLanes) {
#pragma GCC unroll 4
    for (size_t r = 0; r < kRows; ++r) {
      const Lanes difference = Load(values[r] + i) - mean[r];
      squares[r] = MulAdd(difference, difference, squares[r]);
    }
  }
  for (size_t r = 0; r < kRows; ++r) {
    if (tail > 0) {
      HWY_ALIGN float lanes[kLanes], mean_lanes[kLanes];
      Store(mean[r], mean_lanes);
      Store(LoadPart(values[r] + whole, tail, mean_lanes[0]) - mean[r], lanes);  // absent lanes: a difference of 0
      const Lanes difference = Load(lanes);
      squares[r] = MulAdd(difference, difference, squares[r]);
    }
    const float inverse_deviation = 1.0f / std::sqrt(FoldSum(squares[r]) * inverse_size + n.eps);
    scale[r] = Set(inverse_deviation);
    if (n.stats != nullptr) {
      HWY_ALIGN float mean_lanes[kLanes];
      Store(mean[r], mean_lanes);
      n.stats[2 * (row + r)] = mean_lanes[0];
      n.stats[2 * (row + r) + 1] = inverse_deviation;
    }
  }
  for (size_t i = 0; i < whole; i += kLanes) {
    const Lanes gamma = Load(n.gamma + i), beta = Load(n.beta + i);
#pragma GCC unroll 4
    for (size_t r = 0; r < kRows; ++r) Store(MulAdd((Load(values[r] + i) - mean[r]) * scale[r], gamma, beta), y[r] + i);
  }
  for (size_t r = 0; r < kRows && tail > 0; ++r)
    StorePart(MulAdd((LoadPart(values[r] + whole, tail) - mean[r]) * scale[r], LoadPart(n.gamma + whole, tail), LoadPart(n.beta + whole, tail)),
              y[r] + whole, tail);
}

template <bool kHasResidual>
void LayerNormAll(const LayerNormArguments& arguments, size_t row_begin, size_t row_end) {
  size_t row = row_begin;
  for (; row + 4 <= row_end; row += 4) LayerNormRows<4, kHasResidual>(arguments, row);
  for (; row < row_end; ++row) LayerNormRows<1, kHasResidual>(arguments, row);
}

void LayerNormOf(const LayerNormArguments& arguments, size_t row_begin, size_t row_end) {
  arguments.residual != nullptr ? LayerNormAll<true>(arguments, row_begin, row_end) : LayerNormAll<false>(arguments, row_begin, row_end);
}

// With h = (x - mean) * s and d = gradient_y * gamma:  gradient_x = s (d - mean(d) - h mean(d h)).
void LayerNormBackwardOf(const float* sum, const float* stats, const float* gamma, const float* gradient_y, size_t size, float* gradient_x,
                         size_t row_begin, size_t row_end) {
  const float inverse_size = 1.0f / static_cast<float>(size);
  for (size_t row = row_begin; row < row_end; ++row) {
    const float *x = sum + row * size, *dy = gradient_y + row * size;
    const Lanes mean = Set(stats[2 * row]), scale = Set(stats[2 * row + 1]);
    Lanes sum_d = Set(0.0f), sum_dh = Set(0.0f);
    size_t i = 0;
    for (; i + kLanes <= size; i += kLanes) {
      const Lanes d = Load(dy + i) * Load(gamma + i);
      sum_d = sum_d + d;
      sum_dh = MulAdd(d, (Load(x + i) - mean) * scale, sum_dh);
    }
    if (i < size) {
      const Lanes d = LoadPart(dy + i, size - i) * LoadPart(gamma + i, size - i);  // 0 in absent lanes
      sum_d = sum_d + d;
      sum_dh = MulAdd(d, (LoadPart(x + i, size - i) - mean) * scale, sum_dh);
    }
    const Lanes mean_d = Set(FoldSum(sum_d) * inverse_size), minus_mean_dh = Set(-(FoldSum(sum_dh) * inverse_size));
    float* dx = gradient_x + row * size;
    const auto finish = [&](const Lanes& d, const Lanes& value) {
      return MulAdd((value - mean) * scale, minus_mean_dh, d - mean_d) * scale;
    };
    for (i = 0; i + kLanes <= size; i += kLanes) Store(finish(Load(dy + i) * Load(gamma + i), Load(x + i)), dx + i);
    if (i < size)
      StorePart(finish(LoadPart(dy + i, size - i) * LoadPart(gamma + i, size - i), LoadPart(x + i, size - i)), dx + i, size - i);
  }
}

void LayerNormBackwardParametersOf(const float* sum, const float* stats, const float* gradient_y, size_t size, size_t num_rows,
                                   float* gradient_gamma, float* gradient_beta, size_t column_begin, size_t column_end) {
  for (size_t row = 0; row < num_rows; ++row) {
    const float *x = sum + row * size, *dy = gradient_y + row * size;
    const Lanes mean = Set(stats[2 * row]), scale = Set(stats[2 * row + 1]);
    size_t i = column_begin;
    for (; i + kLanes <= column_end; i += kLanes) {
      const Lanes d = Load(dy + i);
      Store(MulAdd(d, (Load(x + i) - mean) * scale, Load(gradient_gamma + i)), gradient_gamma + i);
      Store(Load(gradient_beta + i) + d, gradient_beta + i);
    }
    if (const size_t tail = column_end - i; tail > 0) {
      const Lanes d = LoadPart(dy + i, tail);
      StorePart(MulAdd(d, (LoadPart(x + i, tail) - mean) * scale, LoadPart(gradient_gamma + i, tail)), gradient_gamma + i, tail);
      StorePart(LoadPart(gradient_beta + i, tail) + d, gradient_beta + i, tail);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace mlac::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlac::kernels {

HWY_EXPORT(LayerNormOf);
HWY_EXPORT(LayerNormBackwardOf);
HWY_EXPORT(LayerNormBackwardParametersOf);

void LayerNorm(const LayerNormArguments& arguments, size_t row_begin, size_t row_end) {
  HWY_DYNAMIC_DISPATCH(LayerNormOf)(arguments, row_begin, row_end);
}

void LayerNormBackward(const float* sum, const float* stats, const float* gamma, const float* gradient_y, size_t size, float* gradient_x,
                       size_t row_begin, size_t row_end) {
  HWY_DYNAMIC_DISPATCH(LayerNormBackwardOf)(sum, stats, gamma, gradient_y, size, gradient_x, row_begin, row_end);
}

void LayerNormBackwardParameters(const float* sum, const float* stats, const float* gradient_y, size_t size, size_t num_rows, float* gradient_gamma,
                                 float* gradient_beta, size_t column_begin, size_t column_end) {
  HWY_DYNAMIC_DISPATCH(LayerNormBackwardParametersOf)
  (sum, stats, gradient_y, size, num_rows, gradient_gamma, gradient_beta, column_begin, column_end);
}

}  // namespace mlac::kernels
#endif
