#include "train/optimizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "base/find_not_finite.h"
#include "kernels/vector_ops.h"
#include "nn/weights.h"

namespace mlac {
namespace {

constexpr size_t kChunk = 4096;  // elements that one f32 sum covers; beyond, chunks add up in double

// The sum of squares: chunks in 16 lanes of f32, which add up in double, in order.
double SumOfSquares(Run& run, std::span<const float> values) {
  const size_t chunks = (values.size() + kChunk - 1) / kChunk;
  std::vector<float> sums(chunks);
  run.ParallelFor(chunks, 1, [&](size_t begin, size_t end, size_t) {
    for (size_t i = begin; i < end; ++i) {
      const std::span<const float> part = values.subspan(i * kChunk, std::min(kChunk, values.size() - i * kChunk));
      sums[i] = kernels::Dot(part.data(), part.data(), part.size());
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
    if (Parameter& parameter = parameters[i]; parameter.trainable)
      slots_.push_back({&parameter, Decays(parameter.name), rates[i], Tensor::Zeros(parameter.value.shape()), Tensor::Zeros(parameter.value.shape())});
}

void Optimizer::ZeroGradients(Run& run) {
  for (Slot& slot : slots_) {
    Tensor& gradient = slot.parameter->gradient;
    if (!gradient.defined()) {
      gradient = Tensor::Zeros(slot.parameter->value.shape());
      continue;
    }
    float* values = gradient.mutable_floats().data();
    run.ParallelFor(gradient.num_elements(), kChunk, [&](size_t begin, size_t end, size_t) { std::fill(values + begin, values + end, 0.0f); });
  }
}

double Optimizer::GradientNorm(Run& run) const {
  double sum = 0;
  for (const Slot& slot : slots_) {
    const double part = SumOfSquares(run, slot.parameter->gradient.floats());
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
    if (const double sum = SumOfSquares(run, slot.parameter->gradient.floats()); sum > length) {
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
    float *value = slot.parameter->value.mutable_floats().data(), *moment1 = slot.moment1.mutable_floats().data(),
          *moment2 = slot.moment2.mutable_floats().data();
    run.ParallelFor(slot.moment1.num_elements(), kChunk, [&](size_t begin, size_t end, size_t) {
      kernels::AdamW(step, gradient + begin, value + begin, moment1 + begin, moment2 + begin, end - begin);
    });
  }
}

}  // namespace mlac
