// Models of mlac.yaml for other tasks than text-classification: from plan to what is published, gates, tests, reproduction, comparison.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "project/comparison.h"
#include "project/recorded_answers.h"
#include "project/reproduce.h"
#include "project/run_model_tests.h"
#include "project/status.h"
#include "tests/project/tiny_project.h"

namespace mlac {
namespace {

using nlohmann::json;
using test::ExpectError;
using test::RecordingObserver;
using test::TinyProject;
using testing::ElementsAre;
using testing::HasSubstr;

// Sentences in which "cat waterlight" is an entity; every fourth has none.
std::string Sentences(size_t count) {
  static constexpr const char* kWords[] = {"the", "people", "small", "large", "open", "train"};
  std::string lines;
  for (size_t i = 0; i < count; ++i) {
    lines += fmt::format("{} O\n{} O\n", kWords[i % 6], kWords[(i / 6) % 6]);
    if (i % 4 != 0) lines += "cat B-ANIMAL\nwaterlight I-ANIMAL\n";
    lines += "night O\n\n";
  }
  return lines;
}

class Entities : public testing::Test {
 protected:
  Entities() {
    project_.folder.Write("train.conll", Sentences(48));
    project_.folder.Write("test.conll", Sentences(20));
    project_.lines["task"] = "token-classification";
    project_.lines["data"] = "{train: train.conll, test: test.conll}";
    project_.lines["train"] = "{epochs: 12, lr: 6e-3, batch_size: 8, patience: 0}";
    project_.lines["gates"] = "[f1 >= 0.5, per_class.ANIMAL.recall >= 50%, f1 >= production - 0.1, size <= 100 MB]";
  }
  void WriteTests(const std::string& tests) {
    project_.lines["tests"] = "tests.yaml";
    project_.folder.Write("tests.yaml", tests);
  }

