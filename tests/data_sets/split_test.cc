#include "data/split.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tests/data_sets/reading.h"

namespace mlac {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// counts[l] rows of label l, mixed, each with its own text.
LabelledTexts Texts(const std::vector<size_t>& counts, uint64_t seed = 1) {
  LabelledTexts data;
  for (size_t label = 0; label < counts.size(); ++label) {
    data.label_names.push_back(fmt::format("label{}", label));
    data.labels.insert(data.labels.end(), counts[label], static_cast<int32_t>(label));
  }
  Random random(seed);
  Shuffle(std::span(data.labels), random);
  for (size_t row = 0; row < data.labels.size(); ++row) {
    data.texts.push_back(fmt::format("text {}", row));
    data.lines.push_back(row + 2);
  }
  return data;
}

std::vector<size_t> Counts(const LabelledTexts& data, const std::vector<size_t>& rows) {
  std::vector<size_t> counts(data.label_names.size());
  for (const size_t row : rows) ++counts[static_cast<size_t>(data.labels[row])];
  return counts;
}

TEST(SplitStratified, TakesTheShareOfEachLabelAndOfTheWhole) {
  const LabelledTexts data = Texts({100, 50, 10, 1});
  EXPECT_THAT(Counts(data, SplitStratified(data, 0.1, 0).validation), ElementsAre(10, 5, 1, 0));
  EXPECT_THAT(Counts(data, SplitStratified(data, 0.5, 0).validation), ElementsAre(50, 25, 5, 0));
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const LabelledTexts odd = Texts({7, 13, 29, 3, 2, 2, 2, 2}, seed);
    const std::vector<size_t> counts = Counts(odd, SplitStratified(odd, 0.2, seed).validation);
    EXPECT_EQ(std::accumulate(counts.begin(), counts.end(), size_t{0}), 12u);  // of 60
    EXPECT_THAT(std::vector(counts.begin(), counts.begin() + 3),
                ElementsAre(testing::AnyOf(1, 2), testing::AnyOf(2, 3), testing::AnyOf(5, 6)));
  }
}

TEST(SplitStratified, PartsAreDisjointInOrderAndWhole) {
  const LabelledTexts data = Texts({40, 30, 5, 1});
  const SplitRows split = SplitStratified(data, 0.3, 9);
  EXPECT_TRUE(std::is_sorted(split.train.begin(), split.train.end()));
  EXPECT_TRUE(std::is_sorted(split.validation.begin(), split.validation.end()));
  std::vector<size_t> all = split.train;
  all.insert(all.end(), split.validation.begin(), split.validation.end());
  std::sort(all.begin(), all.end());
  for (size_t row = 0; row < all.size(); ++row) EXPECT_EQ(all[row], row);
  EXPECT_EQ(all.size(), data.size());
}

TEST(SplitStratified, TheSeedDecidesAndNothingElse) {
  const LabelledTexts data = Texts({60, 40});
  EXPECT_EQ(SplitStratified(data, 0.25, 3).validation, SplitStratified(data, 0.25, 3).validation);
  EXPECT_NE(SplitStratified(data, 0.25, 3).validation, SplitStratified(data, 0.25, 4).validation);
  // Committed rows: the same on every machine and in every version.
  EXPECT_THAT(SplitStratified(Texts({12, 8}), 0.2, 0).validation, ElementsAre(2, 4, 15, 19));
}

TEST(SplitStratified, LeavesEveryLabelAText) {
  const LabelledTexts data = Texts({1, 2, 3, 1});
  for (const double fraction : {0.01, 0.5, 0.99, 0.9999999999999999}) {
    for (const size_t count : Counts(data, SplitStratified(data, fraction, 0).train)) EXPECT_GE(count, 1u) << fraction;
  }
  EXPECT_EQ(SplitStratified(data, 0.01, 0).validation.size(), 1u);  // at least one
  EXPECT_THAT(SplitStratified(Texts({1, 1, 1}), 0.5, 0).validation, IsEmpty());
}

TEST(SplitStratified, KeepsEqualTextsTogether) {
  LabelledTexts data = Texts({50, 50});
  for (size_t row = 0; row < data.size(); ++row) data.texts[row] = fmt::format("text {} {}", data.labels[row], row % 9);
  const SplitRows split = SplitStratified(data, 0.3, 5);
  EXPECT_THAT(split.validation.size(), testing::AllOf(testing::Ge(15u), testing::Le(30u)));
  for (const size_t row : split.validation) {
    for (const size_t other : split.train) EXPECT_NE(data.texts[row], data.texts[other]);
  }
}

TEST(SplitStratified, TextsUnderTwoLabelsStayInTraining) {
  LabelledTexts data = Texts({20, 20});
  for (size_t row = 0; row < data.size(); ++row) data.texts[row] = row % 2 == 0 ? "both" : fmt::format("text {}", row);
  for (const size_t row : SplitStratified(data, 0.4, 0).validation) EXPECT_EQ(row % 2, 1u);
  // Label 0 has one text of its own: that stays too, however large the share.
  for (size_t row = 0; row < data.size(); ++row) data.texts[row] = data.labels[row] == 0 ? "both" : fmt::format("text {}", row);
  data.texts[static_cast<size_t>(std::find(data.labels.begin(), data.labels.end(), 0) - data.labels.begin())] = "own";
  data.texts[static_cast<size_t>(std::find(data.labels.begin(), data.labels.end(), 1) - data.labels.begin())] = "both";
  EXPECT_THAT(Counts(data, SplitStratified(data, 0.4, 0).validation), ElementsAre(0, 8));
  for (std::string& text : data.texts) text = "one text";
  EXPECT_THAT(SplitStratified(data, 0.4, 0).validation, IsEmpty());
}

TEST(SplitStratified, RefusesAShareOutsideItsRange) {
  const LabelledTexts data = Texts({5, 5});
  EXPECT_THAT(SplitStratified(data, 0, 0).validation, IsEmpty());
  EXPECT_EQ(ErrorOf([&] { SplitStratified(data, 1, 0); }), "expected a validation share of at least 0 and less than 1, found 1");
  EXPECT_EQ(ErrorOf([&] { SplitStratified(data, -0.1, 0); }), "expected a validation share of at least 0 and less than 1, found -0.1");
  EXPECT_EQ(ErrorOf([&] { SplitStratified(data, std::nan(""), 0); }),
            "expected a validation share of at least 0 and less than 1, found nan");
}

}  // namespace
}  // namespace mlac
