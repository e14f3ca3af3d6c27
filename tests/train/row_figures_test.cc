// Figures on samples of rows: on all of them they are the figures themselves, and two models are compared on the same samples.
#include "train/row_figures.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "base/random.h"
#include "train/answer_metrics.h"
#include "train/ranking_metrics.h"
#include "train/set_metrics.h"

namespace mlac {
namespace {

std::vector<size_t> All(size_t count) {
  std::vector<size_t> all(count);
  std::iota(all.begin(), all.end(), size_t{0});
  return all;
}

void ExpectTheFiguresThemselves(const Figures& figures) {
  for (const RowFigure& figure : figures.by_row)
    EXPECT_NEAR(RowFigureMeter(figure)(All(figure.num_units)), *ValueOf(figures, figure.name), 1e-12) << figure.name;
}

Figures SetFigures(size_t num_examples, uint64_t seed) {
  Random random(seed);
  std::vector<SetCount> counts;
  for (size_t example = 0; example < num_examples; ++example)
    for (size_t label = 0; label < 3; ++label) {
      const uint64_t support = random.Below(3), predicted = random.Below(3),
                     correct = std::min(support, predicted) > 0 ? random.Below(2) : 0;
      if (support + predicted > 0) counts.push_back({example, label, correct, support, predicted});
    }
  return ComputeSetMetrics(num_examples, counts, {"a", "b", "c"});
}

TEST(RowFigures, OfAllRowsAreTheFiguresThemselves) {
  for (const size_t count : {1, 2, 50}) {
    const Figures sets = SetFigures(count, count);
    ASSERT_EQ(sets.by_row.size(), 5u);
    ExpectTheFiguresThemselves(sets);
  }
  Random random(7);
  std::vector<AnswerScore> answers;
  std::vector<QueryFigures> queries;
  for (uint32_t i = 0; i < 40; ++i) {
    const double exact = static_cast<double>(random.Below(2));
    answers.push_back(
        {.exact = exact, .f1 = exact > 0 ? 1 : static_cast<double>(random.Below(10)) / 10, .has_answer = random.Below(3) > 0});
    queries.push_back({.row = 3 * i, .ndcg = static_cast<double>(random.Below(10)) / 10, .reciprocal_rank = exact});
  }
  const Figures of_answers = ComputeAnswerMetrics(answers), of_queries = ComputeRankingMetrics(queries);
  ASSERT_EQ(of_answers.by_row.size(), 5u);
  ExpectTheFiguresThemselves(of_answers);
  ASSERT_EQ(of_queries.by_row.size(), 5u);
  ExpectTheFiguresThemselves(of_queries);
  EXPECT_EQ(of_queries.by_row[0].RowOf(2), 6u);
}

TEST(RowFigures, AreLeftOutWhereNoIntervalIsAskedFor) {
  EXPECT_TRUE(ComputeAnswerMetrics(std::vector<AnswerScore>(3), {.intervals = false}).by_row.empty());
}

TEST(RowFigures, OfAPartAreThoseOfThatPart) {
  const Figures figures = SetFigures(30, 1);
  const RowFigure& exact = *FindByRow(figures, "exact_match");
  const RowFigureMeter measure(exact);
  double sum = 0;
  for (size_t i = 0; i < 30; ++i) sum += measure(std::vector<size_t>{i});
  EXPECT_NEAR(sum / 30, *ValueOf(figures, "exact_match"), 1e-12);
  EXPECT_EQ(measure({}), 0);
  EXPECT_EQ(FindByRow(figures, "accuracy"), nullptr);
}

TEST(RowFigures, CorrelationsAndAveragePrecisionGoByTheirPairs) {
  using Form = RowFigure::Form;
  const RowFigure rising = {.name = "x", .form = Form::kSpearman, .num_units = 4, .a = {1, 4, 9, 100}, .b = {1, 2, 3, 4}};
  EXPECT_NEAR(RowFigureMeter(rising)(All(4)), 1, 1e-12);
  RowFigure linear = rising;
  linear.form = Form::kPearson;
  EXPECT_LT(RowFigureMeter(linear)(All(4)), 0.9);
  const RowFigure ranked = {.name = "x", .form = Form::kAveragePrecision, .num_units = 3, .a = {0.9, 0.8, 0.1}, .b = {1, 0, 1}};
  EXPECT_NEAR(RowFigureMeter(ranked)(All(3)), (1.0 + 2.0 / 3.0) / 2, 1e-7);
  for (const RowFigure* figure : {&rising, static_cast<const RowFigure*>(&linear), &ranked}) EXPECT_EQ(RowFigureMeter(*figure)({}), 0);
}

TEST(CompareRowFigures, TheSameModelDiffersByNothingAndABetterOneByAnIntervalAboveNothing) {
  RowFigure before = {.name = "f1", .form = RowFigure::Form::kRatio, .num_units = 100, .a = {}, .b = std::vector<double>(100, 1)};
  for (size_t i = 0; i < 100; ++i) before.a.push_back(i % 2 == 0 ? 1 : 0);
  const PairedDifference same = *CompareRowFigures(before, before);
  EXPECT_EQ(same.interval.low, 0);
  EXPECT_EQ(same.interval.high, 0);
  RowFigure after = before;
  for (size_t i = 1; i < 60; i += 2) after.a[i] = 1;  // 30 rows more are right
  const PairedDifference better = *CompareRowFigures(before, after);
  EXPECT_DOUBLE_EQ(better.before, 0.5);
  EXPECT_DOUBLE_EQ(better.after, 0.8);
  EXPECT_GT(better.interval.low, 0.2);  // 0.3, less two standard deviations of sqrt(0.3 * 0.7 / 100)
  EXPECT_LT(better.interval.high, 0.4);
  const PairedDifference worse = *CompareRowFigures(after, before);
  EXPECT_DOUBLE_EQ(worse.interval.low, -better.interval.high);
}

TEST(CompareRowFigures, OtherUnitsAreNotPaired) {
  const RowFigure three = {.name = "perplexity", .form = RowFigure::Form::kExpRatio, .num_units = 3, .a = {1, 2, 3}, .b = {1, 1, 2}};
  RowFigure other = three;
  EXPECT_TRUE(CompareRowFigures(three, other));
  other.b = {1, 2, 1};  // other tokens were guessed
  EXPECT_FALSE(CompareRowFigures(three, other));
  EXPECT_FALSE(
      CompareRowFigures(three, {.name = "perplexity", .form = RowFigure::Form::kExpRatio, .num_units = 2, .a = {1, 2}, .b = {1, 1}}));
  EXPECT_FALSE(
      CompareRowFigures(three, {.name = "perplexity", .form = RowFigure::Form::kRatio, .num_units = 3, .a = {1, 2, 3}, .b = {1, 1, 2}}));
  RowFigure accuracy = {.name = "accuracy", .num_units = 3, .a = {1, 0, 2}, .b = {1, 1, 2}, .rows = {0, 2, 5}}, otherwise = accuracy;
  EXPECT_TRUE(CompareRowFigures(accuracy, otherwise));
  otherwise.rows = {0, 3, 5};  // another tokenizer cut the second block elsewhere
  EXPECT_FALSE(CompareRowFigures(accuracy, otherwise));
  EXPECT_FALSE(CompareRowFigures({.name = "f1", .num_units = 0, .a = {}, .b = {}}, {.name = "f1", .num_units = 0, .a = {}, .b = {}}));
}

}  // namespace
}  // namespace mlac
