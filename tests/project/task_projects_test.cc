// Models of mlac.yaml for other tasks than text-classification: from plan to what is published, gates, tests, reproduction, comparison.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <ostream>
#include <set>
#include <tuple>

#include "base/file.h"
#include "project/comparison.h"
#include "project/model_task.h"
#include "project/recorded_answers.h"
#include "project/reproduce.h"
#include "project/run_model_tests.h"
#include "project/status.h"
#include "project/step.h"
#include "project/test_model.h"
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
  ASSERT_TRUE(comparison.differences[0].interval);
  EXPECT_LT(comparison.differences[0].interval->high, 0);
  EXPECT_FALSE(comparison.rows.worse.empty());
  EXPECT_EQ(comparison.rows.worse.front().truth, comparison.rows.worse.front().before);
  const std::string page = ComparisonHtml(comparison);
  EXPECT_THAT(page, HasSubstr("It is worse on 20 texts of test.conll: 0 rows got better, "));
  EXPECT_THAT(page, HasSubstr("ANIMAL: cat waterlight"));
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
  EXPECT_THAT(observer.refused["gate"], HasSubstr("; the difference is -"));
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
  EXPECT_EQ(
      refused("gates", "[{require: loss <= production, confident: true}]",
              "mlac.yaml line 5: models.topics.gates[0]: column 23: there is no interval that 'loss' could be decided by"),
      "confident is for f1 and precision and recall and macro_f1 and exact_match, the figures of a label against a number, and metrics "
      "against 'production + or - a number'");
  refused("data", "{train: train.conll, test: test.conll, filter: [{column: lang, equals: de}]}",
          "mlac.yaml line 4: models.topics.data.filter: 'column' is for tables; the data of token-classification has no columns");
  refused("train", "{class_weights: true}",
          "mlac.yaml line 7: models.topics.train.class_weights: is for text-classification; this is token-classification");
  refused("optimize", "{int8: true, metric: accuracy}", "mlac.yaml line 6: models.topics.optimize.metric: there is no 'accuracy'");
  const auto tests_refused = [&](const std::string& tests, const std::string& message) {
    WriteTests(tests);
    return ExpectError(ErrorCode::kInvalidInput, message, [&] { project_.MakePlan(); }).hint();
  };
  EXPECT_EQ(tests_refused("rankings: [{query: a, best: b, others: c}]\n",
                          "tests.yaml: there is no test 'rankings' of a model for token-classification"),
            "there are examples, invariances, directional, slices, latency, memory");
  tests_refused("examples: [{text: a, question: b, expect: c}]\n",
                "tests.yaml: examples: 'question' is for question-answering; this is token-classification");
  tests_refused("slices:\n  - {name: x, column: lang, equals: de, min: 0}\n",
                "tests.yaml: line 2: slices: 'column': test.conll has no columns");
  EXPECT_EQ(tests_refused("slices: [{name: x, max_length: 3, metric: accuracy, min: 0}]\n",
                          "tests.yaml: line 1: slices: there is no figure 'accuracy'"),
            "there are: f1, precision, recall, macro_f1, exact_match");
}

TEST_F(Entities, AnInsecureDifferenceIsRefusedWhereItIsToBeSure) {
  project_.lines["gates"] = "[{require: f1 >= production, confident: true}]";
  ASSERT_FALSE(project_.Apply().refused()) << "there is no production yet";
  project_.Promote();
  project_.lines["train"] = "{epochs: 1, lr: 0}";
  RecordingObserver observer;
  EXPECT_TRUE(project_.Apply(observer).refused());
  EXPECT_THAT(observer.refused["gate"], HasSubstr("f1 >= production (confident): "));
}

TEST_F(Entities, TheTaskMayStandBehindTheGates) {
  project_.lines.erase("task");
  project_.more = "    task: token-classification\n";
  EXPECT_EQ(project_.Config().models.front().gates.front().figure.name, "f1");
}

struct OtherTask {
  std::string task, base, file, gates;
  std::string (*rows)(int count);
  std::string tests;       // that every model passes
  std::string kinds;       // that are proposed
  std::string train = {};  // keys of its own, likewise the next one
  std::string data = {};
};

void PrintTo(const OtherTask& task, std::ostream* out) { *out << task.task; }

std::string QuestionRows(int count) {
  std::string rows;
  for (int i = 0; i < count; ++i)
    rows += fmt::format(
        "{{\"question\": \"cat number {} ?\", \"context\": \"the people {} cat red night\", \"answers\": {{\"text\": [\"red\"], "
        "\"answer_start\": "
        "[{}]}}}}\n",
        i / 2, i % 10, std::string("the people 0 cat ").size());
  return rows;
}

