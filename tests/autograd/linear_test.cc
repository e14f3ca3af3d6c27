// A weight may be multiplied as it lies in memory, packed, packed again, or packed for another layer: no bit tells which.
#include "autograd/linear.h"

#include <gtest/gtest.h>

#include "autograd/gemm_parallel.h"
#include "base/thread_team.h"
#include "tests/support/numbers.h"

namespace mlac {
namespace {

using test::RandomFloats;
using test::SameBits;

Tensor RandomTensor(Shape shape, uint64_t seed) { return Tensor::FromValues(shape, RandomFloats(NumElements(shape), seed)); }

std::vector<float> Forward(mlac::Run& run, size_t rows, Parameter& weight, PackedWeight& packed) {
  Parameter bias = {"bias", RandomTensor({weight.value.dim(0)}, 2), {}, false, {}};
  const Tensor y = LinearForward(run, RandomTensor({rows, weight.value.dim(1)}, 3), weight, &bias, kernels::Activation::kGelu, packed);
  return {y.floats().begin(), y.floats().end()};
}

TEST(PackedWeight, TheFirstUseGivesTheBitsOfTheNextOnes) {
  ThreadTeam team(3);
  for (const size_t rows : {1, 7, 128, 129}) {  // up to 128 rows the first product leaves the weight as it is
    Parameter weight = {"weight", RandomTensor({100, 65}, 1), {}, false, {}};
    PackedWeight packed;
    mlac::Run alone, together({.team = &team});
    const std::vector<float> first = Forward(together, rows, weight, packed);
    EXPECT_TRUE(SameBits(first, Forward(together, rows, weight, packed))) << rows;
    EXPECT_TRUE(SameBits(first, Forward(alone, rows, weight, packed))) << rows;
    PackedWeight another;
    EXPECT_TRUE(SameBits(first, Forward(alone, rows, weight, another))) << rows;
  }
}

TEST(PackedWeight, FollowsAWeightThatHasGotAnotherTensor) {
  Parameter weight = {"weight", RandomTensor({40, 33}, 1), {}, false, {}};
  PackedWeight packed, fresh;
  mlac::Run run;
  for (int use = 0; use < 2; ++use) Forward(run, 5, weight, packed);
  weight.value = RandomTensor({40, 33}, 4);
  EXPECT_TRUE(SameBits(Forward(run, 5, weight, packed), Forward(run, 5, weight, fresh)));
}

// A decoder over the embeddings of a base that several models share: each has the bias of its own.
TEST(PackedWeight, OfLayersThatShareItLeavesEachItsBias) {
  test::ForEachBound([](std::string_view bound) {
    for (const DType dtype : {DType::kF32, DType::kBF16, DType::kI8})
      for (const bool learns : {false, true}) {
        if (learns && dtype == DType::kI8) continue;  // it cannot be trained
        SCOPED_TRACE(std::string(bound) + ", " + std::string(Name(dtype)) + (learns ? ", learning" : ""));
        constexpr size_t kOutputs = 37, kInputs = 65;
        Parameter weight = {"weight", RandomTensor({kOutputs, kInputs}, 1), {}, false, {}};
        if (dtype == DType::kI8) {
          weight.value = Tensor::Zeros({kOutputs, kInputs}, DType::kI8);
          for (size_t i = 0; i < kOutputs * kInputs; ++i) weight.value.mutable_bytes()[i] = static_cast<std::byte>(i * 31);
          weight.scale = RandomTensor({kOutputs}, 5);
        }
        Parameter first = {"first", RandomTensor({kOutputs}, 2), {}, false, {}},
                  second = {"second", RandomTensor({kOutputs}, 3), {}, false, {}};
        Tape tape;
        mlac::Run run({.tape = learns ? &tape : nullptr, .dtype = dtype == DType::kBF16 ? DType::kBF16 : DType::kF32});
        const Tensor x = RandomTensor({9, kInputs}, 4);
        const auto forward = [&](Parameter* bias, PackedWeight& packed) {
          const Tensor y = LinearForward(run, x, weight, bias, kernels::Activation::kNone, packed);
          return std::vector<float>(y.floats().begin(), y.floats().end());
        };
        PackedWeight shared;
        for (int use = 0; use < 2; ++use)
          for (Parameter* bias : {&first, &second, static_cast<Parameter*>(nullptr)}) {
            PackedWeight own;
            EXPECT_TRUE(SameBits(forward(bias, shared), forward(bias, own))) << (bias == nullptr ? "no bias" : bias->name);
          }
        EXPECT_FALSE(SameBits(forward(&first, shared), forward(&second, shared)));
      }
  });
}

// 1,024 inputs: rows a multiple of 4096 bytes apart, which are multiplied from a copy.
TEST(ParallelGemm, GivesTheSameBitsFromRowsThatCollideInTheCache) {
  constexpr size_t kInputs = 1024, kOutputs = 160, kRows = 150;
  const std::vector<float> x = RandomFloats(kRows * kInputs, 1), w = RandomFloats(kOutputs * kInputs, 2);
  std::vector<float> expected(kRows * kOutputs);
  kernels::GemmReference({.a = x.data(), .a_stride = kInputs, .num_k = kInputs, .num_columns = kOutputs, .c = expected.data(), .c_stride = kOutputs},
                         w.data(), kInputs, kernels::Layout::kTransposed, kRows);
  for (const size_t num_threads : {1, 2, 3})
    test::ForEachInstructionSet([&](std::string_view name) {
      ThreadTeam team(num_threads);
      mlac::Run run({.team = &team});
      const Tensor packed = PackForGemm(run, w.data(), kInputs, kernels::Layout::kTransposed, kInputs, kOutputs);
      std::vector<float> found(kRows * kOutputs);
      ParallelGemm(run, {.a = x.data(), .a_stride = kInputs, .packed_b = packed.floats().data(), .num_k = kInputs, .num_columns = kOutputs,
                         .c = found.data(), .c_stride = kOutputs}, kRows);
      EXPECT_TRUE(SameBits(found, expected)) << name << ", " << num_threads << " threads";
    });
}

// Many panels, which a training step packs as their turn comes, and a layer that is cut by columns up to more rows: y, and its gradients from a batch in two parts.
TEST(LinearTraining, OfALargeLayerGivesTheBitsOfTheReference) {
  constexpr size_t kInputs = 516, kOutputs = 520;
#ifdef __SANITIZE_ADDRESS__  // takes fifty times as long
  const std::vector<size_t> numbers_of_rows = {20};
#else
  const std::vector<size_t> numbers_of_rows = {20, 300};
#endif
  const std::vector<float> w = RandomFloats(kOutputs * kInputs, 1);
  for (const size_t rows : numbers_of_rows) {
    const std::vector<float> x = RandomFloats(rows * kInputs, 2), dy = RandomFloats(rows * kOutputs, 3);
    std::vector<float> y(rows * kOutputs), dx(rows * kInputs), dw(kOutputs * kInputs), dy_transposed(rows * kOutputs);
    for (size_t r = 0; r < rows; ++r)
      for (size_t o = 0; o < kOutputs; ++o) dy_transposed[o * rows + r] = dy[r * kOutputs + o];
    kernels::GemmReference({.a = x.data(), .a_stride = kInputs, .num_k = kInputs, .num_columns = kOutputs, .c = y.data(), .c_stride = kOutputs}, w.data(),
                           kInputs, kernels::Layout::kTransposed, rows);
    kernels::GemmReference({.a = dy.data(), .a_stride = kOutputs, .num_k = kOutputs, .num_columns = kInputs, .c = dx.data(), .c_stride = kInputs}, w.data(),
                           kInputs, kernels::Layout::kRows, rows);
    kernels::GemmReference({.a = dy_transposed.data(), .a_stride = rows, .num_k = rows, .num_columns = kInputs, .c = dw.data(), .c_stride = kInputs}, x.data(),
                           kInputs, kernels::Layout::kRows, kOutputs);
    const auto part = [&](const std::vector<float>& of, size_t width, size_t begin, size_t end) {
      return Tensor::FromValues({end - begin, width}, std::span(of).subspan(begin * width, (end - begin) * width));
    };
    const auto bits = [](const Tensor& tensor) { return std::vector<float>(tensor.floats().begin(), tensor.floats().end()); };
    for (const size_t num_threads : {2, 5, 40})
      test::ForEachInstructionSet([&](std::string_view name) {
        SCOPED_TRACE(std::string(name) + ", " + std::to_string(num_threads) + " threads, " + std::to_string(rows) + " rows");
        ThreadTeam team(num_threads);
        Tape tape;
        mlac::Run run({.team = &team, .tape = &tape}), inference({.team = &team});
        const Shape shape = {kOutputs, kInputs};
        Parameter weight = {"weight", Tensor::FromValues(shape, w), Tensor::Zeros(shape), /*trainable=*/true, {}};
        PackedWeight packed, of_inference;
        const Tensor whole = part(x, kInputs, 0, rows);
        EXPECT_TRUE(SameBits(bits(LinearForward(run, whole, weight, nullptr, kernels::Activation::kNone, packed)), y));
        EXPECT_TRUE(SameBits(bits(TimesWeight(run, part(dy, kOutputs, 0, rows), weight.value)), dx));
        for (const auto& [begin, end] : {std::pair<size_t, size_t>{0, rows / 3}, {rows / 3, rows}})
          AddWeightGradient(run, part(dy, kOutputs, begin, end), part(x, kInputs, begin, end), weight);
        const std::span<const float> gradient = weight.gradient.floats();
        EXPECT_TRUE(SameBits(std::vector<float>(gradient.begin(), gradient.end()), dw));
        weight.trainable = false;
        for (int use = 0; use < 2; ++use)
          EXPECT_TRUE(SameBits(bits(LinearForward(inference, whole, weight, nullptr, kernels::Activation::kNone, of_inference)), y));
      });
  }
}

}  // namespace
}  // namespace mlac
