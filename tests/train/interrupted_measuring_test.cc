// What takes long when figures are computed looks again and again whether it is to stop.
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "tests/support/numbers.h"
#include "tests/support/test_support.h"
#include "train/answer_metrics.h"
#include "train/embedding_objective.h"
#include "train/metrics.h"
#include "train/ranking_metrics.h"
#include "train/regression_metrics.h"
#include "train/set_metrics.h"

namespace mlac {
namespace {

using test::ExpectError;

struct Measuring {
  std::string name;
  std::function<void(const MetricsOptions& options)> compute;
  size_t num_looks = kNumResamples;
};

// Pairs of texts that all differ, with vectors of four numbers.
TupleTokens Pairs(size_t count) {
  TupleTokens tuples = {.tokens = {}, .columns = 2, .text_ids = {}, .scores = {}, .source = "pairs.csv", .lines = {}};
  for (uint32_t id = 0; id < 2 * count; ++id) tuples.text_ids.push_back(id);
  return tuples;
}

std::vector<Measuring> AllMeasurings() {
  static const std::vector<float> numbers = test::RandomFloats(20, 1), targets = {0, 1, 0, 1, 1, 0, 1, 0, 0, 1, 1, 1, 0, 0, 1, 0, 1, 0, 1, 1};
  static const std::vector<int32_t> truth = {0, 1, 0, 1}, predicted = {0, 1, 1, 1};
  static const std::vector<SetCount> counts = {{0, 0, 1, 1, 1}, {1, 1, 0, 1, 0}};
  static const std::vector<QueryFigures> queries(3);
  static const std::vector<AnswerScore> answers(3);
  const auto of_pairs = [](size_t count) {
    return [count](const MetricsOptions& options) {
      mlac::Run run;
      MeasureEmbeddings(test::RandomFloats(count * 2 * 4, 2), 4, Pairs(count), run, options);
    };
  };
  return {{"labels", [](const MetricsOptions& options) { ComputeMetrics(truth, predicted, {}, {"a", "b"}, options); }},
          {"sets of labels", [](const MetricsOptions& options) { ComputeSetMetrics(2, counts, {"a", "b"}, options); }},
          {"numbers", [](const MetricsOptions& options) { ComputeRegressionMetrics(targets, numbers, options); }},
          {"rankings", [](const MetricsOptions& options) { ComputeRankingMetrics(queries, options); }},
          {"pairs", [](const MetricsOptions& options) { AveragePrecision(numbers, targets, options); }},
          {"answers", [](const MetricsOptions& options) { ComputeAnswerMetrics(answers, options); }},
          {"64 embeddings", of_pairs(64), 1 + kNumResamples},  // as many anchors as are ranked between two looks
          {"65 embeddings", of_pairs(65), 2 + kNumResamples},
          {"129 embeddings without intervals",
           [of_pairs](const MetricsOptions& options) { of_pairs(129)({.intervals = false, .check_stop = options.check_stop}); }, 3}};
}

TEST(Measuring, EndsWhereItsCheckThrows) {
  for (const Measuring& measuring : AllMeasurings()) {
    SCOPED_TRACE(measuring.name);
    size_t num_looks = 0, last_look = 0;
    const MetricsOptions options = {.check_stop = [&] {
      if (++num_looks == last_look) throw Error(ErrorCode::kCancelled, "interrupted");
    }};
    measuring.compute(options);
    EXPECT_EQ(num_looks, measuring.num_looks);
    num_looks = 0;
    last_look = 3;
    ExpectError(ErrorCode::kCancelled, "interrupted", [&] { measuring.compute(options); });
    EXPECT_EQ(num_looks, last_look);
  }
}

}  // namespace
}  // namespace mlac