std::string Lines(int count) {
  std::string rows;
  for (int i = 0; i < count; ++i) rows += fmt::format("the people open the small red train not this night {}\n", i % 40);
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

std::string TaggedRows(int count) { return Sentences(static_cast<size_t>(count)); }

// Pairs whose second text has the label.
std::string PairRows(int count) {
  std::string rows = "text,reply,label\n";
  for (int i = 0; i < count; ++i)
    rows += fmt::format("the people {},{} night {},{}\n", i % 40, i % 2 == 0 ? "cat" : "red", i % 40, i % 2 == 0 ? "animal" : "colour");
  return rows;
}

// Every fourth text has no label, every fourth has two.
std::string LabelSetRows(int count) {
  static constexpr const char* kRows[] = {"\"the night {0}\", \"tags\": []", "\"the cat {0}\", \"tags\": [\"animal\"]",
                                          "\"the red {0}\", \"tags\": [\"colour\"]", "\"red cat {0}\", \"tags\": [\"animal\", \"colour\"]"};
  std::string rows;
  for (int i = 0; i < count; ++i) rows += fmt::format("{{\"text\": {}}}\n", fmt::format(fmt::runtime(kRows[i % 4]), i));
  return rows;
}

std::string NumberRows(int count) {
  std::string rows = "text,reply,score\n";
  for (int i = 0; i < count; ++i)
    rows += fmt::format("the people {},{} night,{}\n", i, i % 2 == 0 ? "cat" : "red", i % 2 == 0 ? 0.5 : -0.1);
  return rows;
}

class MeasuredTasks : public testing::TestWithParam<OtherTask> {
 protected:
  void SetUp() override {
    const OtherTask& task = GetParam();
    const bool is_known =
        std::any_of(AllModelTasks().begin(), AllModelTasks().end(), [&](const ModelTask& each) { return each.name == task.task; });
    ASSERT_TRUE(is_known) << "a line of model_task.cc that train/ does not know";
    project_.folder.Write("train" + task.file, task.rows(48));
    project_.folder.Write("test" + task.file, task.rows(12));
    project_.folder.Write("tests.yaml", "latency: [{tokens: 8, p99: 100 s}]\nmemory: 4 GB\n" + task.tests);
    project_.lines = {{"task", task.task},
                      {"base", test::FixturePath("models/" + task.base)},
                      {"data", fmt::format("{{train: train{}, test: test{}{}}}", task.file, task.file, task.data)},
                      {"train", fmt::format("{{epochs: 1, batch_size: 8{}}}", task.train)},
                      {"tests", "tests.yaml"},
                      {"gates", task.gates}};
  }

  const ModelTask& Task() const { return TaskOf(project_.Config().models.front()); }

  TinyProject project_;
};

TEST_P(MeasuredTasks, AreLearntTestedGatedPublishedComparedAndMadeAgain) {
  const OtherTask& task = GetParam();
  RecordingObserver observer;
  const ApplyResult result = project_.Apply(observer);
  ASSERT_FALSE(result.refused()) << observer.refused.begin()->second;
  EXPECT_TRUE(project_.Pending().empty());
  const Store store = project_.OpenStore();
  const std::string first = project_.Latest();
  const RevisionFolder folder = store.OpenFolder(first);
  const std::string card = test::ReadWhole(folder.path() + "/README.md");
  EXPECT_THAT(card, HasSubstr("pipeline_tag: " + task.task));
  EXPECT_THAT(card, HasSubstr("test" + task.file));
  EXPECT_EQ(card.find(" 0 tokens"), std::string::npos) << card;
  const Reproduction made = Reproduce(store, Resolve(store, "topics"), 1, observer, observer.stop);
  EXPECT_TRUE(made.equal()) << (made.different.empty() ? "" : made.different.front());
  EXPECT_THAT(ComparisonHtml(CompareRevisions(store, "topics", "", first, 1, observer.stop)),
              HasSubstr("The first revision, measured on "));
  EXPECT_NE(StatusOf(project_.Config(), {}).Text().find(" 0."), std::string::npos) << StatusOf(project_.Config(), {}).Text();
  ASSERT_NE(store.FindRecord("topics", first)->answers, "") << "what a swap is checked by";

  // Against production: a gate with an interval, tests with the rows that changed, a comparison with both.
  project_.Promote();
  project_.lines["train"] = fmt::format("{{epochs: 2, lr: 1e-3, batch_size: 8, seed: 1{}}}", task.train);
  project_.lines["gates"] = fmt::format("[{} >= production - 1e9]", Task().figures.metrics.front());
  if (task.task == "sentence-similarity") project_.lines["gates"] = "[mrr_at_10 >= production - 1e9]";
  ASSERT_FALSE(project_.Apply(observer).refused());
  EXPECT_THAT(observer.notes, testing::Contains(HasSubstr("; the difference is "))) << "no interval";
  const Comparison comparison = CompareRevisions(store, "topics", first, project_.Latest(), 1, observer.stop);
  ASSERT_FALSE(comparison.differences.empty());
  for (const FigureDifference& difference : comparison.differences) {
    const bool is_of_words = difference.name == "accuracy" && task.task == "token-classification";  // and words are not the rows
    EXPECT_EQ(difference.interval.has_value(), !is_of_words) << difference.name;
  }
  const TestedModel tested = TestModel(project_.Config(), "topics", {}, observer.stop);
  EXPECT_TRUE(tested.report.compared);
  EXPECT_EQ(tested.report.changed.size(), comparison.rows.better.size() + comparison.rows.worse.size() + comparison.rows.otherwise.size());
}

TEST_P(MeasuredTasks, ProposedTestsPass) {
  RecordingObserver observer;
  ASSERT_FALSE(project_.Apply(observer).refused()) << observer.refused.begin()->second;
  const std::string proposed = ProposeTests(project_.Config(), "topics", 1, observer.stop);
  EXPECT_THAT(proposed, HasSubstr("# Tests of the model topics, proposed by "));
  for (size_t begin = 0; begin < GetParam().kinds.size();) {
    const size_t end = std::min(GetParam().kinds.find(' ', begin), GetParam().kinds.size());
    EXPECT_THAT(proposed, HasSubstr(fmt::format("\n{}:\n", GetParam().kinds.substr(begin, end - begin))));
    begin = end + 1;
  }
  project_.folder.Write("tests.yaml", proposed);
  const TestReport report = TestModel(project_.Config(), "topics", {}, observer.stop).report;
  EXPECT_FALSE(report.cases.empty());
  EXPECT_FALSE(report.failed()) << report.Text(false) << proposed;
}

TEST_P(MeasuredTasks, MayLoseALimitedShareOfAFigureThatTheirDataHave) {
  project_.lines["tests"] = "";
  project_.lines["gates"] = "";
  project_.lines["optimize"] = "{int8: true, max_drop: 100%}";
  ASSERT_FALSE(project_.Apply().refused());
  const Store store = project_.OpenStore();
  const StepRecord record = *StepStore(store).Find(project_.MakePlan().models[0].keys().at("optimize"));
  const std::string metric = nlohmann::json::parse(record.result).at("metric").at("name");
  EXPECT_THAT(Task().figures.metrics, testing::Contains(metric));
  EXPECT_FALSE(LessIsBetter(metric)) << metric;
}

// Two files are joined; of the second half of their rows all are in both; what is left is split by what belongs together.
TEST_P(MeasuredTasks, DataIsJoinedFilteredDedupedAndSplit) {
  const OtherTask& task = GetParam();
  project_.folder.Write("more" + task.file, task.rows(24));
  project_.lines["data"] = fmt::format(
      "{{train: [train{0}, more{0}], filter: [{{min_length: 2}}], dedupe: true, split: {{test: 25%, seed: 3}}{1}}}", task.file, task.data);
  project_.lines["tests"] = "";
  RecordingObserver observer;
  const ApplyResult result = project_.Apply(observer);
  ASSERT_FALSE(result.refused()) << observer.refused.begin()->second;
  EXPECT_THAT(observer.steps, testing::IsSupersetOf({"join", "filter", "dedupe", "split"}));
  const Store store = project_.OpenStore();
  const Record record = *store.FindRecord("topics", project_.Latest());
  const ModelTask& info = Task();
  const ModelData columns = ColumnsOf(project_.Config().models.front());
  const auto rows = [&](const std::string& role) {
    const RevisionFolder folder = store.OpenFolder(record.data.at(role));
    return info.read_rows(store.OnlyFile(folder), columns, {}).rows;
  };
  std::set<std::string> keys, groups;
  const std::vector<PreparedRow> train = rows("train"), test = rows("test");
  for (const PreparedRow& row : train) {
    keys.insert(row.Key());
    groups.insert(row.Group());
  }
  EXPECT_EQ(keys.size(), train.size()) << "no row twice";
  ASSERT_FALSE(test.empty());
  for (const PreparedRow& row : test) EXPECT_FALSE(groups.contains(row.Group())) << row.line;
  std::set<std::string> all;
  for (const PreparedRow& row : info.read_rows(project_.folder / ("train" + task.file), columns, {}).rows) all.insert(row.Key());
  EXPECT_EQ(train.size() + test.size(), all.size()) << "each row of both files once";
  EXPECT_TRUE(project_.Pending().empty());
  const Reproduction made = Reproduce(store, Resolve(store, "topics"), 1, observer, observer.stop);
  EXPECT_TRUE(made.equal()) << (made.different.empty() ? "" : made.different.front());
  project_.folder.Write("more" + task.file, task.rows(25));
  EXPECT_THAT(project_.MakePlan().Text(), HasSubstr("1 row added"));
}

TEST_P(MeasuredTasks, SayHowSureTheyAreOfAnAnswer) {
  project_.lines["tests"] = "";
  project_.lines["gates"] = "";
  ASSERT_FALSE(project_.Apply().refused());
  const ModelTask& task = Task();
  const ModelConfig config = project_.Config().models.front();
  const ModelData data = CurrentData(project_.Config(), config, project_.OpenStore());
  const Store store = project_.OpenStore();
  const RevisionFolder folder = store.OpenFolder(project_.Latest());
  const std::unique_ptr<TaskModel> model = task.open(folder.path(), data, 1);
  for (const TestRow& row : task.rows(data, 4)) {
    const Prediction answer = model->Predict(std::span(&row.input, 1)).front();
    const bool is_one = answer.label.find("; ") == std::string::npos && !(answer.label.empty() && GetParam().task != "question-answering");
    TextInput input = row.input;
    double expected = static_cast<double>(answer.probability);
    if (GetParam().task == "sentence-similarity") input.pair = answer.label;
    if (GetParam().task == "text-ranking" && answer.label == "does not answer") expected = 1 - expected;
    if (task.several_labels()) {
      if (!is_one) continue;
      expected = static_cast<double>(answer.probabilities[answer.label == model->labels()[0] ? 0 : 1]);
    }
    if (is_one) {
      EXPECT_NEAR(model->ScoreOf(input, answer.label), expected, 1e-5) << row.input.text;
    }
    const bool has_one_score = task.gives_numbers() || GetParam().task == "sentence-similarity" || GetParam().task == "text-ranking";
    if (!has_one_score && GetParam().task != "fill-mask") {
      EXPECT_EQ(model->ScoreOf(input, "what nobody says"), 0);
    }
  }
}

TEST_P(MeasuredTasks, AnAdapterIsMergedIntoWhatIsPublished) {
  project_.lines["train"] = fmt::format("{{epochs: 1, batch_size: 4, lora: 2, lora_targets: all-linear{}}}", GetParam().train);
  RecordingObserver observer;
  const ApplyResult result = project_.Apply(observer);
  ASSERT_FALSE(result.refused()) << observer.refused.begin()->second;
  const Store store = project_.OpenStore();
  const RevisionFolder folder = store.OpenFolder(project_.Latest());
  EXPECT_TRUE(FileExists(folder.path() + "/config.json") || FileExists(folder.path() + "/modules.json"));
  EXPECT_FALSE(FileExists(folder.path() + "/adapter_config.json"));
  EXPECT_EQ(store.FindRecord("topics", project_.Latest())->parameters.at("train.lora"), "2");
  const Reproduction made = Reproduce(store, Resolve(store, "topics"), 1, observer, observer.stop);
  EXPECT_TRUE(made.equal()) << (made.different.empty() ? "" : made.different.front());
}

INSTANTIATE_TEST_SUITE_P(
    All, MeasuredTasks,
    testing::Values(
        OtherTask{
            "text-classification", "classifier", ".csv", "[accuracy >= 0, per_class.animal.f1 >= 0]", PairRows,
            "examples: [{text: the people, text_pair: cat night, expect: animal, min: 0}]\n"
            "invariances: [{change: case, rows: 3, min: 0}]\n"
            "slices: [{name: animals, column: label, equals: animal, min: 0}, {name: cats, column: reply, equals: cat night 2, min: 0}]\n",
            "invariances slices", "", ", text_pair: reply"},
        OtherTask{
            "text-classification", "classifier", ".jsonl", "[f1 >= 0, per_class.colour.recall >= 0, loss >= 0]", LabelSetRows,
            "examples: [{text: red cat, expect: [animal, colour], min: 0}, {text: night, expect: nothing, min: 0}]\n"
            "invariances: [{change: case, rows: 3, min: 0}]\n"
            "slices: [{name: animals, column: tags, equals: animal, min: 0}, {name: short, max_length: 14, metric: exact_match, min: 0}]\n",
            "invariances", ", multi_label: true", ", target: tags"},
        OtherTask{
            "text-classification", "classifier", ".csv", "[mse >= 0, mae <= 1000, {require: mse <= 1000, confident: true}]", NumberRows,
            "examples: [{text: the people, text_pair: cat night, expect: 0.5, within: 100}]\n"
            "invariances: [{change: case, rows: 3, within: 1, min: 0}]\n"
            "slices: [{name: cats, column: reply, equals: cat night, metric: mae, max: 100}, {name: all, min_length: 1, max: 1000}]\n",
            "invariances slices", ", regression: true", ", text_pair: reply, target: score"},
        OtherTask{"token-classification", "classifier", ".conll", "[f1 >= 0, exact_match >= production - 1]", TaggedRows,
                  "examples: [{text: the night, expect: nothing, min: 0}]\nslices: [{name: short, max_length: 20, metric: exact_match, "
                  "min: 0}]\n",
                  "invariances"},
        OtherTask{"question-answering", "classifier", ".jsonl", "[f1 >= 0, exact_match >= production - 1]", QuestionRows,
                  "examples: [{text: the people cat red night, question: 'cat ?', expect: red, min: 0}]\n"
                  "invariances: [{change: case, min: 0}]\nslices: [{name: all, min_length: 1, metric: exact_match, min: 0}]\n",
                  "invariances", ", doc_stride: 4, max_answer_length: 5"},
        OtherTask{"fill-mask", "masked_lm", ".txt", "[perplexity > 0, accuracy >= 0]", Lines,
                  "examples: [{text: 'the people open the [MASK] red', expect: small, min: 0}]\ninvariances: [{change: typos, min: 0}]\n"
                  "slices: [{name: long, min_length: 10, metric: perplexity, max: 1e12}, {name: threes, matches: 3$, min: 0}]\n",
                  "invariances", ", mlm_probability: 0.3, whole_word_mask: true"},
        OtherTask{"sentence-similarity", "embedding", ".csv", "[ndcg_at_10 >= 0, mrr_at_10 >= production - 1]", AnchorRows,
                  "rankings: [{query: the cat 1, best: the cat 1, others: [people of night, small]}]\n"
                  "slices: [{name: all, min_length: 1, metric: recall_at_1, min: 0}]\n",
                  "invariances", ", loss: multiple-negatives-ranking, scale: 10, matryoshka: [32, 16]"},
        OtherTask{"text-ranking", "classifier", ".csv", "[ndcg_at_10 >= 0, average_precision >= 0]", QueryRows,
                  "invariances: [{change: case, rows: 3, min: 0}]\n"
                  "slices: [{name: pairs, max_length: 7, metric: accuracy, min: 0}, {name: queries, min_length: 1, metric: ndcg_at_10, "
                  "min: 0}]\n",
                  "invariances slices"}));

// The cells of a column stand beside what a task reads, whatever lines it passes over or makes several rows of.
TEST(OtherTasks, HaveSlicesByColumnsOfTheirFiles) {
  const std::string entities = R"({"tokens": ["the", "cat"], "tags": ["O", "B-ANIMAL"], "lang": "en"}
{"tokens": [], "tags": [], "lang": "de"}
{"tokens": ["night"], "tags": ["O"], "lang": ["de", "en"]}
)";
  const std::string questions =
      R"({"question": "cat ?", "context": "the red cat", "answers": {"text": ["red"], "answer_start": [4]}, "lang": "en"}

{"question": "cat ?", "context": "the small cat", "answers": {"text": ["small"], "answer_start": [4]}, "lang": ["de", "en"]}
)";
  const std::string masks = "text,lang\nthe people open the small red train,en\n  ,en\nthis night the cat,en\nnot this,de\n";
  const std::string tuples = "anchor,positive,lang\nthe cat,people,en\nthe red,night,de\nthe train,small,en\n";
  const std::string lists = R"({"query": "cat", "documents": ["red", "night"], "labels": [1, 0], "lang": "de"}
{"query": "train", "documents": ["red", "night", "people"], "labels": [0, 0, 1], "lang": "en"}
)";
  for (const auto& [task, base, file, rows, counted] :
       {std::tuple{"token-classification", "classifier", "rows.jsonl", entities, "exact_match on 2 rows"},
        {"question-answering", "classifier", "rows.jsonl", questions, "exact_match on 2 rows"},
        {"fill-mask", "masked_lm", "rows.csv", masks, "accuracy on 2 texts"},
        {"sentence-similarity", "embedding", "rows.csv", tuples, "mrr_at_10 on 2 queries"},
        {"text-ranking", "classifier", "rows.jsonl", lists, "accuracy on 3 rows"}}) {
    TinyProject project;
    project.folder.Write(file, rows);
    project.lines = {{"task", task},
                     {"base", test::FixturePath(fmt::format("models/{}", base))},
                     {"data", fmt::format("{{train: {0}, test: {0}}}", file)},
                     {"train", "{epochs: 1, batch_size: 2, validation_split: 0}"},
                     {"tests", "tests.yaml"}};
    const std::string metric = std::string(counted).substr(0, std::string(counted).find(' '));
    project.folder.Write("tests.yaml", fmt::format("slices: [{{name: en, column: lang, equals: en, metric: {}, min: 0}}]\n", metric));
    RecordingObserver observer;
    ASSERT_FALSE(project.Apply(observer).refused()) << task;
    const TestReport report = TestModel(project.Config(), "topics", {}, observer.stop).report;
    ASSERT_EQ(report.cases.size(), 1u);
    EXPECT_THAT(report.cases[0].message, HasSubstr(std::string(counted).substr(metric.size()))) << task;
    project.folder.Write("tests.yaml", "slices:\n  - {name: x, column: langue, equals: en, min: 0}\n");
    const Error error = ExpectError(ErrorCode::kInvalidInput, fmt::format("tests.yaml: line 2: slices: {} has no column 'langue'", file),
                                    [&] { project.MakePlan(); });
    EXPECT_THAT(error.hint(), HasSubstr("did you mean 'lang'?")) << task;
  }
}

