#include "kernels/layer_norm.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/numbers.h"

namespace mlac::kernels {
namespace {

using test::ForEachInstructionSet;
using test::RandomFloats;
using test::SameBits;

TEST(LayerNorm, IsNearDoublePrecisionAndTheSameBitsOnEveryInstructionSet) {
  for (const size_t size : {1, 15, 16, 17, 40, 384})
    for (const size_t rows : {1, 3, 4, 5, 9}) {
      const std::vector<float> x = RandomFloats(rows * size, 1), residual = RandomFloats(rows * size, 2), gamma = RandomFloats(size, 3),
                               beta = RandomFloats(size, 4), gradient = RandomFloats(rows * size, 5);
      std::vector<std::vector<float>> first;
      ForEachInstructionSet([&](std::string_view name) {
        std::vector<float> y(rows * size), sum(rows * size), stats(2 * rows), in_place = x, gradient_x(rows * size), parameters(2 * size);
        LayerNormArguments n = {.x = x.data(), .residual = residual.data(), .gamma = gamma.data(), .beta = beta.data(), .eps = 1e-5f, .size = size,
                                .sum = sum.data(), .stats = stats.data(), .y = y.data()};
        LayerNorm(n, 0, rows);
        LayerNormBackward(sum.data(), stats.data(), gamma.data(), gradient.data(), size, gradient_x.data(), 0, rows);
        LayerNormBackwardParameters(sum.data(), stats.data(), gradient.data(), size, rows, parameters.data(), parameters.data() + size, 0, size);
        n.x = n.y = in_place.data();
        n.sum = n.stats = nullptr;
        LayerNorm(n, 0, rows);
        EXPECT_TRUE(SameBits(in_place, y)) << name << ", size " << size << ", rows " << rows;
        for (size_t r = 0; r < rows; ++r) {
          double mean = 0, variance = 0;
          for (size_t i = 0; i < size; ++i) mean += (static_cast<double>(x[r * size + i]) + residual[r * size + i]) / static_cast<double>(size);
          for (size_t i = 0; i < size; ++i) {
            const double difference = static_cast<double>(x[r * size + i]) + residual[r * size + i] - mean;
            variance += difference * difference / static_cast<double>(size);
          }
          for (size_t i = 0; i < size; ++i) {
            const double value = static_cast<double>(x[r * size + i]) + residual[r * size + i];
            ASSERT_NEAR(y[r * size + i], (value - mean) / std::sqrt(variance + 1e-5) * gamma[i] + beta[i], 3e-6) << name << ", size " << size;
          }
        }
        const std::vector<std::vector<float>> found = {y, gradient_x, parameters};
        if (first.empty()) first = found;
        for (size_t i = 0; i < found.size(); ++i) EXPECT_TRUE(SameBits(found[i], first[i])) << name << ", size " << size << ", rows " << rows;
      });
    }
}

}  // namespace
}  // namespace mlac::kernels
