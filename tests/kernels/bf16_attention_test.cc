#include "kernels/bf16_attention.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "tests/support/numbers.h"

namespace mlac::kernels {
namespace {

using test::ForEachBound;
using test::RandomFloats;
using test::SameBits;

std::vector<Bf16> UpperHalves(const std::vector<float>& x) {
  std::vector<Bf16> out;
  for (const float value : x) out.push_back(static_cast<Bf16>(std::bit_cast<uint32_t>(value) >> 16));
  return out;
}
float Widened(Bf16 x) { return std::bit_cast<float>(static_cast<uint32_t>(x) << 16); }

// One head in the middle of rows of three.
struct Head {
  size_t n, d;
  std::vector<Bf16> q, k, v;
  std::vector<float> biases;
  std::vector<uint32_t> positions;

  Head(size_t num_tokens, size_t head_dim, float factor = 1.0f) : n(num_tokens), d(head_dim) {
    const auto values = [&](uint64_t seed) {
      std::vector<float> x = RandomFloats(3 * n * d, seed);
      for (float& each : x) each *= factor;
      return UpperHalves(x);
    };
    q = values(1), k = values(2), v = values(3);
  }
  Bf16AttentionArguments Arguments() const {
    Bf16AttentionArguments t = {.q = q.data() + d, .k = k.data() + d, .v = v.data() + d, .stride = 3 * d, .num_tokens = n, .head_dim = d, .scale = 0.4f};
    if (!biases.empty()) t.position_bias = biases.data() + (n - 1);
    if (!positions.empty()) t.query_positions = positions.data(), t.num_queries = positions.size();
    return t;
  }
  std::vector<float> Compute() const {
    Bf16AttentionArguments t = Arguments();
    std::vector<float> out((positions.empty() ? n : positions.size()) * d);
    t.out = out.data();
    t.out_stride = d;
    test::AlignedBytes scratch(Bf16AttentionScratchSize(n, d) * sizeof(float));
    std::fill_n(scratch.data(), Bf16AttentionScratchSize(n, d) * sizeof(float), std::byte{0xff});  // NaN, to see what is read unwritten
    Bf16Attention(t, reinterpret_cast<float*>(scratch.data()));
    return out;
  }
  std::vector<double> Exact() const {
    std::vector<double> out(n * d);
    const auto at = [&](const std::vector<Bf16>& x, size_t i, size_t c) { return static_cast<double>(Widened(x[(3 * i + 1) * d + c])); };
    for (size_t i = 0; i < n; ++i) {
      std::vector<double> weights(n);
      double maximum = -1e300, sum = 0;
      for (size_t j = 0; j < n; ++j) {
        for (size_t c = 0; c < d; ++c) weights[j] += at(q, i, c) * at(k, j, c);
        weights[j] = weights[j] * 0.4 + (biases.empty() ? 0 : biases[n - 1 + j - i]);
        maximum = std::max(maximum, weights[j]);
      }
      for (double& weight : weights) sum += weight = std::exp(weight - maximum);
      for (size_t j = 0; j < n; ++j)
        for (size_t c = 0; c < d; ++c) out[i * d + c] += weights[j] / sum * at(v, j, c);
    }
    return out;
  }
};

void ExpectTheSameBitsEverywhere(const Head& head) {
  std::vector<float> first;
  ForEachBound([&](std::string_view bound) {
    const std::vector<float> out = head.Compute();
    if (first.empty()) first = out;
    EXPECT_TRUE(SameBits(out, first)) << bound << ", n = " << head.n << ", d = " << head.d;
  });
}

constexpr size_t kLengths[] = {1, 2, 15, 16, 17, 31, 33, 64, 70, 130}, kHeadDims[] = {8, 15, 24, 32, 48, 64, 80};

TEST(Bf16Attention, IsNearDoublePrecisionAndTheSameBitsOnEveryInstructionSet) {
  for (const size_t n : kLengths)
    for (const size_t d : kHeadDims) {
      const Head head(n, d);
      const std::vector<double> exact = head.Exact();
      const std::vector<float> out = head.Compute();
      for (size_t i = 0; i < out.size(); ++i) ASSERT_NEAR(out[i], exact[i], 3e-3) << "n = " << n << ", d = " << d;
      ExpectTheSameBitsEverywhere(head);
    }
}

TEST(Bf16Attention, AddsTheBiasOfEachDistance) {
  for (const size_t n : kLengths) {
    Head head(n, 32);
    head.biases = RandomFloats(2 * n - 1, 4);
    const std::vector<double> exact = head.Exact();
    const std::vector<float> out = head.Compute();
    for (size_t i = 0; i < out.size(); ++i) ASSERT_NEAR(out[i], exact[i], 3e-3) << "n = " << n;
    ExpectTheSameBitsEverywhere(head);
  }
}

TEST(Bf16Attention, OfSomeQueriesHasTheBitsOfAll) {
  for (const size_t n : kLengths) {
    Head all(n, 24);
    all.biases = RandomFloats(2 * n - 1, 4);
    for (const std::vector<uint32_t>& positions : {std::vector<uint32_t>{0}, {static_cast<uint32_t>(n - 1)}, {0, static_cast<uint32_t>(n / 2), static_cast<uint32_t>(n - 1)}}) {
      if (positions.size() > n) continue;
      Head some = all;
      some.positions = positions;
      for (size_t r = 0; r < positions.size(); ++r) std::copy_n(all.q.begin() + positions[r] * 3 * all.d, 3 * all.d, some.q.begin() + r * 3 * all.d);
      ForEachBound([&](std::string_view bound) {
        const std::vector<float> out = all.Compute(), part = some.Compute();
        for (size_t r = 0; r < positions.size(); ++r)
          EXPECT_TRUE(SameBits(std::span(part).subspan(r * all.d, all.d), std::span(out).subspan(positions[r] * all.d, all.d))) << bound << ", n = " << n;
      });
    }
  }
}

TEST(Bf16Attention, RoundsItsOutputWhereThatIsAskedFor) {
  for (const size_t d : kHeadDims) {
    const Head head(33, d);
    ForEachBound([&](std::string_view bound) {
      const std::vector<float> out = head.Compute();
      Bf16AttentionArguments t = head.Arguments();
      std::vector<Bf16> rounded(33 * (d + 5), Bf16{7});
      t.out_bf16 = rounded.data();
      t.out_stride = d + 5;
      test::AlignedBytes scratch(Bf16AttentionScratchSize(33, d) * sizeof(float));
      Bf16Attention(t, reinterpret_cast<float*>(scratch.data()));
      for (size_t i = 0; i < 33; ++i) {
        for (size_t c = 0; c < d; ++c) {
          const float x = out[i * d + c];
          ASSERT_NEAR(Widened(rounded[i * (d + 5) + c]), x, std::fabs(x) / 256) << bound << ", d = " << d;
        }
        for (size_t c = d; c < d + 5; ++c) ASSERT_EQ(rounded[i * (d + 5) + c], 7) << bound << ", d = " << d;  // not its columns
      }
    });
  }
}

// Where units differ in how they treat denormals, and where softmax is a choice: operands from 2^-140 to 2^20 side by side.
TEST(Bf16Attention, GivesTheSameBitsForOperandsOfEachSize) {
  for (const int exponent : {-140, -126, -100, -60, -50, -49, -30, -10, 5, 20}) ExpectTheSameBitsEverywhere(Head(40, 32, std::ldexp(1.0f, exponent)));
  Head mixed(70, 48);
  const auto scatter = [](std::vector<Bf16>& x, uint32_t seed) {
    for (Bf16& each : x) {
      seed = seed * 1664525 + 1013904223;
      each = static_cast<Bf16>((seed >> 16 & 0x8000) | (seed >> 20) % (130 << 7));  // of each exponent below 2^3, denormals too
    }
  };
  scatter(mixed.q, 1), scatter(mixed.k, 2), scatter(mixed.v, 3);
  ExpectTheSameBitsEverywhere(mixed);
  const Bf16 negative_zero = 0x8000;
  std::fill(mixed.k.begin(), mixed.k.end(), negative_zero);
  ExpectTheSameBitsEverywhere(mixed);
}

TEST(Bf16Attention, KeepsWhatIsNoNumber) {
  const Bf16 not_a_number = 0x7fc0;
  Head head(20, 32);
  head.q[(3 * 4 + 1) * 32 + 5] = not_a_number;  // query 4
  ForEachBound([&](std::string_view bound) {
    const std::vector<float> out = head.Compute();
    for (size_t i = 0; i < 20; ++i)
      for (size_t c = 0; c < 32; ++c) EXPECT_EQ(std::isnan(out[i * 32 + c]), i == 4) << bound;
  });
}

}  // namespace
}  // namespace mlac::kernels