TEST(OtherTasks, SlicesOfSplitDataMayNameWhatASplitKeeps) {
  TinyProject project;
  project.folder.Write("train.csv",
                       "text,label,lang\nthe cat 1,x,en\nthe cat 2,x,de\nred 1,y,en\nred 2,y,de\nred 3,y,en\nthe cat 3,x,de\n");
  project.lines["data"] = "{train: train.csv, split: {test: 40%}}";
  project.lines["tests"] = "tests.yaml";
  project.folder.Write("tests.yaml",
                       "slices: [{name: x, column: label, equals: x, min: 0}, {name: de, column: lang, equals: [de, en], min: 0}]\n");
  ExpectError(ErrorCode::kInvalidInput,
              "tests.yaml: line 1: slices: what data.split makes (it keeps columns that data.filter names) has no column 'lang'",
              [&] { project.MakePlan(); });
  project.lines["data"] = "{train: train.csv, filter: [{column: lang, min_length: 1}], split: {test: 40%}}";
  RecordingObserver observer;
  EXPECT_FALSE(project.Apply(observer).refused()) << observer.refused["test"];
}

// A production that does not know a label of today's test data: it is wrong there, and is compared all the same.
TEST(SeveralLabels, ThatAreNewAreMeasuredAgainstAProductionWithoutThem) {
  TinyProject project;
  project.folder.Write("train.jsonl", LabelSetRows(40));
  project.folder.Write("test.jsonl", LabelSetRows(12));
  project.lines["data"] = "{train: train.jsonl, test: test.jsonl, target: tags}";
  project.lines["train"] = "{epochs: 1, multi_label: true}";
  project.lines["gates"] = "[f1 >= production - 1, exact_match >= production - 1]";
  ASSERT_FALSE(project.Apply().refused());
  project.Promote();
  const std::string more = "{\"text\": \"water night\", \"tags\": [\"time\", \"animal\"]}\n{\"text\": \"night\", \"tags\": [\"time\"]}\n";
  project.folder.Write("train.jsonl", LabelSetRows(40) + more);
  project.folder.Write("test.jsonl", LabelSetRows(12) + more);
  EXPECT_THAT(project.MakePlan().Text(), HasSubstr("2 rows added, 1 label new: 'time'"));
  RecordingObserver observer;
  ASSERT_FALSE(project.Apply(observer).refused()) << observer.refused["gate"];
  EXPECT_THAT(observer.notes, testing::Contains(HasSubstr("; the difference is ")));
  const Store store = project.OpenStore();
  const std::string production = *Aliases(store).Find("topics", kProduction);
  const ModelData data = CurrentData(project.Config(), project.Config().models.front(), store);
  const TaskEvaluation evaluation =
      TaskOf(project.Config().models.front()).evaluate(store.OpenFolder(production).path(), data.test, data, 1, observer.stop);
  EXPECT_EQ(evaluation.num_unknown, 2u);
  EXPECT_EQ(evaluation.figures.class_names.back(), "time");
  EXPECT_EQ(evaluation.figures.per_class.back().recall, 0);
  EXPECT_EQ(evaluation.figures.per_class.back().support, 2u);
  EXPECT_FALSE(evaluation.figures.loss);
  EXPECT_EQ(json::parse(evaluation.metrics_json).at("loss"), nullptr);
}

