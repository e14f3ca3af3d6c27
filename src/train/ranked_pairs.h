#pragma once
// What cross-encoders learn from: queries with documents and how well each answers.
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "train/figures.h"
#include "train/sequence_objective.h"
#include "train/text_tuples.h"

namespace mlac {

struct RankedPairs {
  TupleColumns columns;       // score or negative is "": that of negatives counts, unless that of scores was asked for
  LabelledTexts texts;        // texts: queries; pairs: documents; targets: the scores as text
  std::vector<float> scores;  // from 0, does not answer, to 1
  size_t num_repeated = 0;    // pairs of rows of negatives that stood before and are left out

  size_t size() const { return scores.size(); }
};

// Reads CSV, TSV or JSON Lines: rows of a query, a document and a score (0 or 1, or between); or of a query, a positive and a negative,
// which are two pairs, with 1 and 0. In JSON Lines document and score may be lists of one length, positive and negative lists of any.
// Throws as FindTupleColumns and OpenTable, and kInvalidInput with the line for a score that is no number from 0 to 1 and for lists that do
// not fit; for a file with neither scores nor negatives.
RankedPairs ReadRankedPairs(const std::string& path, const TupleColumns& wanted);

RankedPairs Subset(const RankedPairs& pairs, std::span<const size_t> rows);

// Pairs as tokens; tokens.targets are the scores.
struct RankedTokens {
  LabelledTokens tokens;
  std::vector<uint32_t> query_ids;  // of each pair: equal where the queries are
  size_t num_cut = 0;
};
RankedTokens TokenizeRankedPairs(const Tokenizer& tokenizer, size_t max_length, const RankedPairs& pairs);

// logits: one a pair. "ndcg_at_10" and "mrr_at_10" over the queries that have both a document that answers (from 0.5) and one that does
// not, if there are any; "average_precision" and "accuracy" (a document answers where the logit is above 0) over all pairs; the loss is
// their mean binary cross-entropy.
Figures MeasureRankedPairs(std::span<const float> logits, const RankedTokens& pairs, const MetricsOptions& options = {});

// Binary cross-entropy with the one logit of model's sequence-classification head. All outlive the objective.
std::unique_ptr<Objective> MakeRankingObjective(Model& model, const RankedTokens& train, const RankedTokens& validation);

}  // namespace mlac
