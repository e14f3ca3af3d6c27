#pragma once
// How near predicted numbers are to the true ones.
#include <span>

#include "train/figures.h"

namespace mlac {

// Figures: "mse" and "mae", mean squared and absolute error; "pearson" and "spearman", the correlations of values and of ranks (equal ones
// share theirs), 0 where one side is constant; intervals of 1,000 bootstrap samples; of the errors of_mean, too. Throws kInvalidArgument
// for no examples and for spans of different lengths.
Figures ComputeRegressionMetrics(std::span<const float> truth, std::span<const float> predicted, const MetricsOptions& options = {});

double PearsonCorrelation(std::span<const double> x, std::span<const double> y);
double SpearmanCorrelation(std::span<const double> x, std::span<const double> y);

}  // namespace mlac