TEST(SeveralLabels, AreNotComparedWithAModelThatGivesOne) {
  TinyProject project;
  ASSERT_FALSE(project.Apply().refused());
  project.Promote();
  project.folder.Write("train.jsonl", LabelSetRows(40));
  project.folder.Write("test.jsonl", LabelSetRows(12));
  project.lines["data"] = "{train: train.jsonl, test: test.jsonl, target: tags}";
  project.lines["train"] = "{epochs: 1, multi_label: true}";
  project.lines["gates"] = "[f1 >= production]";
  try {
    project.Apply();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
    EXPECT_THAT(error.message(), HasSubstr("the model gives a text one label, expected one that gives it several labels"));
  }
  project.lines["gates"] = "";
  project.lines["tests"] = "tests.yaml";
  project.folder.Write("tests.yaml", "latency: [{tokens: 8, p99: 100 s}]\n");
  project.Apply();
  std::atomic<bool> stop = false;
  const TestReport report = TestModel(project.Config(), "topics", {}, stop).report;
  EXPECT_FALSE(report.compared);
  EXPECT_FALSE(report.failed());
  EXPECT_THAT(report.Text(false), HasSubstr("not compared with production: "));
  EXPECT_THAT(json::parse(report.Json()).at("not_compared"), HasSubstr("the model gives a text one label"));
}

