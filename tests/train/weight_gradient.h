#pragma once
// The gradient of an objective with respect to all weights of a model, against finite differences.
#include <gtest/gtest.h>

#include <cmath>
#include <span>
#include <vector>

#include "models/model.h"
#include "train/objective.h"

namespace mlac::test {

// Along its gradient the loss of a batch changes by the gradient's length, within 2 %. Without dropout. Changes the weights by as much as
// rounding.
inline void ExpectGradientOfTheWeights(Model& model, Objective& objective, std::span<const size_t> batch) {
  for (Parameter& parameter : model.parameters().parameters()) {
    parameter.value = Tensor::FromValues(parameter.value.shape(), parameter.value.floats());
    parameter.gradient = Tensor::Zeros(parameter.value.shape());
    parameter.trainable = true;
  }
  Tape tape;
  Run run({.team = nullptr, .tape = &tape});
  const auto loss = [&] {
    double sum = 0;
    const TokenBatch tokens = objective.Begin(batch, 0);
    objective.AddGradients(run, tape, tokens, 0, sum);
    return sum / objective.total_weight();
  };
  loss();
  double squares = 0;
  std::vector<std::vector<float>> gradients, values;
  for (const Parameter& parameter : model.parameters().parameters()) {
    gradients.emplace_back(parameter.gradient.floats().begin(), parameter.gradient.floats().end());
    values.emplace_back(parameter.value.floats().begin(), parameter.value.floats().end());
    for (const float g : gradients.back()) squares += static_cast<double>(g) * static_cast<double>(g);
  }
  const double length = std::sqrt(squares);
  ASSERT_GT(length, 1e-3);
  const auto loss_at = [&](double step) {
    size_t next = 0;
    for (Parameter& parameter : model.parameters().parameters()) {
      for (size_t i = 0; i < values[next].size(); ++i)
        parameter.value.mutable_floats()[i] = values[next][i] + static_cast<float>(step / length) * gradients[next][i];
      ++next;
    }
    return loss();
  };
  constexpr double kStep = 1e-3;
  EXPECT_NEAR((loss_at(kStep) - loss_at(-kStep)) / (2 * kStep), length, 0.02 * length);
}

}  // namespace mlac::test
