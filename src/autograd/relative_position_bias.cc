#include "autograd/relative_position_bias.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <vector>

#include "autograd/embedding.h"
#include "base/error.h"

namespace mlac {
namespace {

// Of all distances from -(span - 1) to span - 1.
std::vector<size_t> Buckets(size_t span, size_t num_buckets, size_t max_distance) {
  std::vector<size_t> buckets;
  for (ptrdiff_t distance = 1 - static_cast<ptrdiff_t>(span); distance < static_cast<ptrdiff_t>(span); ++distance)
    buckets.push_back(RelativePositionBucket(distance, num_buckets, max_distance));
  return buckets;
}

}  // namespace

size_t RelativePositionBucket(ptrdiff_t distance, size_t num_buckets, size_t max_distance) {
  const size_t half = num_buckets / 2, num_exact = half / 2, length = static_cast<size_t>(distance < 0 ? -distance : distance);
  const size_t first = distance > 0 ? half : 0;
  if (length < num_exact) return first + length;
  // Bounds between buckets are irrational or whole; the summand keeps the whole ones where they belong whatever the logarithm's last bit is.
  const double steps = std::log(static_cast<double>(length) / static_cast<double>(num_exact)) /
                       std::log(static_cast<double>(max_distance) / static_cast<double>(num_exact)) * static_cast<double>(half - num_exact);
  return first + std::min(half - 1, num_exact + static_cast<size_t>(steps + 1e-5));
}

Tensor RelativePositionBias(Run& run, Parameter& weight, size_t span, size_t max_distance) {
  assert(span > 0);
  const size_t num_buckets = weight.value.dim(0), num_heads = weight.value.dim(1), width = 2 * span - 1;
  const bool int8 = weight.value.dtype() == DType::kI8;
  if (int8 && run.training()) throw Error(ErrorCode::kUnsupported, fmt::format("'{}' is int8, which cannot be trained", weight.name));
  const Tensor table = int8 ? Dequantized(weight.value, weight.scale) : weight.value;
  std::vector<size_t> buckets = Buckets(span, num_buckets, max_distance);
  Tensor bias = run.NewTensor({num_heads, width});
  for (size_t head = 0; head < num_heads; ++head)
    for (size_t i = 0; i < width; ++i) bias.mutable_floats()[head * width + i] = table.floats()[buckets[i] * num_heads + head];
  if (run.tape() != nullptr && weight.trainable)
    run.tape()->Record(bias, [&weight, buckets = std::move(buckets)](Run&, const Tensor& gradient) {
      const size_t sequences = gradient.dim(0), num_heads = gradient.dim(1), width = gradient.dim(2);
      const std::span<float> sums = weight.gradient.mutable_floats();
      for (size_t s = 0; s < sequences; ++s)
        for (size_t head = 0; head < num_heads; ++head)
          for (size_t i = 0; i < width; ++i) sums[buckets[i] * num_heads + head] += gradient.floats()[(s * num_heads + head) * width + i];
    });
  return bias;
}

}  // namespace mlac