// A report that could not be written would be owed for ever.
TEST(SeveralLabels, HaveAReportThatSaysWhatTheyAreNotComparedWith) {
  TinyProject project;
  project.lines["gates"] = "";
  RecordingObserver observer;
  project.ApplyAll(observer, /*reports=*/true);
  const std::string before = project.Latest();
  project.Promote();
  project.folder.Write("train.jsonl", LabelSetRows(40));
  project.folder.Write("test.jsonl", LabelSetRows(12));
  project.lines["data"] = "{train: train.jsonl, test: test.jsonl, target: tags}";
  project.lines["train"] = "{epochs: 1, multi_label: true}";
  const ApplyResult result = project.ApplyAll(observer, /*reports=*/true);
  ASSERT_FALSE(result.failed()) << result.models[0].failure->message();
  EXPECT_TRUE(result.models[0].published);
  const std::string page = test::ReadWhole(result.models[0].report + ".html");
  for (const std::string& text : {page, result.models[0].markdown}) {
    EXPECT_THAT(text, HasSubstr("Not compared with topics@" + before.substr(0, 10) +
                                ": the model gives a text one label, expected one that gives it several labels"));
    EXPECT_THAT(text, testing::Not(HasSubstr("The first revision")));
    EXPECT_THAT(text, testing::Not(HasSubstr(project.folder.path())));
  }
  EXPECT_FALSE(project.MakePlan().changes());
}

