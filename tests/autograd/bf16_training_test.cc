// Linear layers of training in bf16: what is rounded and what is not, and that parts of a batch and threads change no bit.
#include "autograd/bf16_training.h"

#include <gtest/gtest.h>

#include <cmath>

#include "autograd/recompute.h"
#include "kernels/bf16_pack.h"
#include "kernels/instruction_set.h"
#include "tests/support/numbers.h"

namespace mlac {
namespace {

using kernels::Activation;
using test::RandomFloats;
using test::SameBits;

Tensor RandomTensor(Shape shape, uint64_t seed) { return Tensor::FromValues(shape, RandomFloats(NumElements(shape), seed)); }

Parameter RandomParameter(Shape shape, uint64_t seed) {
  return {"p", RandomTensor(shape, seed), Tensor::Zeros(shape), /*trainable=*/true, {}};
}

std::vector<float> Rounded(std::span<const float> x) {
  std::vector<float> out(x.size());
  kernels::RoundToBf16(x.data(), x.size(), out.data());
  return out;
}

// Output and gradients of a linear layer, computed in parts of these rows.
struct Layer {
  size_t rows, inputs, outputs;
  Parameter weight = RandomParameter({outputs, inputs}, 1), bias = RandomParameter({outputs}, 2);
  Tensor x = RandomTensor({rows, inputs}, 3), gradient = RandomTensor({rows, outputs}, 4);
  std::vector<float> y = {}, gradient_x = {};

  // All that comes out, one behind the other.
  std::vector<float> Compute(const std::vector<size_t>& cuts, size_t num_threads, Activation activation = Activation::kNone,
                             bool recompute = false) {
    ThreadTeam team(num_threads);
    Tape tape;
    mlac::Run run({.team = &team, .tape = &tape, .dtype = DType::kBF16, .recompute = recompute});
    PackedWeight packed;
    y.clear();
    gradient_x.clear();
    for (Parameter* parameter : {&weight, &bias}) parameter->gradient = Tensor::Zeros(parameter->value.shape());
    for (size_t i = 0; i + 1 < cuts.size(); ++i) {
      Tensor part = x.Rows(cuts[i], cuts[i + 1]);
      tape.Record(part,
                  [&](mlac::Run&, const Tensor& of_x) { gradient_x.insert(gradient_x.end(), of_x.floats().begin(), of_x.floats().end()); });
      const Tensor out = Recomputed(run, [&, part](mlac::Run& run) { return LinearForward(run, part, weight, &bias, activation, packed); });
      y.insert(y.end(), out.floats().begin(), out.floats().end());
      tape.Backward(run, out, gradient.Rows(cuts[i], cuts[i + 1]));
    }
    FinishWeightGradient(run, weight);
    std::vector<float> all = y;
    for (const std::span<const float> part : {std::span<const float>(gradient_x), weight.gradient.floats(), bias.gradient.floats()})
      all.insert(all.end(), part.begin(), part.end());
    return all;
  }
};

// Whether each element of found is a sum over k of products a(i, k) b(k, j), of rounded operands, plus start(j), within the rounding errors
// of f32.
template <typename A, typename B, typename Start>
size_t CountOutside(std::span<const float> found, size_t columns, size_t num_k, A a, B b, Start start) {
  size_t outside = 0;
  for (size_t at = 0; at < found.size(); ++at) {
    double sum = start(at % columns), magnitude = std::fabs(sum);
    for (size_t k = 0; k < num_k; ++k) {
      const double product = static_cast<double>(a(at / columns, k)) * b(k, at % columns);
      sum += product;
      magnitude += std::fabs(product);
    }
    outside += !(std::fabs(found[at] - sum) <= static_cast<double>(num_k + 3) * std::ldexp(magnitude, -24));
  }
  return outside;
}

TEST(Bf16Training, MultipliesRoundedOperandsForwardAndBackward) {
  test::ForEachBound([&](std::string_view bound) {
    for (const size_t rows : {1, 2, 33, 128, 129, 300}) {
      Layer layer = {.rows = rows, .inputs = 37, .outputs = 21};
      layer.Compute({0, rows}, 1);
      const std::vector<float> x = Rounded(layer.x.floats()), w = Rounded(layer.weight.value.floats()),
                               g = Rounded(layer.gradient.floats());
      const auto zero = [](size_t) { return 0.0; };
      EXPECT_EQ(CountOutside(
                    layer.y, 21, 37, [&](size_t i, size_t k) { return x[i * 37 + k]; }, [&](size_t k, size_t j) { return w[j * 37 + k]; },
                    [&](size_t j) { return static_cast<double>(layer.bias.value.floats()[j]); }),
                0u)
          << "y, " << bound << ", " << rows << " rows";
      EXPECT_EQ(CountOutside(
                    layer.gradient_x, 37, 21, [&](size_t i, size_t k) { return g[i * 21 + k]; },
                    [&](size_t k, size_t j) { return w[k * 37 + j]; }, zero),
                0u)
          << "dX, " << bound << ", " << rows << " rows";
      EXPECT_EQ(CountOutside(
                    layer.weight.gradient.floats(), 37, rows, [&](size_t i, size_t k) { return g[k * 21 + i]; },
                    [&](size_t k, size_t j) { return x[k * 37 + j]; }, zero),
                0u)
          << "dW, " << bound << ", " << rows << " rows";
      EXPECT_EQ(CountOutside(
                    layer.bias.gradient.floats(), 21, rows, [](size_t, size_t) { return 1.0f; },
                    [&](size_t k, size_t j) { return layer.gradient.floats()[k * 21 + j]; }, zero),
                0u)
          << "of the bias, which is not rounded, " << bound << ", " << rows << " rows";
    }
  });
}

TEST(Bf16Training, GivesTheSameBitsForAnyPartsThreadsAndRecomputing) {
  test::ForEachBound([&](std::string_view bound) {
    for (const Activation activation : {Activation::kNone, Activation::kGelu}) {
      Layer layer = {.rows = 1300, .inputs = 70, .outputs = 100};
      const std::vector<float> expected = layer.Compute({0, 1300}, 1, activation);
      EXPECT_TRUE(SameBits(layer.Compute({0, 1300}, 2, activation), expected)) << bound << ", 2 threads";
      for (const std::vector<size_t>& cuts :
           {std::vector<size_t>{0, 1, 1300}, {0, 127, 128, 129, 1300}, {0, 128, 384, 1300}, {0, 50, 100, 150, 200, 1299, 1300}})
        for (const bool recompute : {false, true})
          EXPECT_TRUE(SameBits(layer.Compute(cuts, cuts.size() % 3 + 1, activation, recompute), expected))
              << bound << ", " << cuts.size() << " cuts";
    }
  });
}

TEST(Bf16Training, OfAFrozenWeightGivesTheBitsOfOneThatLearns) {
  test::ForEachBound([&](std::string_view bound) {
    Layer learns = {.rows = 40, .inputs = 70, .outputs = 100}, frozen = {.rows = 40, .inputs = 70, .outputs = 100};
    learns.Compute({0, 40}, 2);
    frozen.weight.trainable = false;
    frozen.Compute({0, 40}, 2);
    EXPECT_TRUE(SameBits(frozen.y, learns.y)) << bound;
    EXPECT_TRUE(SameBits(frozen.gradient_x, learns.gradient_x)) << bound;
    for (const float gradient : frozen.weight.gradient.floats()) ASSERT_EQ(gradient, 0.0f) << bound;
  });
}

}  // namespace
}  // namespace mlac
