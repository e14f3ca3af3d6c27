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

constexpr size_t kLengths[] = {1, 2, 15, 16, 17, 31, 33, 64, 70, 130}, kHeadDims[] = {1, 8, 15, 24, 32, 48, 64, 80};

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
    const auto last = static_cast<uint32_t>(n - 1), middle = static_cast<uint32_t>(n / 2);
    for (const std::vector<uint32_t>& positions : {std::vector<uint32_t>{0}, {last}, {0, middle, last}}) {
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

// Whatever the scores, probabilities are none below 0 and sum to 1, but for their rounding: of values that are all 1 they make 1.
TEST(Bf16Attention, WeighsValuesByProbabilitiesForScoresOfEachSize) {
  for (const int exponent : {-140, -50, -10, 0, 2, 5, 10, 15, 20, 40, 60}) {
    Head head(70, 32, std::ldexp(1.0f, exponent));
    std::fill(head.v.begin(), head.v.end(), Bf16{0x3f80});
    ForEachBound([&](std::string_view bound) {
      for (const float x : head.Compute()) ASSERT_NEAR(x, 1.0f, 4e-3) << bound << ", 2^" << exponent;
    });
  }
}

TEST(Bf16Attention, KeepsWhatIsNoNumber) {
  const size_t element = (3 * 4 + 1) * 32 + 5;  // column 5 of token 4
  for (const Bf16 bad : {Bf16{0x7fc0}, Bf16{0x7f80}, Bf16{0xff80}}) {
    Head of_query(20, 32), of_key = of_query, of_value = of_query;
    of_query.q[element] = of_key.k[element] = of_value.v[element] = bad;
    const bool nan = bad == 0x7fc0;
    ForEachBound([&](std::string_view bound) {
      const std::vector<float> query = of_query.Compute(), key = of_key.Compute(), value = of_value.Compute();
      for (size_t i = 0; i < 20; ++i)
        for (size_t c = 0; c < 32; ++c) {
          EXPECT_EQ(std::isnan(query[i * 32 + c]), i == 4) << bound;  // of infinite scores, too
          if (nan) {
            EXPECT_TRUE(std::isnan(key[i * 32 + c])) << bound;
          }
          EXPECT_EQ(std::isfinite(value[i * 32 + c]), c != 5) << bound;
        }
    });
  }
}

// Heads side by side run interleaved on AMX: each has the bits that it has alone.
TEST(Bf16Attention, OfSeveralHeadsHasTheBitsOfEachAlone) {
  const size_t d = 24;
  for (const size_t heads : {1, 2, 3, 5})
    for (const size_t n : {1, 16, 32, 33, 70, 130}) {
      const auto operands = [&](uint64_t seed) { return UpperHalves(RandomFloats(n * heads * d, seed)); };
      const std::vector<Bf16> q = operands(1), k = operands(2), v = operands(3);
      const std::vector<float> biases = RandomFloats(heads * (2 * n + 3), 4);
      Bf16AttentionArguments all = {.q = q.data(), .k = k.data(), .v = v.data(), .stride = heads * d, .num_heads = heads, .num_tokens = n, .head_dim = d,
                                    .scale = 0.4f, .position_bias = biases.data() + (n - 1), .position_bias_stride = 2 * n + 3};
      all.out_stride = heads * d + 8;
      ForEachBound([&](std::string_view bound) {
        test::AlignedBytes memory(Bf16AttentionScratchSize(n, d) * sizeof(float));
        float* scratch = reinterpret_cast<float*>(memory.data());
        std::vector<float> together(n * all.out_stride), apart(together.size());
        std::vector<Bf16> together_bf16(together.size()), apart_bf16(together.size());
        for (const bool rounded : {false, true}) {
          all.out = rounded ? nullptr : together.data();
          all.out_bf16 = rounded ? together_bf16.data() : nullptr;
          Bf16Attention(all, scratch);
          for (size_t head = 0; head < heads; ++head) {
            Bf16AttentionArguments one = all;
            one.num_heads = 1;
            one.q += head * d, one.k += head * d, one.v += head * d, one.position_bias += head * one.position_bias_stride;
            one.out = rounded ? nullptr : apart.data() + head * d;
            one.out_bf16 = rounded ? apart_bf16.data() + head * d : nullptr;
            Bf16Attention(one, scratch);
          }
        }
        EXPECT_TRUE(SameBits(together, apart)) << bound << ", " << heads << " heads, n = " << n;
        EXPECT_EQ(together_bf16, apart_bf16) << bound << ", " << heads << " heads, n = " << n;
      });
    }
}

TEST(Bf16Attention, WithoutQueriesWritesNothing) {
  Head head(20, 32);
  const uint32_t none = 0;
  ForEachBound([&](std::string_view bound) {
    Bf16AttentionArguments t = head.Arguments();
    t.query_positions = &none;
    std::vector<float> out(32, 7.0f);
    t.out = out.data();
    t.out_stride = 32;
    test::AlignedBytes scratch(Bf16AttentionScratchSize(20, 32) * sizeof(float));
    Bf16Attention(t, reinterpret_cast<float*>(scratch.data()));
    EXPECT_EQ(out, std::vector<float>(32, 7.0f)) << bound;
  });
}

}  // namespace
}  // namespace mlac::kernels
