#include "train/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "base/random.h"

namespace mlac {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

const json& Cases() {
  static const json cases = ReadJsonFile(MLAC_TEST_DATA "/../parity/fixtures/metrics/cases.json");
  return cases;
}

ClassificationMetrics Metrics(const json& example, const MetricsOptions& options = {}) {
  std::vector<std::string> names;
  for (size_t label = 0; label < example["num_labels"]; ++label) names.push_back("label " + std::to_string(label));
  return ComputeMetrics(example["truth"].get<std::vector<int32_t>>(), example["predicted"].get<std::vector<int32_t>>(),
                        example["losses"].get<std::vector<float>>(), names, options);
}

void ExpectInterval(const Interval& found, const json& expected, double tolerance) {
  EXPECT_NEAR(found.low, expected.is_null() ? 0.0 : expected[0].get<double>(), tolerance);
  EXPECT_NEAR(found.high, expected.is_null() ? 1.0 : expected[1].get<double>(), tolerance);
}

TEST(Metrics, AreThoseOfScikitLearn) {
  for (const json& example : Cases()) {
    SCOPED_TRACE(example["name"].get<std::string>());
    const json& expected = example["expected"];
    const ClassificationMetrics metrics = Metrics(example);
    EXPECT_NEAR(metrics.accuracy, expected["accuracy"], 1e-15);
    EXPECT_NEAR(metrics.macro_f1, expected["macro_f1"], 1e-15);
    EXPECT_NEAR(metrics.weighted_f1, expected["weighted_f1"], 1e-15);
    EXPECT_NEAR(metrics.loss.value(), expected["loss"], 1e-15);
    EXPECT_EQ(metrics.num_examples, example["truth"].size());
    const size_t num_labels = example["num_labels"].get<size_t>();
    std::vector<std::vector<uint64_t>> matrix(num_labels, std::vector<uint64_t>(num_labels));
    for (const ConfusionCell& cell : metrics.confusion)
      matrix[static_cast<size_t>(cell.truth)][static_cast<size_t>(cell.predicted)] = cell.count;
    EXPECT_EQ(json(matrix), expected["confusion"]);
    ASSERT_EQ(metrics.per_class.size(), num_labels);
    ExpectInterval(metrics.accuracy_interval, expected["accuracy_interval"], 1e-12);
    for (size_t label = 0; label < metrics.per_class.size(); ++label) {
      const ClassMetrics& found = metrics.per_class[label];
      EXPECT_NEAR(found.precision, expected["precision"][label], 1e-15);
      EXPECT_NEAR(found.recall, expected["recall"][label], 1e-15);
      EXPECT_NEAR(found.f1, expected["f1"][label], 1e-15);
      EXPECT_EQ(found.support, expected["support"][label]);
      ExpectInterval(found.precision_interval, expected["precision_interval"][label], 1e-12);
      ExpectInterval(found.recall_interval, expected["recall_interval"][label], 1e-12);
    }
  }
}

// numpy's resamples are others than ours, so the bounds agree up to the noise of 1,000 samples.
TEST(Metrics, BootstrapIntervalsAreThoseOfAnotherBootstrap) {
  size_t num_compared = 0;
  for (const json& example : Cases()) {
    if (!example["bootstrap"]) continue;
    ++num_compared;
    const ClassificationMetrics metrics = Metrics(example);
    ExpectInterval(metrics.macro_f1_interval, example["expected"]["macro_f1_interval"], 0.012);
    for (size_t label = 0; label < metrics.per_class.size(); ++label)
      ExpectInterval(metrics.per_class[label].f1_interval, example["expected"]["f1_interval"][label], 0.03);
  }
  EXPECT_EQ(num_compared, 2u);
}

TEST(Metrics, IntervalsHoldTheFigureAndAreTheSameEachTime) {
  for (const json& example : Cases()) {
    const ClassificationMetrics metrics = Metrics(example), again = Metrics(example);
    EXPECT_LE(metrics.accuracy_interval.low, metrics.accuracy);
    EXPECT_GE(metrics.accuracy_interval.high, metrics.accuracy);
    EXPECT_EQ(metrics.macro_f1_interval.low, again.macro_f1_interval.low);
    for (size_t label = 0; label < metrics.per_class.size(); ++label) {
      const ClassMetrics& c = metrics.per_class[label];
      EXPECT_LE(c.recall_interval.low, c.recall);
      EXPECT_GE(c.recall_interval.high, c.recall);
      EXPECT_EQ(c.f1_interval.high, again.per_class[label].f1_interval.high);
    }
  }
}

TEST(Metrics, CostNoBootstrapWhereIntervalsAreNotWanted) {
  const ClassificationMetrics metrics = Metrics(Cases().back(), {.intervals = false}), full = Metrics(Cases().back());
  EXPECT_EQ(metrics.macro_f1, full.macro_f1);
  EXPECT_EQ(metrics.macro_f1_interval.low, 0);
  EXPECT_EQ(metrics.macro_f1_interval.high, 1);
  EXPECT_GT(full.macro_f1_interval.low, 0);
}

TEST(WilsonInterval, StandsWithinZeroAndOne) {
  for (const uint64_t trials : {1, 2, 10, 1000000}) {
    EXPECT_EQ(WilsonInterval(0, trials).low, 0);
    EXPECT_EQ(WilsonInterval(trials, trials).high, 1);
    EXPECT_GT(WilsonInterval(0, trials).high, 0);
    EXPECT_LT(WilsonInterval(trials, trials).low, 1);
  }
  EXPECT_EQ(WilsonInterval(0, 0).low, 0);
  EXPECT_EQ(WilsonInterval(0, 0).high, 1);
}

TEST(LargestClass, IsTheFirstOfThoseWithMostExamples) {
  const std::vector<int32_t> truth = {2, 1, 2, 1, 0}, predicted = {0, 0, 0, 0, 0};
  const LargestClass largest = FindLargestClass(ComputeMetrics(truth, predicted, {}, {"a", "b", "c"}));
  EXPECT_EQ(largest.label, 1u);
  EXPECT_EQ(largest.share, 0.4);
}

TEST(Metrics, RefuseWhatCannotBeMeasured) {
  const auto message = [](std::vector<int32_t> truth, std::vector<int32_t> predicted, std::vector<float> losses) -> std::string {
    try {
      ComputeMetrics(truth, predicted, losses, {"a", "b"});
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(message({}, {}, {}), "metrics: expected examples, found none");
  EXPECT_EQ(message({0, 1}, {0}, {}), "metrics: expected 2 predictions, found 1");
  EXPECT_EQ(message({0, 1}, {0, 1}, {0.5f}), "metrics: expected 2 losses or none, found 1");
  EXPECT_EQ(message({0, 1}, {0, 2}, {}), "metrics: example 1: expected a label from 0 to below 2, found 2");
  EXPECT_EQ(message({-1, 1}, {0, 1}, {}), "metrics: example 0: expected a label from 0 to below 2, found -1");
  EXPECT_EQ(message({0, 1}, {0, 1}, {}), "");
}

// Labels drawn by a seed: truth, and predictions that are right with this probability.
struct Predictions {
  std::vector<int32_t> truth, before, after;
};
Predictions Draw(size_t count, uint64_t num_labels, double right_before, double right_after, uint64_t seed) {
  Random random(seed);
  Predictions drawn;
  for (size_t i = 0; i < count; ++i) {
    const auto truth = static_cast<int32_t>(random.Below(num_labels));
    const auto guess = [&](double right) { return random.Uniform() < right ? truth : static_cast<int32_t>(random.Below(num_labels)); };
    drawn.truth.push_back(truth);
    drawn.before.push_back(guess(right_before));
    drawn.after.push_back(guess(right_after));
  }
  return drawn;
}

const std::vector<std::string> kComparedMetrics = {"accuracy", "macro_f1", "weighted_f1"};

TEST(ComparePredictions, EqualPredictionsDifferByNothing) {
  const Predictions p = Draw(200, 4, 0.7, 0.7, 1);
  for (const std::string& metric : kComparedMetrics) {
    const PairedDifference same = ComparePredictions(p.truth, p.before, p.before, 4, metric);
    EXPECT_EQ(same.before, same.after) << metric;
    EXPECT_EQ(same.interval.low, 0) << metric;
    EXPECT_EQ(same.interval.high, 0) << metric;
  }
}

TEST(ComparePredictions, FiguresAreThoseOfComputeMetrics) {
  const Predictions p = Draw(300, 5, 0.8, 0.5, 2);
  const ClassificationMetrics before = ComputeMetrics(p.truth, p.before, {}, {"a", "b", "c", "d", "e"}, {.intervals = false}),
                              after = ComputeMetrics(p.truth, p.after, {}, {"a", "b", "c", "d", "e"}, {.intervals = false});
  const auto check = [&](const std::string& metric, double expected_before, double expected_after) {
    const PairedDifference found = ComparePredictions(p.truth, p.before, p.after, 5, metric);
    EXPECT_EQ(found.before, expected_before) << metric;
    EXPECT_EQ(found.after, expected_after) << metric;
  };
  check("accuracy", before.accuracy, after.accuracy);
  check("macro_f1", before.macro_f1, after.macro_f1);
  check("weighted_f1", before.weighted_f1, after.weighted_f1);
}

TEST(ComparePredictions, SignIsThatOfAfterMinusBeforeAndTurnsWithTheOrder) {
  const Predictions p = Draw(400, 3, 0.9, 0.5, 3);
  for (const std::string& metric : kComparedMetrics) {
    const PairedDifference worse = ComparePredictions(p.truth, p.before, p.after, 3, metric),
                           better = ComparePredictions(p.truth, p.after, p.before, 3, metric);
    EXPECT_LT(worse.after, worse.before) << metric;
    EXPECT_LT(worse.interval.high, 0) << metric;
    EXPECT_GT(better.interval.low, 0) << metric;
    // The same samples are drawn, so the differences are the same but for their sign.
    EXPECT_NEAR(better.interval.low, -worse.interval.high, 1e-12) << metric;
    EXPECT_NEAR(better.interval.high, -worse.interval.low, 1e-12) << metric;
    EXPECT_LE(worse.interval.low, worse.after - worse.before) << metric;
    EXPECT_GE(worse.interval.high, worse.after - worse.before) << metric;
  }
}

// 10 of 1,000 answers are lost and none is won: the lost ones of a sample are binomial, mean 10, deviation 3.15, so the percentiles of the difference are
// -16.5 and -4 examples within the noise of 1,000 samples. Intervals of each accuracy by itself would be five times as wide.
TEST(ComparePredictions, IsPairedAndKnowsTheDeviationOfAKnownChange) {
  Predictions p;
  for (int32_t i = 0; i < 1000; ++i) {
    p.truth.push_back(i % 2);
    p.before.push_back(i % 5 == 0 ? 1 - i % 2 : i % 2);  // 0.8
    p.after.push_back(i % 100 == 1 ? 1 - i % 2 : p.before.back());
  }
  const PairedDifference found = ComparePredictions(p.truth, p.before, p.after, 2, "accuracy");
  EXPECT_EQ(found.before, 0.8);
  EXPECT_EQ(found.after, 0.79);
  EXPECT_NEAR(found.interval.low, -0.0165, 0.0021);
  EXPECT_NEAR(found.interval.high, -0.004, 0.0021);
}

TEST(ComparePredictions, GivesTheSameIntervalEachTime) {
  const Predictions p = Draw(100, 3, 0.8, 0.7, 4);
  const PairedDifference one = ComparePredictions(p.truth, p.before, p.after, 3, "macro_f1"),
                         two = ComparePredictions(p.truth, p.before, p.after, 3, "macro_f1");
  EXPECT_EQ(one.interval.low, two.interval.low);
  EXPECT_EQ(one.interval.high, two.interval.high);
}

TEST(ComparePredictions, RefusesWhatCannotBeCompared) {
  const auto message = [](std::vector<int32_t> truth, std::vector<int32_t> before, std::vector<int32_t> after, const std::string& metric) -> std::string {
    try {
      ComparePredictions(truth, before, after, 2, metric);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(message({0}, {0}, {0}, "f1"), "metric 'f1' is not known; known are accuracy, macro_f1, weighted_f1");
  EXPECT_EQ(message({}, {}, {}, "accuracy"), "metrics: expected examples, found none");
  EXPECT_EQ(message({0, 1}, {0}, {0, 1}, "accuracy"), "metrics: expected 2 predictions, found 1");
  EXPECT_EQ(message({0, 1}, {0, 1}, {0, 1, 1}, "accuracy"), "metrics: expected 2 predictions, found 3");
  EXPECT_EQ(message({0, 1}, {0, 2}, {0, 1}, "accuracy"), "metrics: example 1: expected a label from 0 to below 2, found 2");
  EXPECT_EQ(message({0, 1}, {0, 1}, {-1, 1}, "accuracy"), "metrics: example 0: expected a label from 0 to below 2, found -1");
  EXPECT_EQ(message({0, 1}, {0, 1}, {0, 1}, "accuracy"), "");
}

TEST(MetricsJson, HoldsEveryFigureInWholePrecision) {
  const ClassificationMetrics metrics = Metrics(Cases().back());
  const json file = ParseJson(MetricsJson(metrics), "metrics.json");
  EXPECT_EQ(file["format_version"], 1);
  EXPECT_EQ(file["accuracy"].get<double>(), metrics.accuracy);
  EXPECT_EQ(file["macro_f1"].get<double>(), metrics.macro_f1);
  EXPECT_EQ(file["weighted_f1"].get<double>(), metrics.weighted_f1);
  EXPECT_EQ(file["loss"].get<double>(), metrics.loss);
  EXPECT_EQ(file["num_examples"], metrics.num_examples);
  EXPECT_EQ(file["macro_f1_interval"][1].get<double>(), metrics.macro_f1_interval.high);
  EXPECT_EQ(file["per_class"].size(), metrics.per_class.size());
  EXPECT_EQ(file["per_class"]["label 3"]["f1"].get<double>(), metrics.per_class[3].f1);
  EXPECT_EQ(file["per_class"]["label 3"]["f1_interval"][0].get<double>(), metrics.per_class[3].f1_interval.low);
  EXPECT_EQ(file["confusion"].size(), metrics.confusion.size());
}

TEST(MetricsJson, IsThisText) {
  const std::vector<int32_t> truth = {0, 0, 1}, predicted = {0, 1, 1};
  const std::vector<float> losses = {0.5f, 1.5f, 0.25f};
  EXPECT_EQ(MetricsJson(ComputeMetrics(truth, predicted, losses, {"no", "ja \"é\"\n", "never"}, {.intervals = false})), R"({
  "format_version": 1,
  "accuracy": 0.6666666666666666,
  "macro_f1": 0.6666666666666666,
  "weighted_f1": 0.6666666666666666,
  "loss": 0.75,
  "num_examples": 3,
  "accuracy_interval": [0.2076596008020477, 0.9385080552796037],
  "macro_f1_interval": [0.0, 1.0],
  "per_class": {
    "no": {"precision": 1.0, "recall": 0.5, "f1": 0.6666666666666666, "support": 2, "precision_interval": [0.20654931437723745, 1.0], "recall_interval": [0.09453120573423074, 0.9054687942657693], "f1_interval": [0.0, 1.0]},
    "ja \"é\"\n": {"precision": 0.5, "recall": 1.0, "f1": 0.6666666666666666, "support": 1, "precision_interval": [0.09453120573423074, 0.9054687942657693], "recall_interval": [0.20654931437723745, 1.0], "f1_interval": [0.0, 1.0]},
    "never": {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0, "precision_interval": [0.0, 1.0], "recall_interval": [0.0, 1.0], "f1_interval": [0.0, 1.0]}
  },
  "confusion": [
    {"truth": "no", "predicted": "no", "count": 1},
    {"truth": "no", "predicted": "ja \"é\"\n", "count": 1},
    {"truth": "ja \"é\"\n", "predicted": "ja \"é\"\n", "count": 1}
  ]
}
)");
}

TEST(MetricsJson, HasNoNumberThatJsonLacks) {
  const std::vector<int32_t> labels = {0, 1};
  const std::vector<float> losses = {std::numeric_limits<float>::infinity(), 1.0f};
  EXPECT_THAT(MetricsJson(ComputeMetrics(labels, labels, losses, {"a", "b"})), HasSubstr("\"loss\": null,"));
  EXPECT_THAT(MetricsJson(ComputeMetrics(labels, labels, {}, {"a", "b"})), HasSubstr("\"loss\": null,"));
}

}  // namespace
}  // namespace mlac
