#include "train/row_figures.h"

#include <algorithm>
#include <numeric>

#include "kernels/double_math.h"
#include "train/metrics.h"
#include "train/ranking_metrics.h"
#include "train/regression_metrics.h"

namespace mlac {
namespace {

using Form = RowFigure::Form;

// Units must begin with the same rows; what was counted of each must be the same for a figure that says how probable the right answer is.
bool SameUnits(const RowFigure& before, const RowFigure& after) {
  if (before.form != after.form || before.num_units != after.num_units || before.num_units == 0 || before.rows != after.rows) return false;
  return after.form == Form::kRatio || after.form == Form::kMeanOfRatios || before.b == after.b;
}

}  // namespace

RowFigureMeter::RowFigureMeter(const RowFigure& figure) : figure_(figure) {
  if (figure.form != Form::kMeanOfRatios) return;
  begins_.resize(figure.num_units + 1);
  for (const uint32_t unit : figure.units) ++begins_[unit + 1];
  std::partial_sum(begins_.begin(), begins_.end(), begins_.begin());
  for (const uint32_t label : figure.classes) num_classes_ = std::max<size_t>(num_classes_, label + 1);
}

double RowFigureMeter::MeanOfRatios(std::span<const size_t> units) const {
  std::vector<double> a(num_classes_), b(num_classes_);
  for (const size_t unit : units)
    for (size_t i = begins_[unit]; i < begins_[unit + 1]; ++i) {
      a[figure_.classes[i]] += figure_.a[i];
      b[figure_.classes[i]] += figure_.b[i];
    }
  double sum = 0;
  size_t count = 0;
  for (size_t label = 0; label < num_classes_; ++label) {
    if (b[label] <= 0) continue;
    sum += a[label] / b[label];
    ++count;
  }
  return count == 0 ? 0 : sum / static_cast<double>(count);
}

double RowFigureMeter::operator()(std::span<const size_t> units) const {
  if (figure_.form == Form::kMeanOfRatios) return MeanOfRatios(units);
  if (figure_.form == Form::kRatio || figure_.form == Form::kExpRatio) {
    double a = 0, b = 0;
    for (const size_t unit : units) {
      a += figure_.a[unit];
      b += figure_.b[unit];
    }
    return figure_.form == Form::kRatio ? Ratio(a, b) : kernels::Exp(Ratio(a, b));
  }
  if (units.empty()) return 0;
  std::vector<double> a, b;
  for (const size_t unit : units) {
    a.push_back(figure_.a[unit]);
    b.push_back(figure_.b[unit]);
  }
  if (figure_.form == Form::kPearson) return PearsonCorrelation(a, b);
  if (figure_.form == Form::kSpearman) return SpearmanCorrelation(a, b);
  return AveragePrecision(std::vector<float>(a.begin(), a.end()), std::vector<float>(b.begin(), b.end()), {.intervals = false}).value;
}

std::optional<PairedDifference> CompareRowFigures(const RowFigure& before, const RowFigure& after) {
  if (!SameUnits(before, after)) return std::nullopt;
  const RowFigureMeter first(before), second(after);
  std::vector<size_t> all(after.num_units);
  std::iota(all.begin(), all.end(), size_t{0});
  std::vector<double> differences;
  ForEachResample(after.num_units, [&](std::span<const size_t> units) { differences.push_back(second(units) - first(units)); });
  return PairedDifference{.before = first(all), .after = second(all), .interval = Percentiles(differences)};
}

}  // namespace mlac
