#pragma once
// How well documents are ranked for queries, and pairs by how well they belong together.
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "train/figures.h"

namespace mlac {

// Places of a ranking that are looked at, but for recall at 1 and 5.
inline constexpr size_t kRankingDepth = 10;
// A document is relevant from this gain on.
inline constexpr float kRelevant = 0.5f;

// What the ranking of one query is worth.
struct QueryFigures {
  uint32_t row = 0;  // the first row of the data with that query
  // nDCG@10: Järvelin and Kekäläinen 2002, https://doi.org/10.1145/582415.582418, with gains as they are, as scikit-learn has it.
  double ndcg = 0;
  double reciprocal_rank = 0;                                 // of the first relevant document among ten, else 0
  double recall_at_1 = 0, recall_at_5 = 0, recall_at_10 = 0;  // shares of the relevant documents
};

// scores, gains: one a document, gains from 0. The best score is first; of equal scores the document with less gain, so that a model which
// says the same of all is not flattered. Without a relevant document all is 0. Throws kInvalidArgument for spans of different lengths.
QueryFigures MeasureRanking(std::span<const float> scores, std::span<const float> gains);

// "ndcg_at_10", "mrr_at_10", "recall_at_1", "recall_at_5", "recall_at_10": means over the queries, intervals of 1,000 bootstrap samples of
// queries. Throws kInvalidArgument for no queries.
Figures ComputeRankingMetrics(std::span<const QueryFigures> queries, const MetricsOptions& options = {});

// The area under precision as a step function of recall, as scikit-learn's average_precision_score: pairs with equal scores come at once. 0
// without a relevant pair. The interval is of 1,000 bootstrap samples. Throws kInvalidArgument for no pairs and for spans of different
// lengths.
Figure AveragePrecision(std::span<const float> scores, std::span<const float> gains, const MetricsOptions& options = {});

}  // namespace mlac
