// Linear layers that attention computes itself, head by head where there are few rows: no bit tells that from layers that were computed before.
#include "autograd/attention.h"

#include <gtest/gtest.h>

#include "autograd/wanted_rows.h"
#include "base/thread_team.h"
#include "kernels/gemm.h"
#include "tests/support/numbers.h"

namespace mlac {
namespace {

using test::RandomFloats;

Tensor RandomTensor(Shape shape, uint64_t seed) { return Tensor::FromValues(shape, RandomFloats(NumElements(shape), seed)); }

struct Layer {
  Layer(size_t size, size_t inputs, bool int8, uint64_t seed) {
    weight = {"weight", RandomTensor({size, inputs}, seed), {}, false, {}};
    bias = {"bias", RandomTensor({size}, seed + 1), {}, false, {}};
    if (!int8) return;
    weight.value = Tensor::Zeros({size, inputs}, DType::kI8);
    for (size_t i = 0; i < size * inputs; ++i) weight.value.mutable_bytes()[i] = static_cast<std::byte>((i + seed) * 31);
    weight.scale = RandomTensor({size}, seed + 2);
  }
  AttentionInput Pending(const Tensor& x) { return {x, weight, &bias, packed}; }
  Tensor Rows(mlac::Run& run, const Tensor& x) {
    return LinearForward(run, x, weight, &bias, kernels::Activation::kNone, packed, Reader::kAttention);
  }
  Parameter weight, bias;
  PackedWeight packed;
};

std::string BytesOf(const Tensor& x) { return {reinterpret_cast<const char*>(x.data()), x.num_bytes()}; }

struct Case {
  size_t num_heads, head_dim;
  Offsets offsets;
  TokenRows wanted;  // null: all
};

const TokenRows kFirstAndLast = std::make_shared<const std::vector<size_t>>(std::vector<size_t>{0, 8});

TEST(AttentionInput, GivesTheBitsOfLayersThatWereComputedBefore) {
  constexpr size_t kInputs = 33;
  const std::vector<Case> cases = {
      {12, 32, {0, 8}, nullptr}, {12, 32, {0, 1, 9}, kFirstAndLast}, {4, 8, {0, 9, 9 + 31}, nullptr}, {3, 64, {0, 9}, kFirstAndLast},
      {5, 16, {0, 20}, nullptr}, {2, 12, {0, 9}, nullptr},           {2, 12, {0, 9}, kFirstAndLast},  {1, 32, {0, 63}, nullptr}, {2, 128, {0, 44, 70}, nullptr},
  };
  test::ForEachBound([&](std::string_view bound) {
    for (const std::string kind : {"f32", "bf16", "int8"})
      for (const size_t num_threads : {2, 3}) {
        ThreadTeam team(num_threads);
        mlac::Run run({.team = &team, .dtype = kind == "bf16" ? DType::kBF16 : DType::kF32});
        for (const Case& each : cases) {
          const size_t size = each.num_heads * each.head_dim;
          Layer query(size, kInputs, kind == "int8", 10), key(size, kInputs, kind == "int8", 20), value(size, kInputs, kind == "int8", 30);
          if (!PreparesLinear(run, query.weight)) continue;
          const Tensor x = RandomTensor({each.offsets.back(), kInputs}, 1);
          const Tensor bias = RandomTensor({each.num_heads, 2 * 80 - 1}, 2);
          for (const Tensor* position_bias : {static_cast<const Tensor*>(nullptr), &bias})
            for (int use = 0; use < 2; ++use) {  // the first one packs no weight
              const Tensor keys = key.Rows(run, x), values = value.Rows(run, x);
              Layer fresh_query(size, kInputs, kind == "int8", 10), fresh_key(size, kInputs, kind == "int8", 20);
              Layer& asked = use == 0 ? fresh_query : query;
              Layer& held = use == 0 ? fresh_key : key;
              const WantedRows rows(run, x, each.wanted);
              const Tensor expected = AttentionForward(run, query.Rows(run, rows.x()), keys, values, each.offsets, each.num_heads, 0, position_bias);
              const Tensor found = AttentionForward(run, asked.Pending(rows.x()), held.Pending(x), value.Pending(x), each.offsets, each.num_heads, 0,
                                                    position_bias);
              const Tensor mixed = AttentionForward(run, asked.Pending(rows.x()), keys, value.Pending(x), each.offsets, each.num_heads, 0, position_bias);
              ASSERT_EQ(found.dtype(), expected.dtype());
              EXPECT_EQ(BytesOf(found), BytesOf(expected)) << bound << ", " << kind << ", " << num_threads << " threads, heads of " << each.head_dim;
              EXPECT_EQ(BytesOf(mixed), BytesOf(expected)) << bound << ", " << kind << ", " << num_threads << " threads, heads of " << each.head_dim;
            }
        }
      }
  });
}

// Which of them go head by head: parts of the product hold whole heads and are shared out evenly, and rows are few.
TEST(HeadsAtOnce, AreThoseOfAPartOfTheProductWhereTheyKeepAllThreadsBusy) {
  const auto heads_at_once = [](size_t num_threads, DType dtype, size_t num_heads, size_t head_dim, size_t rows, bool int8 = false) {
    ThreadTeam team(num_threads);
    const mlac::Run run({.team = &team, .dtype = dtype});
    Layer layer(num_heads * head_dim, 8, int8, 10);
    const AttentionInput input = layer.Pending(RandomTensor({rows, 8}, 1));
    return HeadsAtOnce(run, input, input, input, num_heads);
  };
  EXPECT_EQ(heads_at_once(2, DType::kF32, 12, 32, 8, /*int8=*/true), 2u);  // parts of 64 columns: MiniLM
  EXPECT_EQ(heads_at_once(2, DType::kF32, 12, 64, 8, /*int8=*/true), 1u);
  EXPECT_EQ(heads_at_once(2, DType::kF32, 12, 128, 8, /*int8=*/true), 1u);
  EXPECT_EQ(heads_at_once(2, DType::kF32, 12, 48, 8, /*int8=*/true), 0u);  // no part has whole heads
  EXPECT_EQ(heads_at_once(2, DType::kF32, 12, 32, 64, /*int8=*/true), 0u);  // rows enough for each thread
  EXPECT_EQ(heads_at_once(1, DType::kF32, 12, 32, 8, /*int8=*/true), 0u);
  EXPECT_EQ(heads_at_once(4, DType::kF32, 12, 32, 8, /*int8=*/true), 0u);  // six parts for four threads
  EXPECT_EQ(heads_at_once(6, DType::kF32, 12, 32, 8, /*int8=*/true), 2u);
  test::ForEachInstructionSet([&](std::string_view name) {
    const size_t heads = kernels::PanelWidth() / 8;
    EXPECT_EQ(heads_at_once(2, DType::kF32, 4 * heads, 8, 8), heads) << name;
    EXPECT_EQ(heads_at_once(3, DType::kF32, 4 * heads, 8, 8), 0u) << name;
  });
}

// A base in f32 with one layer in int8: the heads of such are not computed together.
TEST(AttentionInput, TakesLayersOfDifferentTypes) {
  ThreadTeam team(2);
  mlac::Run run({.team = &team});
  Layer query(96, 40, false, 10), key(96, 40, true, 20), value(96, 40, false, 30);
  const Tensor x = RandomTensor({9, 40}, 1);
  const Tensor expected = AttentionForward(run, query.Rows(run, x), key.Rows(run, x), value.Rows(run, x), {0, 9}, 3, 0);
  EXPECT_EQ(BytesOf(AttentionForward(run, query.Pending(x), key.Pending(x), value.Pending(x), {0, 9}, 3, 0)), BytesOf(expected));
}

}  // namespace
}  // namespace mlac
