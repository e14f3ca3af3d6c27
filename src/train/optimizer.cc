#include "train/optimizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>
#include <optional>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/find_not_finite.h"
#include "kernels/vector_ops.h"
#include "nn/weights.h"

namespace mlac {
namespace {

constexpr size_t kChunk = 4096;  // elements that one f32 sum covers; beyond, chunks add up in double
// A thread takes so many chunks at a time where rows are not alike: in a vocabulary the frequent words stand together.
constexpr size_t kChunksPerTask = 8;

size_t RowSize(const Parameter& parameter) { return parameter.value.num_elements() / parameter.value.dim(0); }  // of parameters that learn: not 0

// Calls body with stretches of elements that lie together, over the threads, and says whether they are of `rows`.
void ForEachStretch(Run& run, const RowSet& rows, const Parameter& parameter, const std::function<void(size_t begin, size_t end, bool in_rows)>& body) {
  if (rows.all()) {
    run.ParallelFor(parameter.value.num_elements(), kChunk, [&](size_t begin, size_t end, size_t) { body(begin, end, true); });
    return;
  }
  const size_t num_rows = parameter.value.dim(0), size = RowSize(parameter), rows_per_task = std::max<size_t>(1, kChunksPerTask * kChunk / size);
  run.ParallelTasks((num_rows + rows_per_task - 1) / rows_per_task, [&](size_t task, size_t) {
    const size_t end = std::min(num_rows, (task + 1) * rows_per_task);
    for (size_t row = task * rows_per_task; row < end;) {
      const size_t first = row;
      const bool in_rows = rows.Has(row);
      while (row < end && rows.Has(row) == in_rows) ++row;
      body(first * size, row * size, in_rows);
    }
  });
}

// The sum of the gradient's squares: chunks in 16 lanes of f32, which add up in double, in order. What is zero is not read.
double SumOfSquares(Run& run, const Parameter& parameter) {
  const std::span<const float> values = parameter.gradient.floats();
  const RowSet& rows = parameter.gradient.rows();
  const size_t chunks = (values.size() + kChunk - 1) / kChunk, size = RowSize(parameter);
  std::vector<float> sums(chunks);
  run.ParallelTasks((chunks + kChunksPerTask - 1) / kChunksPerTask, [&](size_t task, size_t) {
    for (size_t i = task * kChunksPerTask; i < std::min(chunks, (task + 1) * kChunksPerTask); ++i) {
      const std::span<const float> part = values.subspan(i * kChunk, std::min(kChunk, values.size() - i * kChunk));
      size_t row = i * kChunk / size;
      const size_t row_end = (i * kChunk + part.size() + size - 1) / size;
      while (row < row_end && !rows.Has(row)) ++row;
      if (row < row_end) sums[i] = kernels::Dot(part.data(), part.data(), part.size());
    }
  });
  double sum = 0;
  for (const float part : sums) sum += static_cast<double>(part);
  return sum;
}

// x to the power of t from multiplications alone, so that it is the same on every machine.
double Power(double x, uint64_t t) {
  double result = 1;
  for (; t > 0; t >>= 1, x *= x)
    if (t & 1) result *= x;
  return result;
}

// As transformers' Trainer: neither biases, a bias by distance among them, nor the parameters of norms decay.
bool Decays(const std::string& name) {
  return name.find("bias") == std::string::npos && name.find("LayerNorm") == std::string::npos && name.find("layer_norm") == std::string::npos;
}

// The number of "bert.encoder.layer.7.output.dense.weight", or nothing.
std::optional<size_t> LayerOf(const std::string& name) {
  constexpr std::string_view kLayer = ".layer.";
  const size_t begin = name.find(kLayer);
  if (begin == std::string::npos) return std::nullopt;
  size_t layer = 0;
  const char* digits = name.data() + begin + kLayer.size();
  const auto [end, error] = std::from_chars(digits, name.data() + name.size(), layer);
  if (error != std::errc()) return std::nullopt;
  return layer;
}

}  // namespace

std::vector<double> LayerRates(const std::vector<std::string>& names, const std::vector<std::string>& head_prefixes, double layer_decay) {
  size_t num_layers = 0;
  for (const std::string& name : names)
    if (const std::optional<size_t> layer = LayerOf(name)) num_layers = std::max(num_layers, *layer + 1);
  std::vector<double> rates;
  for (const std::string& name : names) {
    const bool in_head = StartsWithAny(name, head_prefixes);
    const std::optional<size_t> layer = LayerOf(name);
    rates.push_back(Power(layer_decay, in_head ? 0 : layer ? num_layers - 1 - *layer : num_layers));
  }
  return rates;
}

double LearningRate(double peak, size_t step, size_t num_warmup_steps, size_t num_steps) {
  if (step < num_warmup_steps) return peak * (static_cast<double>(step) / static_cast<double>(num_warmup_steps));
  if (step >= num_steps) return 0;
  return peak * (static_cast<double>(num_steps - step) / static_cast<double>(num_steps - num_warmup_steps));
}

Optimizer::Optimizer(std::deque<Parameter>& parameters, const AdamWOptions& options) : options_(options) {
  std::vector<std::string> names;
  for (const Parameter& parameter : parameters) names.push_back(parameter.name);
  const std::vector<double> rates = LayerRates(names, options.head_prefixes, options.layer_decay);
  for (size_t i = 0; i < parameters.size(); ++i)
    if (Parameter& parameter = parameters[i]; parameter.trainable && parameter.value.num_elements() > 0)
      slots_.emplace_back(parameter, Decays(parameter.name), rates[i]);
}

Optimizer::Slot::Slot(Parameter& parameter, bool decays, double rate)
    : parameter(&parameter), decays(decays), rate(rate), moment1_(Tensor::Zeros(parameter.value.shape())),
      moment2_(Tensor::Zeros(parameter.value.shape())) {}

void Optimizer::Slot::SetMoments(Tensor moment1, Tensor moment2) {
  moment1_ = std::move(moment1);
  moment2_ = std::move(moment2);
  const size_t num_rows = moment1_.dim(0), size = RowSize(*parameter);
  std::vector<int32_t> moving;
  const auto is_zero = [](float x) { return x == 0; };
  for (size_t row = 0; row < num_rows; ++row)
    for (const Tensor* moment : {&moment1_, &moment2_})
      if (const std::span<const float> values = moment->floats().subspan(row * size, size); !std::all_of(values.begin(), values.end(), is_zero))
        moving.push_back(static_cast<int32_t>(row));
  moving_.Clear();
  moving_.Add(moving, num_rows);
}

void Optimizer::ZeroGradients(Run& run) {
  for (Slot& slot : slots_) {
    Gradient& gradient = slot.parameter->gradient;
    if (!gradient.defined()) gradient = Tensor::Zeros(slot.parameter->value.shape());
    gradient.SetToZero([&](float* values, const RowSet& rows) {
      ForEachStretch(run, rows, *slot.parameter, [&](size_t begin, size_t end, bool in_rows) {
        if (in_rows) std::fill(values + begin, values + end, 0.0f);
      });
    });
  }
}

double Optimizer::GradientNorm(Run& run) const {
  double sum = 0;
  for (const Slot& slot : slots_) {
    const double part = SumOfSquares(run, *slot.parameter);
    if (!std::isfinite(part)) {
      const bool finite = !FindNotFinite(slot.parameter->gradient.floats());
      throw Error(ErrorCode::kInvalidInput, fmt::format("the gradient of '{}' is {}", slot.parameter->name, finite ? "too large" : "not finite"));
    }
    sum += part;
  }
  return std::sqrt(sum);
}

std::string Optimizer::LargestGradient(Run& run) const {
  const Slot* largest = nullptr;
  double length = -1;
  for (const Slot& slot : slots_)
    if (const double sum = SumOfSquares(run, *slot.parameter); sum > length) {
      largest = &slot;
      length = sum;
    }
  return largest == nullptr ? "" : largest->parameter->name;
}

void Optimizer::Step(Run& run, double learning_rate, uint64_t t, double gradient_norm) {
  constexpr double kSmallest = 1e-6;  // as torch.nn.utils.clip_grad_norm_
  const double clip = options_.max_grad_norm > 0 ? std::min(1.0, options_.max_grad_norm / (gradient_norm + kSmallest)) : 1.0;
  kernels::AdamWStep step = {.beta1 = static_cast<float>(options_.beta1),
                             .rest1 = static_cast<float>(1 - options_.beta1),
                             .beta2 = static_cast<float>(options_.beta2),
                             .rest2 = static_cast<float>(1 - options_.beta2),
                             .eps = static_cast<float>(options_.eps),
                             .decay = 1,
                             .step_size = 0,
                             .inverse_root_correction = static_cast<float>(1 / std::sqrt(1 - Power(options_.beta2, t))),
                             .gradient_scale = static_cast<float>(clip)};
  for (Slot& slot : slots_) {
    const double rate = learning_rate * slot.rate;
    step.step_size = static_cast<float>(rate / (1 - Power(options_.beta1, t)));
    step.decay = slot.decays ? static_cast<float>(1 - rate * options_.weight_decay) : 1.0f;
    const float* gradient = slot.parameter->gradient.floats().data();
    float *value = slot.parameter->value.mutable_floats().data(), *moment1 = slot.moment1_.mutable_floats().data(),
          *moment2 = slot.moment2_.mutable_floats().data();
    slot.moving_.Add(slot.parameter->gradient.rows());
    // Where gradient and moments are zero, the decay is all that the formula leaves: the same bits.
    ForEachStretch(run, slot.moving_, *slot.parameter, [&](size_t begin, size_t end, bool moves) {
      if (moves)
        kernels::AdamW(step, gradient + begin, value + begin, moment1 + begin, moment2 + begin, end - begin);
      else if (slot.decays)
        kernels::Scale(value + begin, step.decay, value + begin, end - begin);
    });
  }
}

}  // namespace mlac
