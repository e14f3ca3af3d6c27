#include "train/regression_metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"

namespace mlac {
namespace {

double Mean(std::span<const double> values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

// From 1; equal values share the mean of their ranks.
std::vector<double> Ranks(std::span<const double> values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (size_t begin = 0; begin < order.size();) {
    size_t end = begin + 1;
    while (end < order.size() && values[order[end]] == values[order[begin]]) ++end;
    for (size_t i = begin; i < end; ++i) ranks[order[i]] = static_cast<double>(begin + end + 1) / 2;
    begin = end;
  }
  return ranks;
}

double MeanSquaredError(std::span<const double> x, std::span<const double> y) {
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i) sum += (x[i] - y[i]) * (x[i] - y[i]);
  return sum / static_cast<double>(x.size());
}

// The same figures as functions of examples.
std::vector<RowFigure> FiguresByRow(const std::vector<double>& truth, const std::vector<double>& predicted) {
  using Form = RowFigure::Form;
  RowFigure mse = {.name = "mse", .form = Form::kRatio, .num_units = truth.size(), .a = {}, .b = std::vector<double>(truth.size(), 1)};
  RowFigure mae = mse;
  mae.name = "mae";
  for (size_t i = 0; i < truth.size(); ++i) {
    const double error = predicted[i] - truth[i];
    mse.a.push_back(error * error);
    mae.a.push_back(std::fabs(error));
  }
  return {std::move(mse),
          std::move(mae),
          {.name = "pearson", .form = Form::kPearson, .num_units = truth.size(), .a = predicted, .b = truth},
          {.name = "spearman", .form = Form::kSpearman, .num_units = truth.size(), .a = predicted, .b = truth}};
}

double MeanAbsoluteError(std::span<const double> x, std::span<const double> y) {
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i) sum += std::fabs(x[i] - y[i]);
  return sum / static_cast<double>(x.size());
}

}  // namespace

double PearsonCorrelation(std::span<const double> x, std::span<const double> y) {
  const double mean_x = Mean(x), mean_y = Mean(y);
  double xy = 0, xx = 0, yy = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    xy += (x[i] - mean_x) * (y[i] - mean_y);
    xx += (x[i] - mean_x) * (x[i] - mean_x);
    yy += (y[i] - mean_y) * (y[i] - mean_y);
  }
  return xx > 0 && yy > 0 ? xy / (std::sqrt(xx) * std::sqrt(yy)) : 0;
}

double SpearmanCorrelation(std::span<const double> x, std::span<const double> y) { return PearsonCorrelation(Ranks(x), Ranks(y)); }

Figures ComputeRegressionMetrics(std::span<const float> truth, std::span<const float> predicted, const MetricsOptions& options) {
  if (truth.empty() || truth.size() != predicted.size())
    throw Error(ErrorCode::kInvalidArgument, fmt::format("metrics: expected as many predictions as examples and at least one, found {} and {}",
                                                         predicted.size(), truth.size()));
  using Compute = double (*)(std::span<const double>, std::span<const double>);
  const std::pair<Figure, Compute> kFigures[] = {{{"mse", "mean squared error"}, MeanSquaredError},
                                                 {{"mae", "mean absolute error"}, MeanAbsoluteError},
                                                 {{"pearson", "Pearson correlation"}, PearsonCorrelation},
                                                 {{"spearman", "Spearman correlation"}, SpearmanCorrelation}};
  const std::vector<double> x(truth.begin(), truth.end()), y(predicted.begin(), predicted.end());
  Figures result = {.num_examples = truth.size(), .figures = {}};
  result.loss = MeanSquaredError(x, y);
  for (const auto& [figure, compute] : kFigures) {
    result.figures.push_back(figure);
    result.figures.back().value = compute(x, y);
  }
  const std::vector<double> means(x.size(), Mean(x));
  result.figures[0].of_mean = MeanSquaredError(x, means);
  result.figures[1].of_mean = MeanAbsoluteError(x, means);
  if (!options.intervals) return result;
  result.by_row = FiguresByRow(x, y);
  std::vector<std::vector<double>> values(std::size(kFigures));
  std::vector<double> sample_x(x.size()), sample_y(x.size());
  const auto add = [&](std::span<const size_t> examples) {
    for (size_t i = 0; i < examples.size(); ++i) sample_x[i] = x[examples[i]], sample_y[i] = y[examples[i]];
    for (size_t k = 0; k < values.size(); ++k) values[k].push_back(kFigures[k].second(sample_x, sample_y));
  };
  ForEachResample(x.size(), add, options.check_stop);
  for (size_t k = 0; k < values.size(); ++k) result.figures[k].interval = Percentiles(values[k]);
  return result;
}

}  // namespace mlac
