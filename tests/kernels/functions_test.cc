// Activations, cross-entropy, dropout: near to double precision, and the same bits on every instruction set.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "base/random.h"
#include "kernels/activation.h"
#include "kernels/cross_entropy.h"
#include "kernels/dropout.h"
#include "kernels/vector_ops.h"
#include "tests/support/numbers.h"

namespace mlac::kernels {
namespace {

using test::ForEachInstructionSet;
using test::RandomFloats;
using test::SameBits;

std::vector<float> Grid() {
  std::vector<float> x;
  for (int i = -20000; i <= 20000; ++i) x.push_back(static_cast<float>(i) * 0.0005f);
  for (const float extreme : {-100.0f, 100.0f, -1e30f, 1e30f, 1e-30f, 0.0f}) x.push_back(extreme);
  return x;
}

double Exact(Activation activation, double x) {
  switch (activation) {
    case Activation::kNone: return x;
    case Activation::kGelu: return x * 0.5 * std::erfc(-x / std::sqrt(2.0));
    case Activation::kGeluTanh: return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case Activation::kRelu: return x > 0 ? x : 0;
    case Activation::kTanh: return std::tanh(x);
  }
  return 0;
}

TEST(Activate, IsNearTheExactFunctionOfEachAndTheSameBitsEverywhere) {
  const std::vector<float> x = Grid();
  for (const Activation activation : {Activation::kGelu, Activation::kGeluTanh, Activation::kRelu, Activation::kTanh}) {
    std::vector<float> first;
    ForEachInstructionSet([&](std::string_view name) {
      std::vector<float> y(x.size());
      Activate(activation, x.data(), y.data(), x.size());
      for (size_t i = 0; i < x.size(); ++i) {
        const double exact = Exact(activation, x[i]);
        ASSERT_NEAR(y[i], exact, 2e-6 * std::max(1.0, std::fabs(exact))) << name << ", x = " << x[i];
      }
      if (first.empty()) first = y;
      EXPECT_TRUE(SameBits(y, first)) << name;
    });
  }
}

// Else the head of a model whose weights overflow would make numbers of it that look like an answer.
TEST(Activate, LetsNotANumberThrough) {
  std::vector<float> x(20, 1.0f);
  x[3] = x[18] = std::nanf("");
  for (const Activation activation : {Activation::kGelu, Activation::kGeluTanh, Activation::kRelu, Activation::kTanh})
    ForEachInstructionSet([&](std::string_view name) {
      std::vector<float> y(x.size()), slope(x.size());
      Activate(activation, x.data(), y.data(), x.size());
      ActivateBackward(activation, x.data(), y.data(), slope.data(), x.size());
      for (size_t i = 0; i < x.size(); ++i) {
        EXPECT_EQ(std::isnan(y[i]), i == 3 || i == 18) << name << ", " << i;
        EXPECT_EQ(std::isnan(slope[i]), i == 3 || i == 18) << name << ", " << i;
      }
    });
}

TEST(ActivateBackward, IsTheSlopeOfTheExactFunction) {
  std::vector<float> x;
  for (int i = -1000; i <= 1000; ++i) x.push_back(static_cast<float>(i) * 0.00713f + 0.0001f);  // no point at the kink of ReLU
  const std::vector<float> gradient(x.size(), 2.0f);
  for (const Activation activation : {Activation::kNone, Activation::kGelu, Activation::kGeluTanh, Activation::kRelu, Activation::kTanh}) {
    std::vector<float> first;
    ForEachInstructionSet([&](std::string_view name) {
      std::vector<float> slope(x.size());
      ActivateBackward(activation, x.data(), gradient.data(), slope.data(), x.size());
      for (size_t i = 0; i < x.size(); ++i) {
        const double step = 1e-5, exact = (Exact(activation, x[i] + step) - Exact(activation, x[i] - step)) / step;
        ASSERT_NEAR(slope[i], exact, 5e-6) << name << ", x = " << x[i];
      }
      if (first.empty()) first = slope;
      EXPECT_TRUE(SameBits(slope, first)) << name;
    });
  }
}

TEST(CrossEntropy, IsNearDoublePrecisionAndItsGradientSumsToZero) {
  for (const size_t classes : {1, 2, 15, 16, 17, 100}) {
    const size_t rows = 5;
    std::vector<float> logits = RandomFloats(rows * classes, classes);
    for (float& x : logits) x *= 20;
    const std::vector<int32_t> labels = {0, static_cast<int32_t>(classes - 1), 0, static_cast<int32_t>(classes / 2), 0};
    const std::vector<float> scales(rows, 0.25f);
    std::vector<float> first;
    ForEachInstructionSet([&](std::string_view name) {
      std::vector<double> losses(rows);
      std::vector<float> gradient(rows * classes);
      CrossEntropy(logits.data(), labels.data(), rows, classes, losses.data(), scales.data(), gradient.data());
      for (size_t r = 0; r < rows; ++r) {
        double sum = 0, total = 0;
        for (size_t j = 0; j < classes; ++j) sum += std::exp(static_cast<double>(logits[r * classes + j]));
        EXPECT_NEAR(losses[r], std::log(sum) - logits[r * classes + static_cast<size_t>(labels[r])], 3e-6) << name;
        for (size_t j = 0; j < classes; ++j) total += gradient[r * classes + j];
        EXPECT_NEAR(total, 0, 1e-6) << name;
      }
      if (first.empty()) first = gradient;
      EXPECT_TRUE(SameBits(gradient, first)) << name;
    });
  }
}

TEST(CrossEntropy, StaysFiniteForLogitsFarApart) {
  const std::vector<float> logits = {1e4f, -1e4f};
  const std::vector<int32_t> labels = {1};
  double loss;
  CrossEntropy(logits.data(), labels.data(), 1, 2, &loss, nullptr, nullptr);
  EXPECT_DOUBLE_EQ(loss, 2e4);
}

TEST(CrossEntropy, ShowsALogitThatIsNotFiniteWhereverItStands) {
  for (const size_t classes : {2, 17, 40})
    for (const float bad : {std::nanf(""), INFINITY})
      for (const size_t place : {size_t{0}, classes / 2, classes - 1})
        for (const size_t label : {size_t{0}, classes - 1})
          ForEachInstructionSet([&](std::string_view name) {
            std::vector<float> logits(classes, 1.0f);
            logits[place] = bad;
            const auto of_row = static_cast<int32_t>(label);
            double loss = 0;
            CrossEntropy(logits.data(), &of_row, 1, classes, &loss, nullptr, nullptr);
            EXPECT_TRUE(std::isnan(loss)) << name << ": " << bad << " at " << place << " of " << classes << ", label " << label << ": " << loss;
          });
}

TEST(VectorOps, GiveTheSameBitsOnEveryInstructionSet) {
  for (const size_t count : {0, 1, 15, 16, 17, 100}) {
    const std::vector<float> x = RandomFloats(count, 1), y = RandomFloats(count, 2);
    std::vector<std::vector<float>> first;
    ForEachInstructionSet([&](std::string_view name) {
      std::vector<float> sum(count), scaled(count), rows = x, p = x, m = y, v(count, 0.5f);
      Add(x.data(), y.data(), sum.data(), count);
      Scale(x.data(), 0.3f, scaled.data(), count);
      AddRows(y.data(), 1, count, rows.data(), 0, count);
      AdamW({.beta1 = 0.9f, .rest1 = 0.1f, .beta2 = 0.999f, .rest2 = 0.001f, .eps = 1e-8f, .decay = 0.99f, .step_size = 0.01f, .inverse_root_correction = 2, .gradient_scale = 0.5f},
            y.data(), p.data(), m.data(), v.data(), count);
      const std::vector<std::vector<float>> found = {sum, scaled, rows, p, m, v, {Dot(x.data(), y.data(), count)}};
      if (first.empty()) first = found;
      for (size_t i = 0; i < found.size(); ++i) EXPECT_TRUE(SameBits(found[i], first[i])) << name << ", result " << i << ", count " << count;
    });
  }
}

TEST(Dropout, DropsTheShareItIsToldAndKeepsTheMean) {
  const size_t count = 100000;
  const std::vector<float> ones(count, 1.0f);
  std::vector<float> out(count);
  Dropout({.seed = 1, .step = 2, .operation = 3, .probability = 0.1f}, 0, 0, ones.data(), out.data(), count);
  size_t dropped = 0;
  double sum = 0;
  for (const float x : out) dropped += x == 0, sum += x;
  EXPECT_NEAR(static_cast<double>(dropped) / count, 0.1, 0.004);
  EXPECT_NEAR(sum / count, 1.0, 0.005);
}

TEST(Dropout, DependsOnRowAndColumnAloneSoPartsGiveTheWhole) {
  const DropoutKey key = {.seed = 9, .step = 1, .operation = 4, .probability = 0.5f};
  const std::vector<float> ones(64, 1.0f);
  std::vector<float> whole(64), parts(64), other(64);
  Dropout(key, 7, 0, ones.data(), whole.data(), 64);
  Dropout(key, 7, 0, ones.data(), parts.data(), 24);
  Dropout(key, 7, 3, ones.data(), parts.data() + 24, 40);
  Dropout(key, 8, 0, ones.data(), other.data(), 64);
  EXPECT_TRUE(SameBits(whole, parts));
  EXPECT_FALSE(SameBits(whole, other));
}

TEST(Dropout, DropsWhatTheGeneratorDecidesOnEveryInstructionSet) {
  const DropoutKey key = {.seed = 0x123456789ABCDEF0, .step = 5, .operation = 6, .probability = 0.3f};
  const auto threshold = static_cast<uint32_t>(0.3f * 65536.0f + 0.5f);
  const float scale = 65536.0f / static_cast<float>(65536 - threshold);
  for (const uint32_t block : {3u, 0xFFFFFFF0u}) {  // the other one's counters pass 2^32
    for (const size_t count : {1, 7, 8, 9, 31, 32, 33, 63, 64, 65, 127, 128, 129, 400}) {
      std::vector<float> in(count), expected(count);
      for (size_t i = 0; i < count; ++i) {
        in[i] = i % 5 == 0 ? std::numeric_limits<float>::quiet_NaN() : -1.5f - static_cast<float>(i);
        const std::array<uint32_t, 4> random = Philox(key.seed, {block + static_cast<uint32_t>(i / 8), 11, 6, 5});
        const uint32_t number = random[i % 8 / 2] >> (16 * (i % 2)) & 0xFFFF;
        expected[i] = number < threshold ? 0.0f : in[i] * scale;  // a zero without a sign, whatever is dropped
      }
      ForEachInstructionSet([&](std::string_view name) {
        std::vector<float> out = in;
        Dropout(key, 11, block, out.data(), out.data(), count);
        for (size_t i = 0; i < count; ++i) EXPECT_EQ(std::bit_cast<uint32_t>(out[i]), std::bit_cast<uint32_t>(expected[i])) << name << ", column " << i << " of " << count;
      });
    }
  }
}

}  // namespace
}  // namespace mlac::kernels