TEST(SeveralLabels, AreFilteredByEach) {
  TinyProject project;
  project.folder.Write("train.csv", "text,label\nthe cat 1,\"x; y\"\nthe cat 2,x\nred 1,y\nred 2,\nthe red,\"y; z\"\n");
  project.folder.Write("test.csv", "text,label\nthe cat,\"x; y\"\nred,y\n");
  project.lines["data"] = "{train: train.csv, test: test.csv, label_separator: ;, filter: [{column: label, equals: [x, y], not: z}]}";
  project.lines["train"] = "{epochs: 1, multi_label: true, validation_split: 0}";
  project.lines["gates"] = "";
  ASSERT_FALSE(project.Apply().refused());
  const Store store = project.OpenStore();
  const RevisionFolder folder = store.OpenFolder(store.FindRecord("topics", project.Latest())->data.at("train"));
  EXPECT_EQ(
      test::ReadWhole(store.OnlyFile(folder)),
      "{\"text\":\"the cat 1\",\"label\":\"x; y\"}\n{\"text\":\"the cat 2\",\"label\":\"x\"}\n{\"text\":\"red 1\",\"label\":\"y\"}\n");
}

TEST(Pairs, StandInTheCardTheRecordAndThePlan) {
  TinyProject project;
  project.folder.Write("train.csv", PairRows(40));
  project.folder.Write("test.csv", PairRows(12));
  ASSERT_FALSE(project.Apply().refused());
  project.lines["data"] = "{train: train.csv, test: test.csv, text_pair: reply}";
  EXPECT_THAT(project.MakePlan().Text(), HasSubstr("data.text_pair"));
  RecordingObserver observer;
  ASSERT_FALSE(project.Apply(observer).refused());
  const Store store = project.OpenStore();
  EXPECT_EQ(store.FindRecord("topics", project.Latest())->parameters.at("data.text_pair"), "reply");
  const std::string card = test::ReadWhole(store.OpenFolder(project.Latest()).path() + "/README.md");
  for (const char* expected : {"Texts from the column text, read together with those from reply, labels from label.",
                               "Gives a pair of texts one label: ", "tokens of a pair.",
                               "mlac run text-classification -m . \"your text here\" --text-pair \"your second text here\"\n"})
    EXPECT_THAT(card, HasSubstr(expected));
  const Record record = *store.FindRecord("topics", project.Latest());
  const RevisionFolder folder = store.OpenFolder(record.answers);
  EXPECT_TRUE(ReadRecordedAnswers(store.OnlyFile(folder)).answers.front().input.pair) << "what a swap is checked by";
  project.folder.Write("numbers.csv", "text,reply,label\nthe cat,red,1.5\nthe night,water,2\nred,the cat,0\nwater,night,1\n");
  project.lines["data"] = "{train: numbers.csv, test: numbers.csv, text_pair: reply}";
  project.lines["train"] = "{epochs: 1, regression: true, validation_split: 0}";
  project.lines["gates"] = "";
  ASSERT_FALSE(project.Apply(observer).refused());
  EXPECT_THAT(test::ReadWhole(store.OpenFolder(project.Latest()).path() + "/README.md"),
              HasSubstr("mlac run text-classification -m . \"your text here\" --text-pair \"your second text here\"\n"))
      << "once";
}

