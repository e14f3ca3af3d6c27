// The gradients of every operator against central differences of its own forward pass; and that threads and parts change no bit.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "autograd/attention.h"
#include "autograd/elementwise.h"
#include "autograd/embedding.h"
#include "autograd/gather_rows.h"
#include "autograd/layer_norm.h"
#include "autograd/linear.h"
#include "autograd/lora.h"
#include "autograd/pooling.h"
#include "autograd/recompute.h"
#include "autograd/relative_position_bias.h"
#include "base/error.h"
#include "tests/support/numbers.h"
#include "tests/support/test_support.h"

namespace mlac {
namespace {

using kernels::Activation;
using test::RandomFloats;
using test::SameBits;

Tensor RandomTensor(Shape shape, uint64_t seed) { return Tensor::FromValues(shape, RandomFloats(NumElements(shape), seed)); }

Parameter RandomParameter(Shape shape, uint64_t seed) {
  return {"p", RandomTensor(shape, seed), Tensor::Zeros(shape), /*trainable=*/true, {}};
}

// A function of some inputs and parameters; the loss is the sum of its result times fixed random weights.
struct Subject {
  std::vector<Tensor> inputs;
  std::vector<Parameter*> parameters;
  std::function<Tensor(mlac::Run& run, const std::vector<Tensor>& inputs)> forward;
  float dropout = 0;  // whether the run drops
  bool recompute = false;

  void Begin(mlac::Run& run) const {
    if (dropout > 0) run.dropout().Begin(/*seed=*/1, /*step=*/2, /*first_token=*/3, /*first_sequence=*/1);
  }

  double Loss() const {
    mlac::Run run;
    Begin(run);
    for (Parameter* parameter : parameters) parameter->trainable = false;
    std::vector<Tensor> plain = inputs;
    const Tensor y = forward(run, plain);
    for (Parameter* parameter : parameters) parameter->trainable = true;
    const std::vector<float> weights = RandomFloats(y.num_elements(), 99);
    double loss = 0;
    for (size_t i = 0; i < weights.size(); ++i) loss += static_cast<double>(weights[i]) * y.floats()[i];
    return loss;
  }

  // Gradients of the inputs, then of the parameters.
  std::vector<std::vector<float>> Gradients(ThreadTeam* team = nullptr) const {
    Tape tape;
    mlac::Run run({.team = team, .tape = &tape, .recompute = recompute});
    Begin(run);
    std::vector<Tensor> leaves = inputs;
    std::vector<std::vector<float>> gradients(inputs.size());
    for (size_t i = 0; i < leaves.size(); ++i)
      tape.Record(leaves[i], [&gradients, i](mlac::Run&, const Tensor& gradient) {
        gradients[i].assign(gradient.floats().begin(), gradient.floats().end());
      });
    for (Parameter* parameter : parameters) parameter->gradient = Tensor::Zeros(parameter->value.shape());
    const Tensor y = forward(run, leaves);
    tape.Backward(run, y, Tensor::FromValues(y.shape(), RandomFloats(y.num_elements(), 99)));
    for (const Parameter* parameter : parameters) gradients.emplace_back(parameter->gradient.floats().begin(), parameter->gradient.floats().end());
    return gradients;
  }

