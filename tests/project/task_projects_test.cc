// Models of mlac.yaml for other tasks than text-classification: from plan to what is published, gates, tests, reproduction, comparison.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <ostream>

#include "base/file.h"
#include "project/comparison.h"
#include "project/model_task.h"
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

struct OtherTask {
  std::string task, base, file, gates;
  std::string (*rows)(int count);
};

void PrintTo(const OtherTask& task, std::ostream* out) { *out << task.task; }

std::string QuestionRows(int count) {
  std::string rows;
  for (int i = 0; i < count; ++i)
    rows += fmt::format(
        "{{\"question\": \"cat ?\", \"context\": \"the people {} cat red night\", \"answers\": {{\"text\": [\"red\"], \"answer_start\": "
        "[{}]}}}}\n",
        i % 10, std::string("the people 0 cat ").size());
  return rows;
}

std::string Lines(int count) {
  std::string rows;
  for (int i = 0; i < count; ++i) rows += fmt::format("the people open the small red train not this night {}\n", i % 10);
  return rows;
}

std::string AnchorRows(int count) {
  std::string rows = "anchor,positive\n";
  for (int i = 0; i < count; ++i) rows += fmt::format("the cat {},people of night {}\n", i, i);
  return rows;
}

std::string QueryRows(int count) {
  std::string rows = "query,document,label\n";
  for (int i = 0; i < count; ++i)
    rows += fmt::format("train {},{} night {},{}\n", i / 3, i % 3 == 0 ? "cat" : "red", i, i % 3 == 0 ? 1 : 0);
  return rows;
}

class MeasuredTasks : public testing::TestWithParam<OtherTask> {};

TEST_P(MeasuredTasks, AreLearntTestedGatedPublishedComparedAndMadeAgain) {
  const OtherTask& task = GetParam();
  const bool is_known =
      std::any_of(AllModelTasks().begin(), AllModelTasks().end(), [&](const ModelTask& each) { return each.name == task.task; });
  ASSERT_TRUE(is_known) << "a line of model_task.cc that train/ does not know";
  TinyProject project;
  project.folder.Write("train" + task.file, task.rows(48));
  project.folder.Write("test" + task.file, task.rows(12));
  project.folder.Write("tests.yaml", "latency: [{tokens: 8, p99: 100 s}]\nmemory: 4 GB\n");
  project.lines = {{"task", task.task},
                   {"base", test::FixturePath("models/" + task.base)},
                   {"data", fmt::format("{{train: train{}, test: test{}}}", task.file, task.file)},
                   {"train", "{epochs: 1, batch_size: 8}"},
                   {"tests", "tests.yaml"},
                   {"gates", task.gates}};
  RecordingObserver observer;
  const ApplyResult result = project.Apply(observer);
  ASSERT_FALSE(result.refused()) << observer.refused.begin()->second;
  EXPECT_TRUE(project.Pending().empty());
  const Store store = project.OpenStore();
  const RevisionFolder folder = store.OpenFolder(project.Latest());
  const std::string card = test::ReadWhole(folder.path() + "/README.md");
  EXPECT_THAT(card, HasSubstr("pipeline_tag: " + task.task));
  EXPECT_THAT(card, HasSubstr("test" + task.file));
  EXPECT_EQ(card.find(" 0 tokens"), std::string::npos) << card;
  const Reproduction made = Reproduce(store, Resolve(store, "topics"), 1, observer, observer.stop);
  EXPECT_TRUE(made.equal()) << (made.different.empty() ? "" : made.different.front());
  const Comparison comparison = CompareRevisions(store, "topics", "", project.Latest(), 1, observer.stop);
  EXPECT_THAT(ComparisonHtml(comparison), HasSubstr("The first revision, measured on "));
  EXPECT_NE(StatusOf(project.Config(), {}).Text().find(" 0."), std::string::npos) << StatusOf(project.Config(), {}).Text();
}

INSTANTIATE_TEST_SUITE_P(
    All, MeasuredTasks,
    testing::Values(OtherTask{"question-answering", "classifier", ".jsonl", "[f1 >= 0, exact_match >= production - 1]", QuestionRows},
                    OtherTask{"fill-mask", "masked_lm", ".txt", "[perplexity > 0, accuracy >= 0]", Lines},
                    OtherTask{"sentence-similarity", "embedding", ".csv", "[ndcg_at_10 >= 0, mrr_at_10 >= production - 1]", AnchorRows},
                    OtherTask{"text-ranking", "classifier", ".csv", "[ndcg_at_10 >= 0, average_precision >= 0]", QueryRows}));

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
