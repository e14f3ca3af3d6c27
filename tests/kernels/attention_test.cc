#include "kernels/attention.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/numbers.h"

namespace mlac::kernels {
namespace {

using test::ForEachInstructionSet;
using test::RandomFloats;
using test::SameBits;

std::vector<double> ExactAttention(const std::vector<float>& q, const std::vector<float>& k, const std::vector<float>& v, size_t n, size_t d, double scale) {
  std::vector<double> out(n * d);
  for (size_t i = 0; i < n; ++i) {
    std::vector<double> scores(n);
    double maximum = -1e300, sum = 0;
    for (size_t j = 0; j < n; ++j) {
      for (size_t c = 0; c < d; ++c) scores[j] += static_cast<double>(q[i * d + c]) * k[j * d + c];
      maximum = std::max(maximum, scores[j] *= scale);
    }
    for (double& score : scores) sum += score = std::exp(score - maximum);
    for (size_t j = 0; j < n; ++j)
      for (size_t c = 0; c < d; ++c) out[i * d + c] += scores[j] / sum * v[j * d + c];
  }
  return out;
}

TEST(Attention, IsNearDoublePrecisionAndTheSameBitsOnEveryInstructionSet) {
  for (const size_t n : {1, 2, 15, 16, 17, 33, 70})
    for (const size_t d : {8, 16, 24, 32, 64}) {
      const std::vector<float> q = RandomFloats(n * d, 1), k = RandomFloats(n * d, 2), v = RandomFloats(n * d, 3);
      const AttentionArguments t = {.q = q.data(), .k = k.data(), .v = v.data(), .stride = d, .num_tokens = n, .head_dim = d, .scale = 0.5f};
      const std::vector<double> exact = ExactAttention(q, k, v, n, d, 0.5);
      std::vector<float> first;
      ForEachInstructionSet([&](std::string_view name) {
        std::vector<float> out(n * d), parts(n * d), scratch(AttentionScratchSize(n, d));
        Attention(t, 0, n, out.data(), d, scratch.data());
        for (size_t i = 0; i < out.size(); ++i) ASSERT_NEAR(out[i], exact[i], 2e-6) << name << ", n = " << n << ", d = " << d;
        Attention(t, 0, n / 2, parts.data(), d, scratch.data());
        Attention(t, n / 2, n, parts.data(), d, scratch.data());
        EXPECT_TRUE(SameBits(parts, out)) << name << ", n = " << n;
        if (first.empty()) first = out;
        EXPECT_TRUE(SameBits(out, first)) << name << ", n = " << n << ", d = " << d;
      });
    }
}

TEST(Attention, AddsTheBiasOfEachDistance) {
  for (const size_t n : {1, 2, 17, 33}) {
    const size_t d = 16;
    const std::vector<float> q = RandomFloats(n * d, 1), k = RandomFloats(n * d, 2), v = RandomFloats(n * d, 3), biases = RandomFloats(2 * n - 1, 4);
    const AttentionArguments t = {.q = q.data(), .k = k.data(), .v = v.data(), .stride = d, .num_tokens = n, .head_dim = d, .scale = 0.5f,
                                  .position_bias = biases.data() + (n - 1)};
    std::vector<double> exact(n * d);
    for (size_t i = 0; i < n; ++i) {
      std::vector<double> weights(n);
      double sum = 0;
      for (size_t j = 0; j < n; ++j) {
        double score = 0;
        for (size_t c = 0; c < d; ++c) score += static_cast<double>(q[i * d + c]) * k[j * d + c];
        sum += weights[j] = std::exp(score * 0.5 + biases[n - 1 + j - i]);
      }
      for (size_t j = 0; j < n; ++j)
        for (size_t c = 0; c < d; ++c) exact[i * d + c] += weights[j] / sum * v[j * d + c];
    }
    std::vector<float> first;
    ForEachInstructionSet([&](std::string_view name) {
      std::vector<float> out(n * d), scratch(AttentionScratchSize(n, d));
      Attention(t, 0, n, out.data(), d, scratch.data());
      for (size_t i = 0; i < out.size(); ++i) ASSERT_NEAR(out[i], exact[i], 2e-6) << name << ", n = " << n;
      if (first.empty()) first = out;
      EXPECT_TRUE(SameBits(out, first)) << name << ", n = " << n;
    });
  }
}

TEST(AttentionBackward, GivesTheSameBitsOnEveryInstructionSet) {
  for (const size_t n : {1, 16, 21, 40})
    for (const size_t d : {8, 32}) {
      const std::vector<float> biases = RandomFloats(2 * n - 1, 6);
      const std::vector<float> q = RandomFloats(n * d, 1), k = RandomFloats(n * d, 2), v = RandomFloats(n * d, 3), g = RandomFloats(n * d, 4);
      const DropoutKey key = {.seed = 5, .step = 1, .operation = 2, .probability = 0.2f};
      const AttentionArguments t = {.q = q.data(), .k = k.data(), .v = v.data(), .stride = d, .num_tokens = n, .head_dim = d, .scale = 0.3f,
                                    .dropout = &key, .dropout_row = 3, .dropout_block = 1, .position_bias = biases.data() + (n - 1)};
      std::vector<float> first;
      ForEachInstructionSet([&](std::string_view name) {
        std::vector<float> out(3 * n * d + 2 * n - 1), scratch(AttentionBackwardScratchSize(n, d));
        AttentionBackward(t, g.data(), d, out.data(), out.data() + n * d, out.data() + 2 * n * d, out.data() + 3 * n * d + n - 1, scratch.data());
        if (first.empty()) first = out;
        EXPECT_TRUE(SameBits(out, first)) << name << ", n = " << n << ", d = " << d;
      });
    }
}

// Some queries against all keys: the rows of the whole; backward, what all queries give when the gradients of the others are 0.
TEST(Attention, OfSomeQueriesHasTheBitsOfAll) {
  for (const size_t n : {1, 2, 21, 40}) {
    const size_t d = 24;
    const std::vector<float> biases = RandomFloats(2 * n - 1, 6);
    const std::vector<float> q = RandomFloats(n * d, 1), k = RandomFloats(n * d, 2), v = RandomFloats(n * d, 3), g = RandomFloats(n * d, 4);
    const DropoutKey key = {.seed = 5, .step = 1, .operation = 2, .probability = 0.2f};
    const AttentionArguments all = {.q = q.data(), .k = k.data(), .v = v.data(), .stride = d, .num_tokens = n, .head_dim = d, .scale = 0.3f,
                                    .dropout = &key, .dropout_row = 3, .dropout_block = 1, .position_bias = biases.data() + (n - 1)};
    for (const std::vector<uint32_t>& positions : {std::vector<uint32_t>{0}, {static_cast<uint32_t>(n - 1)}, {0, static_cast<uint32_t>(n / 2), static_cast<uint32_t>(n - 1)}, {}}) {
      if (positions.size() > n) continue;
      const size_t m = positions.size();
      const auto rows_of = [&](const std::vector<float>& x) {
        std::vector<float> rows;
        for (const uint32_t i : positions) rows.insert(rows.end(), x.begin() + i * d, x.begin() + (i + 1) * d);
        return rows;
      };
      const std::vector<float> some_q = rows_of(q), some_g = rows_of(g);
      std::vector<float> g_of_all(n * d);
      for (const uint32_t i : positions) std::copy_n(g.begin() + i * d, d, g_of_all.begin() + i * d);
      const uint32_t none = 0;
      AttentionArguments some = all;
      some.q = some_q.data();
      some.query_positions = positions.empty() ? &none : positions.data();
      some.num_queries = m;
      ForEachInstructionSet([&](std::string_view name) {
        std::vector<float> out(n * d), some_out(m * d), scratch(std::max(AttentionScratchSize(n, d), AttentionBackwardScratchSize(n, d)));
        Attention(all, 0, n, out.data(), d, scratch.data());
        Attention(some, 0, m, some_out.data(), d, scratch.data());
        EXPECT_TRUE(SameBits(some_out, rows_of(out))) << name << ", n = " << n << ", " << m << " queries";
        std::vector<float> gq(n * d), gk(n * d), gv(n * d), gb(2 * n - 1), some_gq(m * d), some_gk(n * d, 1.0f), some_gv(n * d, 1.0f), some_gb(2 * n - 1);
        AttentionBackward(all, g_of_all.data(), d, gq.data(), gk.data(), gv.data(), gb.data() + n - 1, scratch.data());
        AttentionBackward(some, some_g.data(), d, some_gq.data(), some_gk.data(), some_gv.data(), some_gb.data() + n - 1, scratch.data());
        EXPECT_TRUE(SameBits(some_gq, rows_of(gq))) << name << ", n = " << n << ", " << m << " queries";
        EXPECT_TRUE(SameBits(some_gk, gk) && SameBits(some_gv, gv) && SameBits(some_gb, gb)) << name << ", n = " << n << ", " << m << " queries";
      });
    }
  }
}

}  // namespace
}  // namespace mlac::kernels
