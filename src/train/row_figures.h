#pragma once
// Figures as functions of the rows that they are computed from: so that two models are compared on the same samples of rows, and one is
// measured on a part of them.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "train/metrics.h"

namespace mlac {

struct RowFigure {
  enum class Form {
    kRatio,             // the sum of a over that of b, 0 where that is 0
    kExpRatio,          // its exponential
    kMeanOfRatios,      // of each class that occurs the ratio, and the mean of those: macro F1
    kPearson,           // the correlation of a and b
    kSpearman,          // that of their ranks
    kAveragePrecision,  // a: scores, b: gains (ranking_metrics.h)
  };

  std::string name;  // as in metrics.json
  Form form = Form::kRatio;
  // A unit is what a sample is drawn of: a row of the data, or a query with all its documents, or a block of texts. a and b have one entry
  // a unit; of kMeanOfRatios one a unit and class, by `units`, rising, and `classes`.
  size_t num_units = 0;
  std::vector<double> a, b;
  std::vector<uint32_t> units = {}, classes = {};
  std::vector<uint32_t> rows = {};  // of each unit the row that it begins with; empty: unit k is row k

  size_t RowOf(size_t unit) const { return rows.empty() ? unit : rows[unit]; }
};

// The figure of one sample of units after another; a unit may be in a sample several times. figure outlives it.
class RowFigureMeter {
 public:
  explicit RowFigureMeter(const RowFigure& figure);
  double operator()(std::span<const size_t> units) const;

 private:
  double MeanOfRatios(std::span<const size_t> units) const;

  const RowFigure& figure_;
  std::vector<size_t> begins_;  // of kMeanOfRatios: of each unit its entries
  size_t num_classes_ = 0;
};

// The figure of two models for the same rows, with the interval of after - before: of 1,000 bootstrap samples of units, each drawn once for
// both. Nothing where the two are not of the same units: tokenizers that cut the texts into other blocks, say.
std::optional<PairedDifference> CompareRowFigures(const RowFigure& before, const RowFigure& after);

}  // namespace mlac