// `mlac train` and `mlac eval` take them; whoever asks a model one is told.
TEST(OtherTasks, QuestionsAndContextsThatSayNothingAreMeasuredAndPublished) {
  TinyProject project;
  const std::string blank =
      "{\"question\": \" \", \"context\": \"the cat\", \"answers\": {\"text\": [\"cat\"], \"answer_start\": [4]}}\n"
      "{\"question\": \"what\", \"context\": \"\", \"answers\": {\"text\": [], \"answer_start\": []}}\n";
  project.folder.Write("train.jsonl", QuestionRows(12) + blank);
  project.folder.Write("test.jsonl", blank + QuestionRows(4));
  project.lines = {{"task", "question-answering"},
                   {"base", test::FixturePath("models/classifier")},
                   {"data", "{train: train.jsonl, test: test.jsonl}"},
                   {"train", "{epochs: 1, validation_split: 0}"}};
  RecordingObserver observer;
  project.ApplyAll(observer, /*reports=*/true);
  project.Promote();
  project.lines["train"] = "{epochs: 2, validation_split: 0}";
  const ApplyResult result = project.ApplyAll(observer, /*reports=*/true);
  ASSERT_FALSE(result.failed()) << result.models[0].failure->message();
  EXPECT_TRUE(result.models[0].published);
  EXPECT_NE(ProposeTests(project.Config(), "topics", 1, observer.stop), "");
}

