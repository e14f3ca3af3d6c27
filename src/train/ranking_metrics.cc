#include "train/ranking_metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <numeric>

#include "base/error.h"
#include "kernels/double_math.h"

namespace mlac {
namespace {

void CheckSizes(size_t num_scores, size_t num_gains) {
  if (num_scores != num_gains)
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("metrics: expected as many scores as gains, found {} and {}", num_scores, num_gains));
}

// What place `rank`, from 1, counts: 1 / log2(rank + 1).
double Discount(size_t rank) { return kernels::Log(2) / kernels::Log(static_cast<double>(rank + 1)); }

double DiscountedGain(std::span<const float> gains) {
  double sum = 0;
  for (size_t i = 0; i < gains.size(); ++i) sum += static_cast<double>(gains[i]) * Discount(i + 1);
  return sum;
}

// The first ten of a sequence in some order, kept while it passes.
template <typename Precedes>
class FirstTen {
 public:
  explicit FirstTen(Precedes precedes) : precedes_(precedes) {}

  void Add(size_t item) {
    if (count_ == kRankingDepth && !precedes_(item, items_[count_ - 1])) return;
    if (count_ < kRankingDepth) ++count_;
    size_t place = count_ - 1;
    for (; place > 0 && precedes_(item, items_[place - 1]); --place) items_[place] = items_[place - 1];
    items_[place] = item;
  }

  std::span<const size_t> items() const { return std::span(items_).first(count_); }

 private:
  Precedes precedes_;
  std::array<size_t, kRankingDepth> items_ = {};
  size_t count_ = 0;
};

// Pairs by score, best first, and where runs of equal scores end.
struct ScoreOrder {
  std::vector<size_t> order;
  std::vector<bool> ends_run;  // of each place of `order`

  explicit ScoreOrder(std::span<const float> scores) : order(scores.size()), ends_run(scores.size(), true) {
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return scores[a] > scores[b]; });
    for (size_t i = 0; i + 1 < order.size(); ++i) ends_run[i] = scores[order[i]] != scores[order[i + 1]];
  }
};

// counts: how often each pair is in the sample.
double AveragePrecisionOf(const ScoreOrder& scores, std::span<const float> gains, std::span<const uint32_t> counts) {
  double seen = 0, relevant = 0, relevant_before = 0, sum = 0;
  for (size_t i = 0; i < scores.order.size(); ++i) {
    const size_t pair = scores.order[i];
    seen += counts[pair];
    if (gains[pair] >= kRelevant) relevant += counts[pair];
    if (!scores.ends_run[i] || relevant == relevant_before) continue;
    sum += (relevant - relevant_before) * (relevant / seen);
    relevant_before = relevant;
  }
  return relevant > 0 ? sum / relevant : 0;
}

}  // namespace

QueryFigures MeasureRanking(std::span<const float> scores, std::span<const float> gains) {
  CheckSizes(scores.size(), gains.size());
  const auto by_score = [&](size_t a, size_t b) {
    return scores[a] != scores[b] ? scores[a] > scores[b] : gains[a] != gains[b] ? gains[a] < gains[b] : a < b;
  };
  const auto by_gain = [&](size_t a, size_t b) { return gains[a] != gains[b] ? gains[a] > gains[b] : a < b; };
  FirstTen found(by_score);
  FirstTen ideal(by_gain);
  size_t num_relevant = 0;
  for (size_t i = 0; i < scores.size(); ++i) {
    found.Add(i);
    if (gains[i] > 0) ideal.Add(i);
    if (gains[i] >= kRelevant) ++num_relevant;
  }
  QueryFigures figures;
  if (num_relevant == 0) return figures;
  std::vector<float> found_gains, ideal_gains;
  for (const size_t i : found.items()) found_gains.push_back(gains[i]);
  for (const size_t i : ideal.items()) ideal_gains.push_back(gains[i]);
  figures.ndcg = DiscountedGain(found_gains) / DiscountedGain(ideal_gains);
  size_t num_found = 0;
  const auto share = [&] { return static_cast<double>(num_found) / static_cast<double>(num_relevant); };
  for (size_t rank = 1; rank <= kRankingDepth; ++rank) {
    if (rank <= found_gains.size() && found_gains[rank - 1] >= kRelevant && ++num_found == 1)
      figures.reciprocal_rank = 1.0 / static_cast<double>(rank);
    if (rank == 1) figures.recall_at_1 = share();
    if (rank == 5) figures.recall_at_5 = share();
  }
  figures.recall_at_10 = share();
  return figures;
}

Figures ComputeRankingMetrics(std::span<const QueryFigures> queries, const MetricsOptions& options) {
  if (queries.empty()) throw Error(ErrorCode::kInvalidArgument, "metrics: expected rankings of at least one query, found none");
  const std::pair<Figure, double QueryFigures::*> kFigures[] = {{{"ndcg_at_10", "nDCG@10"}, &QueryFigures::ndcg},
                                                                {{"mrr_at_10", "MRR@10"}, &QueryFigures::reciprocal_rank},
                                                                {{"recall_at_1", "recall@1"}, &QueryFigures::recall_at_1},
                                                                {{"recall_at_5", "recall@5"}, &QueryFigures::recall_at_5},
                                                                {{"recall_at_10", "recall@10"}, &QueryFigures::recall_at_10}};
  Figures result = {.num_examples = queries.size(), .figures = {}};
  const auto count = static_cast<double>(queries.size());
  for (const auto& [figure, member] : kFigures) {
    double sum = 0;
    for (const QueryFigures& query : queries) sum += query.*member;
    result.figures.push_back(figure);
    result.figures.back().value = sum / count;
  }
  if (!options.intervals) return result;
  for (const auto& [figure, member] : kFigures) {
    RowFigure by_row = {.name = figure.name,
                        .form = RowFigure::Form::kRatio,
                        .num_units = queries.size(),
                        .a = {},
                        .b = std::vector<double>(queries.size(), 1)};
    for (const QueryFigures& query : queries) {
      by_row.a.push_back(query.*member);
      by_row.rows.push_back(query.row);
    }
    result.by_row.push_back(std::move(by_row));
  }
  std::vector<std::vector<double>> means(std::size(kFigures));
  const auto add = [&](std::span<const size_t> sample) {
    for (size_t k = 0; k < means.size(); ++k) {
      double sum = 0;
      for (const size_t query : sample) sum += queries[query].*kFigures[k].second;
      means[k].push_back(sum / count);
    }
  };
  ForEachResample(queries.size(), add, options.check_stop);
  for (size_t k = 0; k < means.size(); ++k) result.figures[k].interval = Percentiles(means[k]);
  return result;
}

Figure AveragePrecision(std::span<const float> scores, std::span<const float> gains, const MetricsOptions& options) {
  CheckSizes(scores.size(), gains.size());
  if (scores.empty()) throw Error(ErrorCode::kInvalidArgument, "metrics: expected at least one pair, found none");
  const ScoreOrder order(scores);
  std::vector<uint32_t> counts(scores.size(), 1);
  Figure figure = {"average_precision", "average precision", AveragePrecisionOf(order, gains, counts)};
  if (!options.intervals) return figure;
  std::vector<double> values;
  const auto add = [&](std::span<const size_t> sample) {
    std::fill(counts.begin(), counts.end(), 0);
    for (const size_t pair : sample) ++counts[pair];
    values.push_back(AveragePrecisionOf(order, gains, counts));
  };
  ForEachResample(scores.size(), add, options.check_stop);
  figure.interval = Percentiles(values);
  return figure;
}

}  // namespace mlac
