#include "data/check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/data_sets/reading.h"

namespace mlac {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

LabelledTexts FromCsv(std::string_view rows, std::string name = "t.csv", std::vector<std::string> label_names = {}) {
  const std::string content = "text,label\n" + std::string(rows);
  const LabelledTextsOptions options{.label_names = std::move(label_names)};
  return ReadLabelledTexts(*OpenTable(ByteStream(content, std::move(name)), TableFormat::kCsv, {.columns = {"text", "label"}}), options);
}

std::vector<std::string> Lines(const std::vector<Finding>& findings) {
  std::vector<std::string> lines;
  for (const Finding& finding : findings) lines.push_back(FindingLine(finding));
  return lines;
}

std::vector<std::string> Check(const LabelledTexts& train) {
  const std::vector<DataPart> parts = {{.name = "train", .data = &train}};
  return Lines(CheckData(parts));
}

TEST(CheckData, SaysNothingAboutGoodData) { EXPECT_THAT(Check(FromCsv("a,x\nb,y\nc,x\nd,y\n")), IsEmpty()); }

TEST(CheckData, FindsEmptyAndBlankTexts) {
  EXPECT_THAT(Check(FromCsv("a,x\n,y\nb,x\nc,y\n\" \n\",x\n")),
              ElementsAre("warning: train: 2 texts are empty or blank (t.csv line 3; t.csv line 6)"));
  EXPECT_THAT(Check(FromCsv("a,x\n,y\n,x\n,x\n,y\nc,y\n")),
              ElementsAre("warning: train: 4 texts are empty or blank (t.csv line 3; t.csv line 4; t.csv line 5; ...)"));
}

TEST(CheckData, FindsDuplicatesAndTextsWithTwoLabels) {
  EXPECT_THAT(Check(FromCsv("a,x\nb,y\na,x\na,x\nA,y\n")),
              ElementsAre("note: train: 2 rows repeat an earlier text with its label (t.csv line 2 and line 4; t.csv line 2 and line 5)"));
  EXPECT_THAT(Check(FromCsv("a,x\nb,y\na,y\na,y\nb,y\nc,x\n")),
              ElementsAre("note: train: 1 row repeats an earlier text with its label (t.csv line 3 and line 6)",
                          "warning: train: 1 text stands with different labels (t.csv line 2 and line 4: 'x' and 'y')"));
}

TEST(CheckData, FindsTextsInTwoParts) {
  const LabelledTexts train = FromCsv("a,x\nb,y\nc,x\nd,y\n,x\n"), validation = FromCsv("e,x\nb,y\n,y\nb,y\n", "v.csv", train.label_names),
                      test = FromCsv("e,x\na,y\nb,y\n", "w.csv", train.label_names);
  const std::vector<DataPart> parts = {
      {.name = "train", .data = &train}, {.name = "validation", .data = &validation}, {.name = "test", .data = &test}};
  EXPECT_THAT(
      Lines(CheckData(parts)),
      ElementsAre(
          "warning: train: 1 text is empty or blank (t.csv line 6)", "warning: validation: 1 text is empty or blank (v.csv line 4)",
          "note: validation: 1 row repeats an earlier text with its label (v.csv line 3 and line 5)",
          "warning: 1 validation text is also in the training data; the validation figures will be too good (t.csv line 3 and v.csv line 3)",
          "warning: 2 test texts are also in the training data; the test figures will be too good (t.csv line 2 and w.csv line 3; t.csv "
          "line 3 and w.csv line 4)",
          "warning: 2 test texts are also in the validation data; the test figures will be too good (v.csv line 2 and w.csv line 2; "
          "v.csv line 3 and w.csv line 4)"));
}

TEST(CheckData, FindsLabelsWithOneExampleAndUnevenOnes) {
  EXPECT_THAT(Check(FromCsv("a,x\nb,x\nc,y\n")), ElementsAre("warning: train: 1 label has a single example (t.csv line 4: 'y')"));
  std::string rows = "a,y\nb,y\n";
  for (int i = 0; i < 19; ++i) rows += std::to_string(i) + ",x\n";
  EXPECT_THAT(Check(FromCsv(rows)), IsEmpty());  // 9.5 times as many
  rows += "last,x\n";
  EXPECT_THAT(Check(FromCsv(rows)),
              ElementsAre("warning: train: labels are uneven: 'x' has 20 of 22 examples (90.9 %), 10 times as many as 'y' with 2"));
}

TEST(CheckData, FindsLabelsThatDifferInCaseOrSpaces) {
  EXPECT_THAT(Check(FromCsv("a,Spam\nb,sp am\nc,ham\nd,Spam\ne,sp am\nf,ham\n")),
              ElementsAre("warning: 1 label differs from another only in case or spaces ('Spam' and 'sp am')"));
}

TEST(CheckData, FindsLabelsWithoutExampleInAPartAndCutTexts) {
  const LabelledTexts train = FromCsv("a,x\nb,y\nc,x\nd,y\n"), validation = FromCsv("e,x\n", "v.csv", train.label_names);
  const std::vector<DataPart> parts = {{.name = "train", .data = &train, .num_cut = 3},
                                       {.name = "validation", .data = &validation, .num_cut = 1}};
  EXPECT_THAT(Lines(CheckData(parts, {.max_length = 64})),
              ElementsAre("note: validation: 1 label has no example, so the validation figures tell you nothing about that label ('y')",
                          "note: train: 3 of 4 texts are longer than 64 tokens and are cut",
                          "note: validation: 1 of 1 text is longer than 64 tokens and is cut"));
}

TEST(FewExamples, WarnsBelowThirty) {
  EXPECT_FALSE(FewExamples("test", 0));
  EXPECT_FALSE(FewExamples("test", 30));
  EXPECT_EQ(FindingLine(*FewExamples("test", 29)), "warning: test: figures from 29 examples say little; measure on 30 or more");
  EXPECT_EQ(FindingLine(*FewExamples("validation", 1)), "warning: validation: figures from 1 example say little; measure on 30 or more");
}

TEST(CheckData, StopsWhereTrainingCannotSucceed) {
  EXPECT_EQ(ErrorOf([] { Check(FromCsv("a,x\nb,x\n")); }),
            "t.csv: expected at least two labels, found only 'x' in 2 rows (a classifier learns to tell labels apart)");
  EXPECT_EQ(ErrorOf([] { Check(FromCsv("a,x\nb,y\nc,z\n")); }),
            "t.csv: expected labels that repeat, found a different one in each of 3 rows (is it a column of ids or of texts?)");
  EXPECT_EQ(ErrorOf([] { Check(FromCsv("a,x\n")); }),
            "t.csv: expected at least two labels, found only 'x' in 1 row (a classifier learns to tell labels apart)");
  LabelledTexts none;
  none.source = "t.csv";
  EXPECT_EQ(ErrorOf([&] { Check(none); }), "t.csv: expected labelled texts, found none");
}

TEST(Findings, AreForProgramsToo) {
  const LabelledTexts train = FromCsv("a,x\n,y\nb,x\nc,y\n");
  const std::vector<DataPart> parts = {{.name = "train", .data = &train}};
  EXPECT_EQ(
      FindingsJson(CheckData(parts)).dump(),
      R"([{"code":"empty_text","count":1,"examples":["t.csv line 3"],"message":"train: 1 text is empty or blank","severity":"warning"}])");
}

TEST(Findings, ShowNoControlCharactersOfALabel) {
  EXPECT_THAT(Check(FromCsv("a,x\nb,x\nc,\"\x1b[2J\"\n")),
              ElementsAre("warning: train: 1 label has a single example (t.csv line 4: '\\x1b[2J')"));
}

}  // namespace
}  // namespace mlac
