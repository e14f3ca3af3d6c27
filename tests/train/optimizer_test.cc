// The optimiser leaves rows alone that no batch has had: with the bits of one that computes everything.
#include "train/optimizer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "autograd/bf16_training.h"
#include "autograd/embedding.h"
#include "autograd/linear.h"
#include "base/thread_team.h"
#include "tests/support/numbers.h"

namespace mlac {
namespace {

using test::RandomFloats;
using test::SameBits;

constexpr size_t kRows = 2000, kSize = 37;  // several tasks of the optimiser, none of which ends with a chunk

Parameter Table(std::string name) { return {std::move(name), Tensor::FromValues({kRows, kSize}, RandomFloats(kRows * kSize, 1)), {}, true, {}}; }

// The rows that a batch of step t reads: few, some of them twice, the first ones in every step.
std::vector<int32_t> RowsOf(uint64_t t) {
  std::vector<int32_t> rows = {0, 1, static_cast<int32_t>(kRows - 1 - t)};
  for (const float x : RandomFloats(30, 100 + t)) rows.push_back(static_cast<int32_t>((x + 1) / 2 * (kRows - 1) / (t % 3 + 1)));
  rows.push_back(rows.back());
  return rows;
}

// Trains a table that is read row by row for some steps, and gives the lengths of its gradients, its values and its moments.
class TableTraining {
 public:
  TableTraining(std::string name, bool knows_rows, size_t num_threads) : knows_rows_(knows_rows), team_(num_threads), run_({.team = &team_}) {
    parameters_.push_back(Table(std::move(name)));
    optimizer_ = std::make_unique<Optimizer>(parameters_, AdamWOptions{.weight_decay = 0.1});
  }

  void Steps(uint64_t first, uint64_t last) {
    for (uint64_t t = first; t <= last; ++t) {
      optimizer_->ZeroGradients(run_);
      const std::vector<int32_t> rows = RowsOf(t);
      const std::span<float> gradient = knows_rows_ ? parameters_[0].gradient.mutable_rows(rows) : parameters_[0].gradient.mutable_floats();
      const std::vector<float> values = RandomFloats(rows.size() * kSize, 1000 + t);
      for (size_t i = 0; i < rows.size(); ++i)
        for (size_t j = 0; j < kSize; ++j) gradient[static_cast<size_t>(rows[i]) * kSize + j] += values[i * kSize + j];
      const double norm = optimizer_->GradientNorm(run_);
      lengths_.push_back(static_cast<float>(norm));
      optimizer_->Step(run_, 1e-3 * static_cast<double>(t % 4), t, norm);  // a warm-up's first rate is 0
    }
  }

  // As a checkpoint does.
  void Resume() {
    std::deque<Parameter> parameters = {Table(parameters_[0].name)};
    parameters[0].value = Tensor::FromValues({kRows, kSize}, parameters_[0].value.floats());
    const Optimizer::Slot before = optimizer_->slots()[0];
    parameters_ = std::move(parameters);
    optimizer_ = std::make_unique<Optimizer>(parameters_, AdamWOptions{.weight_decay = 0.1});
    optimizer_->slots()[0].SetMoments(before.moment1(), before.moment2());
  }

  std::vector<float> Bits() {
    std::vector<float> all = lengths_;
    const Optimizer::Slot& slot = optimizer_->slots()[0];
    for (const Tensor* part : std::initializer_list<const Tensor*>{&slot.parameter->value, &slot.moment1(), &slot.moment2()})
      all.insert(all.end(), part->floats().begin(), part->floats().end());
    return all;
  }