  TinyProject project_;
};

TEST_F(Entities, ArePlannedTrainedTestedGatedAndPublished) {
  WriteTests(
      "examples:\n  - {text: the people cat waterlight night, expect: \"ANIMAL: cat waterlight\"}\n  - {text: the people night, expect: "
      "nothing}\n"
      "invariances: [{change: case, rows: 5, min: 50%}]\n");
  RecordingObserver observer;
  const ApplyResult result = project_.Apply(observer);
  ASSERT_FALSE(result.refused()) << observer.refused.begin()->second;
  EXPECT_THAT(observer.steps, ElementsAre("check", "train", "evaluate", "test", "gate", "publish"));
  EXPECT_THAT(observer.notes, testing::Contains(HasSubstr("pass  f1 >= 0.5: ")));
  EXPECT_TRUE(project_.Pending().empty());
  const Store store = project_.OpenStore();
  const RevisionFolder folder = store.OpenFolder(project_.Latest());
  const json metrics = json::parse(test::ReadWhole(folder.path() + "/metrics.json"));
  EXPECT_GE(metrics.at("f1"), 0.5);
  EXPECT_EQ(metrics.at("num_examples"), 20);
  const std::string card = test::ReadWhole(folder.path() + "/README.md");
  EXPECT_THAT(card, HasSubstr("token-classification"));
  EXPECT_THAT(card, HasSubstr("test.conll"));
  EXPECT_FALSE(FileExists(folder.path() + "/confusion-matrix.svg"));
  EXPECT_THAT(StatusOf(project_.Config(), {}).Text(), HasSubstr("f1 "));
}

TEST_F(Entities, AnswersToExamplesAreRecorded) {
  WriteTests("examples: [{text: [the people cat waterlight night, the small night], expect: nothing, min: 0}]\n");
  ASSERT_FALSE(project_.Apply().refused());
  const Store store = project_.OpenStore();
  const Record record = *store.FindRecord("topics", project_.Latest());
  ASSERT_NE(record.answers, "");
  const RevisionFolder folder = store.OpenFolder(record.answers);
  const RecordedAnswers answers = ReadRecordedAnswers(store.OnlyFile(folder));
  EXPECT_EQ(answers.task, "token-classification");
  ASSERT_EQ(answers.answers.size(), 2u);
  EXPECT_EQ(answers.answers[1].input.text, "the small night");
}

TEST_F(Entities, AreMadeAgainFromTheRecordBitForBit) {
  ASSERT_FALSE(project_.Apply().refused());
  const Store store = project_.OpenStore();
  RecordingObserver observer;
  const Reproduction made = Reproduce(store, Resolve(store, "topics"), 1, observer, observer.stop);
  EXPECT_TRUE(made.equal()) << (made.different.empty() ? "" : made.different.front());
}

TEST_F(Entities, AreComparedByTheirFigures) {
  ASSERT_FALSE(project_.Apply().refused());
  const std::string first = project_.Latest();
  project_.lines["train"] = "{epochs: 1, lr: 0}";
  project_.lines["gates"] = "";
  ASSERT_FALSE(project_.Apply().refused());
  RecordingObserver observer;
  const Comparison comparison = CompareRevisions(project_.OpenStore(), "topics", first, project_.Latest(), 1, observer.stop);
  ASSERT_FALSE(comparison.differences.empty());
  EXPECT_EQ(comparison.differences[0].name, "f1");
  EXPECT_GT(comparison.differences[0].before, comparison.differences[0].after);
  EXPECT_FALSE(comparison.differences[0].interval);
  const std::string page = ComparisonHtml(comparison);
  EXPECT_THAT(page, HasSubstr("Both measured on 20 texts of test.conll."));
  EXPECT_THAT(page, HasSubstr("ANIMAL"));
  EXPECT_EQ(page.find("Confusion"), std::string::npos);
  EXPECT_THAT(ComparisonMarkdown(comparison), HasSubstr("| entity |"));
}

TEST_F(Entities, AGateRefusesAWorseOneWithBothFigures) {
  ASSERT_FALSE(project_.Apply().refused());
  project_.Promote();
  project_.lines["train"] = "{epochs: 1, lr: 0}";
  project_.lines["gates"] = "[f1 >= production - 0.1]";
  RecordingObserver observer;
  EXPECT_TRUE(project_.Apply(observer).refused());
  EXPECT_THAT(observer.refused["gate"], HasSubstr(", production "));
}

TEST_F(Entities, AFailedExampleSaysWhatWasFound) {
  WriteTests("examples: [{text: the people cat waterlight night, expect: \"PLACE: night\"}]\n");
  RecordingObserver observer;
  EXPECT_TRUE(project_.Apply(observer).refused());
  EXPECT_THAT(observer.refused["test"],
              HasSubstr("'the people cat waterlight night' is 'ANIMAL: cat waterlight', expected 'PLACE: night'"));
}

TEST_F(Entities, WhatTheTaskDoesNotHaveIsRefusedWithWhatItHas) {
  const auto refused = [&](const std::string& key, const std::string& value, const std::string& message) {
    const std::string before = project_.lines[key];
    project_.lines[key] = value;
    const Error error = ExpectError(ErrorCode::kInvalidInput, message, [&] { project_.Config(); });
    project_.lines[key] = before;
    return error.hint();
  };
  EXPECT_EQ(refused("gates", "[accuracy >= 0.5]", "mlac.yaml line 5: models.topics.gates[0]: column 13: there is no figure 'accuracy'"),
            "there are: f1, precision, recall, macro_f1, exact_match, loss, num_examples, per_class, size, latency_p50, latency_p99");
  EXPECT_EQ(refused("gates", "[{require: f1 >= production, confident: true}]",
                    "mlac.yaml line 5: models.topics.gates[0]: column 23: there is no interval that 'f1' could be decided by"),
            "confident is for f1 and precision and recall and macro_f1 and exact_match, the figures of a label against a number");
  refused("data", "{train: train.conll, split: {test: 20%}}",
          "mlac.yaml line 2: models.topics: data.split is for text-classification; token-classification has no table of texts and labels");
  refused("optimize", "{int8: true, metric: accuracy}", "mlac.yaml line 6: models.topics.optimize.metric: there is no 'accuracy'");
  WriteTests("slices: [{name: short, max_length: 9, min: 0}]\n");
  EXPECT_EQ(ExpectError(ErrorCode::kInvalidInput, "tests.yaml: there is no test 'slices' of a model for token-classification",
                        [&] { project_.MakePlan(); })
                .hint(),
            "there are examples, invariances, latency, memory");
}

TEST_F(Entities, TheTaskMayStandBehindTheGates) {
  project_.lines.erase("task");
  project_.more = "    task: token-classification\n";
  EXPECT_EQ(project_.Config().models.front().gates.front().figure.name, "f1");
}

TEST(OtherTasks, HaveTheirFiguresForSmallerModels) {
  TinyProject project;
  project.lines["optimize"] = "{int8: true}";
  EXPECT_EQ(project.Config().models.front().optimize.metric, "accuracy");
  project.lines["task"] = "token-classification";
  project.lines["gates"] = "";
  EXPECT_EQ(project.Config().models.front().optimize.metric, "f1");
}

}  // namespace
}  // namespace mlac
