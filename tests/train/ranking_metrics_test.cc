// Rankings against scikit-learn, and the edges that it leaves open.
#include "train/ranking_metrics.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "tests/support/reference.h"
#include "tests/support/test_support.h"

namespace mlac {
namespace {

using test::ExpectError;

TEST(RankingMetrics, AreThoseOfScikitLearn) {
  for (const nlohmann::json& ranking : ReadJsonFile(test::FixturePath("metrics/ranking.json"))) {
    SCOPED_TRACE(ranking.at("name").get<std::string>());
    const std::vector<float> scores = ranking.at("scores"), gains = ranking.at("gains");
    const nlohmann::json& expected = ranking.at("expected");
    EXPECT_NEAR(AveragePrecision(scores, gains, {.intervals = false}).value, expected.at("average_precision").get<double>(), 1e-12);
    if (!expected.contains("ndcg")) continue;
    const QueryFigures found = MeasureRanking(scores, gains);
    EXPECT_NEAR(found.ndcg, expected.at("ndcg").get<double>(), 1e-7);  // gains are f32
    EXPECT_DOUBLE_EQ(found.reciprocal_rank, expected.at("reciprocal_rank").get<double>());
    EXPECT_DOUBLE_EQ(found.recall_at_1, expected.at("recall").at(0).get<double>());
    EXPECT_DOUBLE_EQ(found.recall_at_5, expected.at("recall").at(1).get<double>());
    EXPECT_DOUBLE_EQ(found.recall_at_10, expected.at("recall").at(2).get<double>());
  }
}

TEST(RankingMetrics, CountTiesAgainstTheModel) {
  const std::vector<float> same(4, 0.5f), first = {1, 0, 0, 0}, last = {0, 0, 0, 1};
  EXPECT_DOUBLE_EQ(MeasureRanking(same, first).reciprocal_rank, 0.25);
  EXPECT_DOUBLE_EQ(MeasureRanking(same, last).reciprocal_rank, 0.25);
  const std::vector<float> many(11, 0.5f);
  std::vector<float> gains(11);
  gains[0] = 1;
  EXPECT_EQ(MeasureRanking(many, gains).reciprocal_rank, 0) << "the eleventh place is not looked at";
  EXPECT_EQ(MeasureRanking(many, gains).ndcg, 0);
}

TEST(RankingMetrics, CountNothingWithoutARelevantDocument) {
  const std::vector<float> scores = {2, 1}, gains = {0.4f, 0.1f};
  const QueryFigures figures = MeasureRanking(scores, gains);
  EXPECT_EQ(figures.ndcg, 0);
  EXPECT_EQ(figures.reciprocal_rank, 0);
  EXPECT_EQ(figures.recall_at_10, 0);
  EXPECT_EQ(AveragePrecision(scores, gains).value, 0);
  EXPECT_EQ(MeasureRanking({}, {}).ndcg, 0);
}

TEST(RankingMetrics, AreMeansWithIntervals) {
  std::vector<QueryFigures> queries(50);
  for (size_t i = 0; i < 25; ++i) queries[i] = {.ndcg = 1, .reciprocal_rank = 1, .recall_at_1 = 1, .recall_at_5 = 1, .recall_at_10 = 1};
  const Figures figures = ComputeRankingMetrics(queries);
  ASSERT_EQ(figures.figures.size(), 5u);
  EXPECT_EQ(figures.figures[0].name, "ndcg_at_10");
  EXPECT_EQ(FigureTitle(figures.figures[0].name), figures.figures[0].title);
  EXPECT_EQ(FigureTitle(figures.figures[1].name), "MRR@10");
  EXPECT_EQ(FigureTitle("macro_f1"), "macro F1");
  for (const Figure& figure : figures.figures) {
    EXPECT_DOUBLE_EQ(figure.value, 0.5);
    ASSERT_TRUE(figure.interval);
    EXPECT_NEAR(figure.interval->low, 0.36, 0.03);  // 0.5 -+ 1.96 sqrt(0.25 / 50)
    EXPECT_NEAR(figure.interval->high, 0.64, 0.03);
  }
  EXPECT_FALSE(ComputeRankingMetrics(queries, {.intervals = false}).figures[0].interval);
}

TEST(RankingMetrics, HaveAnIntervalOfAveragePrecisionAroundIt) {
  std::vector<float> scores, gains;
  for (int i = 0; i < 60; ++i) {
    scores.push_back(static_cast<float>(i * 37 % 60));
    gains.push_back(i * 37 % 60 > 25 + i % 20 ? 1.0f : 0.0f);
  }
  const Figure figure = AveragePrecision(scores, gains);
  ASSERT_TRUE(figure.interval);
  EXPECT_LT(figure.interval->low, figure.value);
  EXPECT_GT(figure.interval->high, figure.value);
}

TEST(RankingMetrics, RefuseWhatDoesNotFit) {
  const std::vector<float> two = {1, 2}, three = {0, 0, 1};
  ExpectError(ErrorCode::kInvalidArgument, "metrics: expected as many scores as gains, found 2 and 3", [&] { MeasureRanking(two, three); });
  ExpectError(ErrorCode::kInvalidArgument, "metrics: expected as many scores as gains, found 2 and 3",
              [&] { AveragePrecision(two, three); });
  ExpectError(ErrorCode::kInvalidArgument, "metrics: expected at least one pair, found none", [&] { AveragePrecision({}, {}); });
  ExpectError(ErrorCode::kInvalidArgument, "metrics: expected rankings of at least one query, found none",
              [&] { ComputeRankingMetrics({}); });
}

}  // namespace
}  // namespace mlac
