// Two revisions side by side: what the page and the Markdown say, that they bring nothing from elsewhere, and that words of strangers stay
// words.
#include "project/comparison.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>

#include "project/reproduce.h"
#include "tests/project/tiny_project.h"

namespace mlac {
namespace {

using test::LabelledCsv;
using test::RecordingObserver;
using test::TinyProject;
using testing::HasSubstr;
using testing::Not;

class Comparing : public testing::Test {
 protected:
  Comparison Compare(const std::string& before, const std::string& after) {
    return CompareRevisions(project_.OpenStore(), "topics", before, after, 1, stop_);
  }

  TinyProject project_;
  std::atomic<bool> stop_ = false;
};

TEST_F(Comparing, SaysWhatChangedAndWhatCameOfIt) {
  project_.Apply();
  const std::string first = project_.Latest();
  project_.lines["train"] = "{epochs: 1, lr: 0}";
  project_.folder.Write("train.csv", LabelledCsv(66, 1));
  project_.Apply();
  const Comparison comparison = Compare(first, project_.Latest());
  ASSERT_EQ(comparison.differences.size(), 3u);
  const FigureDifference& accuracy = comparison.differences[0];
  EXPECT_EQ(comparison.differences[0].name, "accuracy");
  EXPECT_LT(accuracy.after, accuracy.before) << "a model that learnt nothing";
  EXPECT_EQ(accuracy.before, comparison.before->evaluation.metrics.accuracy);
  EXPECT_EQ(static_cast<double>(comparison.rows.worse.size()) - static_cast<double>(comparison.rows.better.size()),
            std::round(30 * (accuracy.before - accuracy.after)));
  const std::string page = ComparisonHtml(comparison), markdown = ComparisonMarkdown(comparison);
  for (const std::string& text : {page, markdown}) {
    EXPECT_THAT(text, HasSubstr("train.epochs"));
    EXPECT_THAT(text, HasSubstr("66 rows"));
    EXPECT_THAT(text, HasSubstr("Rows that got worse"));
    EXPECT_THAT(text, HasSubstr("test.csv"));
    EXPECT_THAT(text, Not(HasSubstr(project_.folder.path()))) << "a path of this machine";
  }
  EXPECT_THAT(page, HasSubstr("learning curves of topics@" + first.substr(0, 10)));
  EXPECT_THAT(page, HasSubstr("confusion matrix of topics@" + project_.Latest().substr(0, 10)));
}

TEST_F(Comparing, TheFirstRevisionStandsAlone) {
  project_.Apply();
  const Comparison comparison = Compare("", project_.Latest());
  EXPECT_FALSE(comparison.before);
  EXPECT_THAT(ComparisonHtml(comparison), HasSubstr("The first revision, measured on 30 texts of test.csv."));
  EXPECT_THAT(ComparisonMarkdown(comparison), HasSubstr("| accuracy |"));
}

TEST_F(Comparing, APageBringsNothingFromElsewhereAndRunsNothing) {
  project_.folder.Write(
      "train.csv",
      "text,label\na cat <script>alert(1)</script> 1,\"<b>x|y</b>\"\na cat 2,\"<b>x|y</b>\"\nred 3,`z`\nred 4,`z`\nred 5,`z`\n");
  project_.folder.Write("test.csv", "text,label\na cat </td><script>alert(1)</script>,\"<b>x|y</b>\"\nred | cat,`z`\n");
  project_.lines["train"] = "{epochs: 1, validation_split: 0}";
  project_.Apply();
  const std::string first = project_.Latest();
  project_.lines["train"] = "{epochs: 9, lr: 1e-2, validation_split: 0}";
  project_.Apply();
  const Comparison comparison = Compare(first, project_.Latest());
  const std::string page = ComparisonHtml(comparison);
  EXPECT_FALSE(std::regex_search(page, std::regex("<script|(src|href)=\"(?!data:image/svg)|url\\(|@import|<b>")));
  const std::string markdown = ComparisonMarkdown(comparison);
  EXPECT_FALSE(std::regex_search(markdown, std::regex("[^\\\\]<(script|b>|/td)"))) << markdown;
  EXPECT_THAT(markdown, HasSubstr("x\\|y"));
}

TEST_F(Comparing, ReproducingGivesTheSameRevision) {
  for (const char* optimize : {"", "{int8: true}"}) {
    project_.lines["optimize"] = optimize;
    project_.Apply();
    RecordingObserver observer;
    const Store store = project_.OpenStore();
    const Reproduction result = Reproduce(store, Resolve(store, "topics"), 2, observer, stop_);
    EXPECT_TRUE(result.equal()) << testing::PrintToString(result.different);
  }
}

TEST_F(Comparing, WhatWasNotMadeByApplyIsRefused) {
  const Store store = project_.OpenStore();
  const std::string revision = store.Add(project_.lines["base"], {.name = "topics", .revision = {}, .made_by = "add"});
  RecordingObserver observer;
  EXPECT_EQ(
      test::ExpectError(ErrorCode::kUnsupported, "topics@" + revision.substr(0, 10) + ": its record does not say what it was made from",
                        [&] {
                          Reproduce(store, {"topics", revision}, 1, observer, stop_);
                        })
          .hint(),
      "'mlac apply' writes such records");
  test::ExpectError(ErrorCode::kUnsupported, "topics@" + revision.substr(0, 10) + ": its record names no test data to compare on",
                    [&] { Compare("", revision); });
}

}  // namespace
}  // namespace mlac