TEST(OtherTasks, FilesOfOtherShapesAreNotJoined) {
  TinyProject project;
  project.folder.Write("pairs.csv", AnchorRows(6));
  project.folder.Write("triples.csv", "anchor,positive,negative\na,b,c\nd,e,f\n");
  project.folder.Write("named.csv", "query,answer\na,b\nc,d\n");
  project.lines = {{"task", "sentence-similarity"}, {"base", test::FixturePath("models/embedding")}};
  const auto refused = [&](const std::string& first, const std::string& second, const std::string& message) {
    project.lines["data"] = fmt::format("{{train: [{}, {}], split: {{test: 20%}}}}", first, second);
    ExpectError(ErrorCode::kInvalidInput, message, [&] { project.MakePlan(); });
  };
  const std::string where = "mlac.yaml line 4: models.topics.data.train[1]: ";
  refused("triples.csv", "pairs.csv",
          where + "pairs.csv has the columns anchor, positive, triples.csv has the columns anchor, positive, negative");
  refused("pairs.csv", "named.csv", where + "named.csv has the columns query, answer, pairs.csv has the columns anchor, positive");
  project.lines["task"] = "token-classification";
  project.folder.Write("tags.conll", "Ann B-PER\nsleeps O\n\n");
  project.folder.Write("spans.jsonl", "{\"text\": \"Ann sleeps\", \"entities\": [{\"start\": 0, \"end\": 3, \"label\": \"PER\"}]}\n");
  refused("tags.conll", "spans.jsonl", where + "spans.jsonl has entities as spans, tags.conll has a tag for each word");
  project.folder.Write("spans.ndjson", "{\"text\": \"Ann sleeps\", \"entities\": [{\"start\": 0, \"end\": 3, \"label\": \"PER\"}]}\n");
  refused("tags.conll", "spans.ndjson", where + "spans.ndjson has entities as spans, tags.conll has a tag for each word");
}

}  // namespace
}  // namespace mlac