  void Check(const std::string& what) const {
    const std::vector<std::vector<float>> gradients = Gradients();
    const auto check = [&](float& value, float found, const std::string& where) {
      constexpr float kStep = 1e-2f;
      const float kept = value;
      value = kept + kStep;
      const double above = Loss();
      value = kept - kStep;
      const double below = Loss();
      value = kept;
      const double expected = (above - below) / (2.0 * kStep);
      ASSERT_NEAR(found, expected, 3e-3 * std::max(1.0, std::fabs(expected))) << what << ", " << where;
    };
    for (size_t i = 0; i < inputs.size(); ++i) {
      ASSERT_EQ(gradients[i].size(), inputs[i].num_elements()) << what << ": no gradient reached input " << i;
      Tensor input = inputs[i];
      for (size_t j = 0; j < input.num_elements(); j += 1 + input.num_elements() / 40)
        check(input.mutable_floats()[j], gradients[i][j], "input " + std::to_string(i) + ", element " + std::to_string(j));
    }
    for (size_t i = 0; i < parameters.size(); ++i)
      for (size_t j = 0; j < parameters[i]->value.num_elements(); j += 1 + parameters[i]->value.num_elements() / 40)
        check(parameters[i]->value.mutable_floats()[j], gradients[inputs.size() + i][j],
              "parameter " + std::to_string(i) + ", element " + std::to_string(j));
    for (const size_t num_threads : {2, 3}) {
      ThreadTeam team(num_threads);
      const std::vector<std::vector<float>> threaded = Gradients(&team);
      for (size_t i = 0; i < gradients.size(); ++i) EXPECT_TRUE(SameBits(threaded[i], gradients[i])) << what << ", " << num_threads << " threads";
    }
  }
};

TEST(Linear, HasTheGradientsOfItsDifferences) {
  for (const Activation activation : {Activation::kNone, Activation::kGelu, Activation::kGeluTanh, Activation::kTanh}) {
    Parameter weight = RandomParameter({9, 17}, 1), bias = RandomParameter({9}, 2);
    PackedWeight packed;
    Subject{{RandomTensor({5, 17}, 3)}, {&weight, &bias}, [&](mlac::Run& run, const std::vector<Tensor>& in) {
              PackedWeight fresh;  // the weight moves between the calls, so nothing packed may stay
              return LinearForward(run, in[0], weight, &bias, activation, fresh);
            }}.Check("activation " + std::to_string(static_cast<int>(activation)));
  }
}

TEST(Linear, GivesTheGradientOfTheWholeBatchWhenItIsComputedInParts) {
  Parameter weight = RandomParameter({40, 33}, 1), bias = RandomParameter({40}, 2);
  const Tensor x = RandomTensor({77, 33}, 3), gradient = RandomTensor({77, 40}, 4);
  const auto gradients = [&](const std::vector<size_t>& cuts) {
    weight.gradient = Tensor::Zeros(weight.value.shape());
    bias.gradient = Tensor::Zeros(bias.value.shape());
    for (size_t i = 0; i + 1 < cuts.size(); ++i) {
      Tape tape;
      mlac::Run run({.team = nullptr, .tape = &tape});
      PackedWeight packed;
      const Tensor y = LinearForward(run, x.Rows(cuts[i], cuts[i + 1]), weight, &bias, Activation::kGelu, packed);
      tape.Backward(run, y, gradient.Rows(cuts[i], cuts[i + 1]));
    }
    std::vector<float> all(weight.gradient.floats().begin(), weight.gradient.floats().end());
    all.insert(all.end(), bias.gradient.floats().begin(), bias.gradient.floats().end());
    return all;
  };
  EXPECT_TRUE(SameBits(gradients({0, 77}), gradients({0, 1, 30, 77})));
}

TEST(GatherRows, HasTheGradientsOfItsDifferences) {
  for (const std::vector<size_t>& rows : {std::vector<size_t>{0, 2, 6}, {3}, {0, 1, 2, 3, 4, 5, 6}})
    Subject{{RandomTensor({7, 5}, 1)}, {}, [&](mlac::Run& run, const std::vector<Tensor>& in) { return GatherRows(run, in[0], rows); }}.Check(
        std::to_string(rows.size()) + " rows");
}

TEST(Lora, HasTheGradientsOfItsDifferences) {
  for (const size_t rank : {1, 3, 8}) {
    Parameter a = RandomParameter({rank, 17}, 1), b = RandomParameter({9, rank}, 2);
    Subject{{RandomTensor({5, 17}, 3), RandomTensor({5, 9}, 4)}, {&a, &b}, [&](mlac::Run& run, const std::vector<Tensor>& in) {
              return LoraForward(run, in[0], Sum(run, in[1], in[1]), a, b, 0.75f);  // a sum of its own, since it is written into
            }}.Check("rank " + std::to_string(rank));
  }
}

TEST(Lora, GivesTheGradientOfTheWholeBatchWhenItIsComputedInParts) {
  Parameter a = RandomParameter({4, 33}, 1), b = RandomParameter({40, 4}, 2);
  const Tensor x = RandomTensor({77, 33}, 3), z = RandomTensor({77, 40}, 4), gradient = RandomTensor({77, 40}, 5);
  const auto results = [&](const std::vector<size_t>& cuts) {
    for (Parameter* parameter : {&a, &b}) parameter->gradient = Tensor::Zeros(parameter->value.shape());
    std::vector<float> all;
    for (size_t i = 0; i + 1 < cuts.size(); ++i) {
      Tape tape;
      mlac::Run run({.team = nullptr, .tape = &tape});
      const Tensor part = z.Rows(cuts[i], cuts[i + 1]);
      const Tensor y = LoraForward(run, x.Rows(cuts[i], cuts[i + 1]), Tensor::FromValues(part.shape(), part.floats()), a, b, 2);
      all.insert(all.end(), y.floats().begin(), y.floats().end());
      tape.Backward(run, y, gradient.Rows(cuts[i], cuts[i + 1]));
    }
    for (const Parameter* parameter : {&a, &b}) all.insert(all.end(), parameter->gradient.floats().begin(), parameter->gradient.floats().end());
    return all;
  };
  EXPECT_TRUE(SameBits(results({0, 77}), results({0, 1, 30, 77})));
}

TEST(Lora, AddsNothingWhileBIsZero) {
  Parameter a = RandomParameter({4, 33}, 1), b = RandomParameter({40, 4}, 2);
  b.value = Tensor::Zeros({40, 4});
  const Tensor z = RandomTensor({7, 40}, 4);
  mlac::Run run;
  const Tensor y = LoraForward(run, RandomTensor({7, 33}, 3), Tensor::FromValues(z.shape(), z.floats()), a, b, 2);
  EXPECT_TRUE(SameBits(y.floats(), z.floats()));
}

TEST(Activation, HasTheGradientsOfItsDifferencesAndTheBitsOfLinear) {
  for (const Activation activation : {Activation::kNone, Activation::kGelu, Activation::kGeluTanh, Activation::kTanh}) {
    Subject{{RandomTensor({5, 17}, 3)}, {}, [&](mlac::Run& run, const std::vector<Tensor>& in) {
              return ActivationForward(run, Sum(run, in[0], in[0]), activation);
            }}.Check("activation " + std::to_string(static_cast<int>(activation)));
    Parameter weight = RandomParameter({37, 17}, 1);
    weight.trainable = false;
    const Tensor x = RandomTensor({5, 17}, 2);
    PackedWeight packed;
    mlac::Run run;
    const Tensor together = LinearForward(run, x, weight, nullptr, activation, packed);
    const Tensor apart = ActivationForward(run, LinearForward(run, x, weight, nullptr, Activation::kNone, packed), activation);
    EXPECT_TRUE(SameBits(apart.floats(), together.floats())) << static_cast<int>(activation);
  }
}

TEST(LayerNorm, HasTheGradientsOfItsDifferences) {
  for (const size_t size : {16, 21}) {
    Parameter gamma = RandomParameter({size}, 1), beta = RandomParameter({size}, 2);
    Subject{{RandomTensor({6, size}, 3), RandomTensor({6, size}, 4)}, {&gamma, &beta}, [&](mlac::Run& run, const std::vector<Tensor>& in) {
              return LayerNormForward(run, in[0], &in[1], gamma, beta, 1e-5f);
            }}.Check("residual");
    Subject{{RandomTensor({5, size}, 3)}, {&gamma, &beta}, [&](mlac::Run& run, const std::vector<Tensor>& in) {
              return LayerNormForward(run, in[0], nullptr, gamma, beta, 1e-5f);
            }}.Check("plain");
  }
}

TEST(Attention, HasTheGradientsOfItsDifferences) {
  const Offsets offsets = {0, 1, 8, 25};
  for (const size_t num_heads : {1, 3})
    for (const float dropout : {0.0f, 0.25f}) {
      Subject subject = {{RandomTensor({25, 24}, 1), RandomTensor({25, 24}, 2), RandomTensor({25, 24}, 3)}, {},
                         [&](mlac::Run& run, const std::vector<Tensor>& in) { return AttentionForward(run, in[0], in[1], in[2], offsets, num_heads, dropout); },
                         dropout};
      subject.Check("heads " + std::to_string(num_heads) + ", dropout " + std::to_string(dropout));
    }
}

TEST(RelativePositionBias, HasTheGradientsOfItsDifferences) {
  const Offsets offsets = {0, 5, 6, 15};
  Parameter weight = RandomParameter({8, 2}, 4);
  Subject{{RandomTensor({15, 6}, 1), RandomTensor({15, 6}, 2), RandomTensor({15, 6}, 3)}, {&weight},
          [&](mlac::Run& run, const std::vector<Tensor>& in) {
            const Tensor bias = RelativePositionBias(run, weight, /*span=*/9, /*max_distance=*/6);
            const Tensor context = AttentionForward(run, in[0], in[1], in[2], offsets, 2, 0, &bias);
            return AttentionForward(run, context, in[1], in[2], offsets, 2, 0, &bias);  // as two layers that share it
          }}.Check("two layers");
}

TEST(RelativePositionBias, GivesTheGradientOfTheWholeBatchWhenItIsComputedInParts) {
  const Offsets offsets = {0, 5, 6, 15, 22};
  Parameter weight = RandomParameter({8, 2}, 4);
  const Tensor x = RandomTensor({22, 6}, 1), gradient = RandomTensor({22, 6}, 2);
  const auto gradients = [&](const std::vector<size_t>& cuts) {  // sequences
    weight.gradient = Tensor::Zeros(weight.value.shape());
    for (size_t i = 0; i + 1 < cuts.size(); ++i) {
      Tape tape;
      mlac::Run run({.team = nullptr, .tape = &tape});
      const size_t begin = offsets[cuts[i]], end = offsets[cuts[i + 1]];
      Offsets part = {0};
      size_t span = 1;
      for (size_t s = cuts[i]; s < cuts[i + 1]; ++s) {
        part.push_back(offsets[s + 1] - begin);
        span = std::max(span, offsets[s + 1] - offsets[s]);
      }
      const Tensor rows = x.Rows(begin, end), bias = RelativePositionBias(run, weight, span, 6);
      const Tensor context = AttentionForward(run, rows, rows, rows, part, 2, 0, &bias);
      const Tensor y = AttentionForward(run, context, rows, rows, part, 2, 0, &bias);
      tape.Backward(run, y, gradient.Rows(begin, end));
    }
    return std::vector<float>(weight.gradient.floats().begin(), weight.gradient.floats().end());
  };
  const std::vector<float> whole = gradients({0, 4});
  EXPECT_TRUE(SameBits(gradients({0, 1, 4}), whole));
  EXPECT_TRUE(SameBits(gradients({0, 2, 3, 4}), whole));
}

TEST(RelativePositionBucket, HasOneBucketADistanceAndThenWiderOnes) {
  // As transformers' MPNetEncoder.relative_position_bucket with 32 buckets up to distance 128.
  const std::pair<ptrdiff_t, size_t> kBuckets[] = {{0, 0},   {-1, 1},  {-7, 7},   {-8, 8},   {-11, 8},  {-12, 9},  {-15, 9},   {-16, 10},
                                                   {-32, 12}, {-64, 14}, {-91, 15}, {-90, 14}, {-500, 15}, {1, 17},   {8, 24},   {127, 31}};
  for (const auto& [distance, bucket] : kBuckets) EXPECT_EQ(RelativePositionBucket(distance, 32, 128), bucket) << distance;
}

TEST(Attention, OfASequenceDoesNotDependOnItsBatch) {
  const Tensor q = RandomTensor({25, 24}, 1), k = RandomTensor({25, 24}, 2), v = RandomTensor({25, 24}, 3);
  const Offsets offsets = {0, 1, 8, 25};
  mlac::Run run;
  const Tensor whole = AttentionForward(run, q, k, v, offsets, 3, 0);
  for (size_t s = 0; s < 3; ++s) {
    const size_t begin = offsets[s], end = offsets[s + 1];
    const Tensor alone = AttentionForward(run, q.Rows(begin, end), k.Rows(begin, end), v.Rows(begin, end), {0, end - begin}, 3, 0);
    EXPECT_TRUE(SameBits(alone.floats(), whole.Rows(begin, end).floats())) << "sequence " << s;
  }
}

TEST(Embedding, AddsTheGradientsOfAllTokensOfARow) {
  Parameter table = RandomParameter({6, 20}, 1);
  const std::vector<int32_t> ids = {5, 0, 5, 5, 2};
  Subject{{}, {&table}, [&](mlac::Run& run, const std::vector<Tensor>&) { return EmbeddingForward(run, table, ids); }}.Check("embedding");
}

TEST(Embedding, RefusesIdsOutsideOfTheTable) {
  Parameter table = RandomParameter({6, 20}, 1);
  mlac::Run run;
  for (const int32_t id : {-1, 6}) {
    const std::vector<int32_t> ids = {id};
    try {
      EmbeddingForward(run, table, ids);
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.message(), "id " + std::to_string(id) + " is outside of 'p', which has 6 rows");
    }
  }
}

// As linear layers do: none drops a gradient without a word.
TEST(Embedding, OfInt8IsRefusedInTraining) {
  Parameter table = {"table", Tensor::Zeros({8, 4}, DType::kI8), {}, false, RandomTensor({8}, 1)};
  const std::vector<int32_t> ids = {1, 7};
  mlac::Run inference;
  EXPECT_EQ(EmbeddingForward(inference, table, ids).shape(), (Shape{2, 4}));
  EXPECT_EQ(RelativePositionBias(inference, table, /*span=*/3, /*max_distance=*/6).shape(), (Shape{4, 5}));
  Tape tape;
  mlac::Run training({.tape = &tape});
  test::ExpectError(ErrorCode::kUnsupported, "'table' is int8, which cannot be trained", [&] { EmbeddingForward(training, table, ids); });
  test::ExpectError(ErrorCode::kUnsupported, "'table' is int8, which cannot be trained", [&] { RelativePositionBias(training, table, 3, 6); });
}

TEST(Sum, PassesTheGradientToEachTerm) {
  Subject{{RandomTensor({3, 7}, 1), RandomTensor({3, 7}, 2), RandomTensor({3, 7}, 3)}, {}, [&](mlac::Run& run, const std::vector<Tensor>& in) {
            return Sum(run, in[0], in[1], in[2]);
          }}.Check("sum");
  Subject{{RandomTensor({3, 7}, 1)}, {}, [&](mlac::Run& run, const std::vector<Tensor>& in) {
            return Sum(run, in[0], in[0], in[0]);  // one tensor used three times
          }}.Check("sum of itself");
}

TEST(Sum, OfTwoPassesTheGradientToEach) {
  Subject{{RandomTensor({3, 5}, 1), RandomTensor({3, 5}, 2)}, {}, [](mlac::Run& run, const std::vector<Tensor>& in) {
            return Sum(run, in[0], in[1]);
          }}.Check("sum of two");
}

TEST(Dropout, PassesGradientsWhereItPassedValues) {
  Subject subject = {{RandomTensor({4, 30}, 1)}, {}, [](mlac::Run& run, const std::vector<Tensor>& in) { return DropoutForward(run, in[0], 0.3f, RowKind::kTokens); }, 0.3f};
  subject.Check("dropout");
}

TEST(Pool, HasTheGradientsOfItsDifferences) {
  const Offsets offsets = {0, 1, 5, 12};
  for (const Pooling pooling : {Pooling::kMean, Pooling::kCls, Pooling::kMax})
    Subject{{RandomTensor({12, 18}, 1)}, {}, [&](mlac::Run& run, const std::vector<Tensor>& in) {
              return PoolForward(run, in[0], offsets, pooling);
            }}.Check("pooling " + std::to_string(static_cast<int>(pooling)));
}

// Two layers that share a bias, as MPNet's do, with dropouts before, in and behind them.
TEST(Recomputed, HasTheGradientsOfItsDifferencesAndTheBitsOfPlainSections) {
  const Offsets offsets = {0, 5, 6, 15};
  Parameter weight = RandomParameter({16, 16}, 1), bias = RandomParameter({16}, 2), gamma = RandomParameter({16}, 3), beta = RandomParameter({16}, 4),
            buckets = RandomParameter({8, 2}, 5);
  Subject subject = {{RandomTensor({15, 16}, 6)}, {&weight, &bias, &gamma, &beta, &buckets},
                     [&](mlac::Run& run, const std::vector<Tensor>& in) {
                       const Tensor by_distance = RelativePositionBias(run, buckets, /*span=*/9, /*max_distance=*/6);
                       Tensor x = DropoutForward(run, in[0], 0.2f, RowKind::kTokens);
                       for (int layer = 0; layer < 2; ++layer)
                         x = Recomputed(run, [&, x, by_distance](mlac::Run& run) {
                           PackedWeight fresh;
                           const Tensor z = LinearForward(run, x, weight, &bias, Activation::kGelu, fresh);
                           const Tensor context = AttentionForward(run, z, z, z, offsets, 2, 0.2f, &by_distance);
                           return LayerNormForward(run, DropoutForward(run, context, 0.2f, RowKind::kTokens), &x, gamma, beta, 1e-5f);
                         });
                       return DropoutForward(run, x, 0.2f, RowKind::kTokens);
                     },
                     0.2f};
  const std::vector<std::vector<float>> plain = subject.Gradients();
  subject.recompute = true;
  subject.Check("recomputed");
  const std::vector<std::vector<float>> recomputed = subject.Gradients();
  for (size_t i = 0; i < plain.size(); ++i) EXPECT_TRUE(SameBits(recomputed[i], plain[i])) << i;
}

TEST(Recomputed, KeepsTheInputsOfSectionsAloneAndSaysWhatThatSaves) {
  Parameter wide = RandomParameter({256, 64}, 1), narrow = RandomParameter({64, 256}, 2);
  for (Parameter* parameter : {&wide, &narrow}) parameter->gradient = Tensor::Zeros(parameter->value.shape());
  const auto memory = [&](bool recompute) {
    Tape tape;
    mlac::Run run({.tape = &tape, .recompute = recompute});
    Tensor x = RandomTensor({128, 64}, 3);
    for (int layer = 0; layer < 8; ++layer)
      x = Recomputed(run, [&, x](mlac::Run& run) {
        PackedWeight packed;
        return LinearForward(run, LinearForward(run, x, wide, nullptr, Activation::kGelu, packed), narrow, nullptr, Activation::kNone, packed);
      });
    tape.Backward(run, x, RandomTensor({128, 64}, 4));
    EXPECT_LE(run.bytes_in_use(), 2 * x.num_bytes()) << "the tape still holds something";  // a buffer may be twice as large as its tensor
    return run.memory_use();
  };
  const PassMemory with = memory(true), without = memory(false);
  EXPECT_LT(2 * with.peak, without.peak);
  EXPECT_NEAR(static_cast<double>(with.without_recompute), static_cast<double>(without.peak), 0.1 * static_cast<double>(without.peak));
  EXPECT_EQ(without.without_recompute, 0u);
}

TEST(Normalize, HasTheGradientsOfItsDifferences) {
  Subject{{RandomTensor({3, 18}, 1)}, {}, [](mlac::Run& run, const std::vector<Tensor>& in) { return NormalizeForward(run, in[0]); }}.Check("normalize");
}

TEST(Normalize, LeavesARowOfZerosAtZero) {
  mlac::Run run;
  const Tensor y = NormalizeForward(run, Tensor::Zeros({1, 5}));
  for (const float value : y.floats()) EXPECT_EQ(value, 0.0f);
}

TEST(Tape, GivesNothingToWhatIsFrozen) {
  Parameter weight = RandomParameter({9, 17}, 1), bias = RandomParameter({9}, 2);
  weight.trainable = bias.trainable = false;
  Tape tape;
  mlac::Run run({.team = nullptr, .tape = &tape});
  PackedWeight packed;
  EXPECT_EQ(LinearForward(run, RandomTensor({5, 17}, 3), weight, &bias, Activation::kGelu, packed).tape_id(), 0u);
}

}  // namespace
}  // namespace mlac