 private:
  bool knows_rows_;
  ThreadTeam team_;
  Run run_;
  std::deque<Parameter> parameters_;
  std::unique_ptr<Optimizer> optimizer_;
  std::vector<float> lengths_;
};

TEST(Optimizer, GivesRowsWithoutGradientsTheBitsOfTheWholeFormula) {
  for (const char* name : {"embeddings.weight", "embeddings.bias"}) {  // with decay and without
    TableTraining whole(name, /*knows_rows=*/false, 1);
    whole.Steps(1, 12);
    for (const size_t num_threads : {1, 2, 3}) {
      TableTraining by_rows(name, /*knows_rows=*/true, num_threads);
      by_rows.Steps(1, 12);
      EXPECT_TRUE(SameBits(by_rows.Bits(), whole.Bits())) << name << ", " << num_threads << " threads";
      TableTraining resumed(name, /*knows_rows=*/true, num_threads);
      resumed.Steps(1, 5);
      resumed.Resume();
      resumed.Steps(6, 12);
      EXPECT_TRUE(SameBits(resumed.Bits(), whole.Bits())) << name << ", resumed, " << num_threads << " threads";
    }
  }
}

TEST(Gradient, KnowsTheRowsThatAreWritten) {
  const std::vector<int32_t> ids = {7, 3, 7};
  Parameter table = Table("embeddings.weight");
  Tape tape;
  mlac::Run run({.team = nullptr, .tape = &tape});
  std::deque<Parameter> parameters = {table};
  Optimizer optimizer(parameters, {});
  const auto backward = [&](bool decodes) {  // a decoder that is tied to the table writes all of it
    Tensor y = EmbeddingForward(run, parameters[0], ids);
    PackedWeight packed;
    if (decodes) y = LinearForward(run, y, parameters[0], nullptr, kernels::Activation::kNone, packed);
    tape.Backward(run, y, Tensor::FromValues(y.shape(), RandomFloats(y.num_elements(), 5)));
  };
  const auto rows = [&] {
    std::vector<size_t> found;
    for (size_t row = 0; row < kRows; ++row)
      if (parameters[0].gradient.rows().Has(row)) found.push_back(row);
    return found;
  };
  optimizer.ZeroGradients(run);
  EXPECT_EQ(rows(), (std::vector<size_t>{}));
  backward(false);
  EXPECT_EQ(rows(), (std::vector<size_t>{3, 7}));
  optimizer.ZeroGradients(run);
  EXPECT_EQ(rows(), (std::vector<size_t>{}));
  backward(true);
  EXPECT_EQ(rows().size(), kRows);
  optimizer.ZeroGradients(run);
  EXPECT_EQ(rows(), (std::vector<size_t>{}));
  const std::span<const float> values = parameters[0].gradient.floats();
  EXPECT_TRUE(std::all_of(values.begin(), values.end(), [](float x) { return x == 0; }));
}

// A step's first product takes the place of the last step's gradient, the others add to it; without any the gradient is zero.
TEST(Gradient, OfALayerIsTheSumOfTheProductsOfItsStepAlone) {
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    const auto make = [] { return Parameter{"dense.weight", Tensor::FromValues({40, 33}, RandomFloats(40 * 33, 1)), {}, true, {}}; };
    Tape tape;
    mlac::Run run({.team = nullptr, .tape = &tape, .dtype = dtype});
    const auto backward = [&](Parameter& weight, uint64_t seed) {
      const Tensor x = Tensor::FromValues({70, 33}, RandomFloats(70 * 33, seed));
      PackedWeight packed;
      const Tensor y = LinearForward(run, x, weight, nullptr, kernels::Activation::kNone, packed);
      tape.Backward(run, y, Tensor::FromValues(y.shape(), RandomFloats(y.num_elements(), seed + 1)));
    };
    const auto bits = [&](Parameter& weight) {
      FinishWeightGradient(run, weight);
      return std::vector<float>(weight.gradient.floats().begin(), weight.gradient.floats().end());
    };
    const auto added_to_zeros = [&](const std::vector<uint64_t>& seeds) {
      Parameter weight = make();
      weight.gradient = Tensor::Zeros(weight.value.shape());
      for (const uint64_t seed : seeds) backward(weight, seed);
      return bits(weight);
    };
    std::deque<Parameter> parameters = {make()};
    Optimizer optimizer(parameters, {});
    for (const std::vector<uint64_t>& seeds : std::vector<std::vector<uint64_t>>{{10}, {20, 30}, {}, {40, 50, 60}, {70}, {}, {}}) {
      optimizer.ZeroGradients(run);
      for (const uint64_t seed : seeds) backward(parameters[0], seed);
      EXPECT_TRUE(SameBits(bits(parameters[0]), added_to_zeros(seeds))) << seeds.size() << " products";
      if (seeds.empty()) {
        EXPECT_EQ(optimizer.GradientNorm(run), 0);
      }
    }
  }
}

}  // namespace
}  // namespace mlac
