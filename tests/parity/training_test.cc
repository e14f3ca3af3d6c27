// Twenty steps of fine-tuning against PyTorch in float64, and AdamW by itself. The reference's own run in f32 differs from its run in float64
// by 4e-7 in loss, 4e-6 in norm and 1e-6 in the weights (trajectory.json), so the bounds stand a little above those.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "base/json.h"
#include "kernels/cross_entropy.h"
#include "models/inference.h"
#include "models/model_folder.h"
#include "tests/support/reference.h"
#include "train/optimizer.h"

namespace mlac {
namespace {

using nlohmann::json;
using test::Compare;
using test::Doubles;
using test::Integers;

TEST(Training, FollowsTheReferenceForTwentySteps) {
  const SafetensorsFile file = test::OpenFixture("train/trajectory.safetensors");
  const json trajectory = ReadJsonFile(test::FixturePath("train/trajectory.json"));
  const TokenBatch all = test::ReadBatch(file);
  const std::vector<int32_t> labels = Integers(file, "labels"), batches = Integers(file, "batches");
  const std::vector<double> losses = Doubles(file, "losses"), norms = Doubles(file, "gradient_norms"), rates = Doubles(file, "learning_rates");
  const std::set<std::string> not_compared = trajectory.at("not_compared").get<std::set<std::string>>();
  const size_t num_steps = losses.size(), batch_size = batches.size() / num_steps;

  const std::unique_ptr<Model> model = OpenModel(test::FixturePath("train/model"));
  for (Parameter& parameter : model->parameters().parameters()) {
    parameter.trainable = true;
    parameter.value = Tensor::FromValues(parameter.value.shape(), parameter.value.floats());
  }
  ThreadTeam team(2);
  Tape tape;
  mlac::Run run({.team = &team, .tape = &tape});
  Optimizer optimizer(model->parameters().parameters(),
                      {.weight_decay = trajectory.at("weight_decay"), .max_grad_norm = trajectory.at("max_grad_norm")});
  for (size_t step = 0; step < num_steps; ++step) {
    optimizer.ZeroGradients(run);
    TokenBatch batch;
    std::vector<int32_t> batch_labels;
    for (size_t i = 0; i < batch_size; ++i) {
      const auto example = static_cast<size_t>(batches[step * batch_size + i]);
      const TokenBatch one = Slice(all, example, example + 1);
      batch.token_ids.insert(batch.token_ids.end(), one.token_ids.begin(), one.token_ids.end());
      batch.token_type_ids.insert(batch.token_type_ids.end(), one.token_type_ids.begin(), one.token_type_ids.end());
      batch.offsets.push_back(batch.token_ids.size());
      batch_labels.push_back(labels[example]);
    }
    const Tensor logits = model->Classify(run, model->SequenceFeatures(run, batch));
    std::vector<double> step_losses(batch_size);
    const std::vector<float> scales(batch_size, 1.0f / static_cast<float>(batch_size));
    Tensor gradient = run.NewTensor(logits.shape());
    kernels::CrossEntropy(logits.floats().data(), batch_labels.data(), batch_size, model->num_labels(), step_losses.data(), scales.data(),
                          gradient.mutable_floats().data());
    double loss = 0;
    for (const double value : step_losses) loss += value / static_cast<double>(batch_size);
    EXPECT_NEAR(loss, losses[step], 2e-6) << "step " << step;
    tape.Backward(run, logits, gradient);
    if (step == 0)
      for (const Parameter& parameter : model->parameters().parameters()) {
        const test::Difference difference = Compare(parameter.gradient.floats(), Doubles(file, "first_gradient/" + parameter.name));
        EXPECT_TRUE(difference.within(1e-6)) << parameter.name << ": " << difference.largest;
      }
    const double norm = optimizer.GradientNorm(run);
    EXPECT_NEAR(norm, norms[step], 2e-5) << "step " << step;
    const double rate = LearningRate(trajectory.at("learning_rate"), step, trajectory.at("num_warmup_steps"), num_steps);
    EXPECT_NEAR(rate, rates[step], 1e-12) << "step " << step;
    optimizer.Step(run, rate, step + 1, norm);
  }
  for (const Parameter& parameter : model->parameters().parameters()) {
    if (not_compared.contains(parameter.name)) continue;
    const test::Difference difference = Compare(parameter.value.floats(), Doubles(file, "final/" + parameter.name));
    EXPECT_TRUE(difference.within(5e-6)) << parameter.name << ": " << difference.largest;
  }
}

TEST(Optimizer, StepsAsTheReferenceDoes) {
  const SafetensorsFile file = test::OpenFixture("train/adamw.safetensors");
  const json options = ReadJsonFile(test::FixturePath("train/adamw.json"));
  std::deque<Parameter> parameters;
  const Tensor initial = file.Get("initial");
  parameters.push_back({"weight", Tensor::FromValues(initial.shape(), initial.floats()), {}, true, {}});
  mlac::Run run;
  Optimizer optimizer(parameters, {.beta1 = options.at("beta1"), .beta2 = options.at("beta2"), .eps = options.at("eps"),
                                   .weight_decay = options.at("weight_decay"), .max_grad_norm = 0});
  const Tensor gradients = file.Get("gradients");
  const std::vector<double> rates = Doubles(file, "learning_rates"), expected = Doubles(file, "parameter"), moment1 = Doubles(file, "exp_avg"),
                            moment2 = Doubles(file, "exp_avg_sq");
  const size_t size = initial.num_elements();
  for (size_t step = 0; step < rates.size(); ++step) {
    parameters[0].gradient = Tensor::FromValues({size}, gradients.Rows(step, step + 1).floats());
    optimizer.Step(run, rates[step], step + 1, 0);
    const auto check = [&](const Tensor& found, const std::vector<double>& all, const char* what) {
      for (size_t i = 0; i < size; ++i) {
        const double value = all[step * size + i];
        double largest = 0;  // of this element in all steps: where terms cancel, their rounding stays
        for (size_t s = 0; s < rates.size(); ++s) largest = std::max(largest, std::fabs(all[s * size + i]));
        EXPECT_NEAR(found.floats()[i], value, 1e-6 * largest) << what << ", step " << step << ", element " << i;
      }
    };
    check(parameters[0].value, expected, "parameter");
    check(optimizer.slots()[0].moment1(), moment1, "exp_avg");
    check(optimizer.slots()[0].moment2(), moment2, "exp_avg_sq");
  }
}

}  // namespace
}  // namespace mlac
