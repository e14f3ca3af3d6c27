// The tests of a model: what the file may say, what is done to texts, and how each kind passes and fails, with a model that is made up.
#include "project/model_tests.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "project/run_model_tests.h"
#include "project/text_changes.h"
#include "project/text_pattern.h"
#include "tests/support/test_support.h"
#include "train/regression_metrics.h"

namespace mlac {
namespace {

using test::ExpectError;
using testing::ElementsAre;
using testing::HasSubstr;
using Status = TestCase::Status;

// ---- The file ----

TEST(ModelTests, ReadsAllThatThereIs) {
  const ModelTests tests = ParseModelTests(R"(
examples: [{text: a cat, expect: animal, min_probability: 0.5}, {text: [x, y], expect: colour, min: 50%}]
invariances: [{change: synonyms, lists: [[big, large]], min: 0.9, rows: 10}, {change: case, text: A}]
directional: [{text: good film, add: " but bad", label: neg, must: rise, by: 0.1}, {text: good film, replace: good, with: bad, label: pos, must: fall}]
slices: [{name: short, max_length: 20, min: 60%}, {name: german, column: lang, equals: de, matches: "^[A-Z]", metric: macro_f1, min: 0.5}]
latency: [{tokens: 32, p99: 10 ms, p50: 0.005 s}]
memory: 500 MB
)",
                                           "topics.yaml");
  EXPECT_EQ(*tests.examples[0].min_probability, 0.5);
  EXPECT_EQ(tests.examples[1].texts, (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(tests.invariances[0].lists, (std::vector<std::vector<std::string>>{{"big", "large"}}));
  EXPECT_EQ(tests.directional[0].add, " but bad");
  EXPECT_FALSE(tests.directional[1].rises);
  EXPECT_EQ(tests.slices[1].metric, "macro_f1");
  EXPECT_EQ(tests.Columns(), (std::vector<std::string>{"lang"}));
  EXPECT_EQ(*tests.latencies[0].p50_ms, 5);
  EXPECT_EQ(*tests.memory_bytes, 500'000'000u);
}

TEST(ModelTests, CommentsAndBlanksAreNotInTheHash) {
  const std::string hash = ParseModelTests("slices: [{name: a, max_length: 3, min: 1%}]", "x").hash;
  EXPECT_EQ(ParseModelTests("# why\nslices:\n  - name: a\n    max_length: 3\n    min: 1%\n", "x").hash, hash);
  EXPECT_NE(ParseModelTests("slices: [{name: a, max_length: 3, min: 2%}]", "x").hash, hash);
  EXPECT_NE(ParseModelTests("slices: [{name: a, max_length: 4, min: 1%}]", "x").hash, hash);
}

TEST(ModelTests, AFileOfCommentsHoldsNoTest) {
  const ModelTests tests = ParseModelTests("# later\n", "x");
  EXPECT_TRUE(tests.examples.empty() && tests.slices.empty() && !tests.measures_machine());
  EXPECT_EQ(tests.hash, ParseModelTests("", "x").hash);
}

TEST(ModelTests, WhatIsWrongIsNamed) {
  for (const auto& [text, message] : std::vector<std::pair<std::string, std::string>>{
           {"example: []", "t.yaml line 1: example: there is no such key"},
           {"examples: [{text: a}]", "t.yaml line 1: examples[0]: the key 'expect' is missing (a text or a list of texts)"},
           {"invariances: [{change: typo}]", "t.yaml line 1: invariances[0].change: there is no 'typo'"},
           {"invariances: [{change: synonyms}]", "t.yaml line 1: invariances[0]: the key 'lists' is missing (a list of lists of texts)"},
           {"invariances: [{change: names, lists: [[Ann]]}]", "t.yaml line 1: invariances[0].lists[0]: expected at least two words"},
           {"directional: [{text: a, label: b, must: rise}]", "t.yaml line 1: directional[0]: expected one of 'add' and 'replace'"},
           {"directional: [{text: a, replace: b, label: b, must: rise}]", "t.yaml line 1: directional[0]: 'b' does not stand in the text"},
           {"directional: [{text: a, add: b, label: b, must: grow}]", "t.yaml line 1: directional[0].must: there is no 'grow'"},
           {"slices: [{name: a, max_length: 3}]", "t.yaml line 1: slices[0]: expected 'min' or 'max'"},
           {"examples: [{text: a, expect: []}]", "t.yaml line 1: examples[0].expect: expected a text or a list of texts, found a list"},
           {"slices: [{name: a, min: 1%}]", "t.yaml line 1: slices[0]: this is all of the test data"},
           {"slices: [{name: a, column: b, min: 1%}]", "t.yaml line 1: slices[0]: 'column' and 'equals' stand together"},
           {"slices: [{name: a, matches: '(', min: 1%}]",
            "t.yaml line 1: slices[0].matches: '(' is no regular expression: column 2: missing closing parenthesis"},
           {"latency: [{tokens: 3}]", "t.yaml line 1: latency[0]: expected 'p50' or 'p99'"},
           {"latency: [{tokens: 3, p99: 10}]", "t.yaml line 1: latency[0].p99: expected a duration, as 10 ms or 0.5 s, found '10'"},
           {"invariances: [{change: case, text: a, rows: 3}]",
            "t.yaml line 1: invariances[0].rows: is of the test data, and 'text' is there in their place"},
           {"invariances: [{change: case, seed: 3}]", "t.yaml line 1: invariances[0].seed: is for typos; this is case"},
           {"invariances: [{change: case, lists: [[a, b]]}]",
            "t.yaml line 1: invariances[0]: 'lists' is for names and synonyms; this is case"},
           {"directional: [{text: a, add: b, with: c, label: x, must: rise}]",
            "t.yaml line 1: directional[0]: 'with' stands without 'replace'"},
           {"examples: []", "t.yaml line 1: examples: expected at least one test, found an empty list"},
           {"memory: lots", "t.yaml line 1: memory: expected a size, as 100 MB or 64 MiB, found 'lots'"}})
    ExpectError(ErrorCode::kInvalidInput, message, [&] { ParseModelTests(text, "t.yaml"); });
}

// ---- Changes of texts ----

std::vector<std::string> Changed(const std::string& change, const std::string& text, std::vector<std::vector<std::string>> lists = {},
                                 uint64_t number = 0) {
  InvarianceTest test;
  test.change = change;
  test.lists = std::move(lists);
  return ChangedTexts(test, text, number);
}

TEST(TextChanges, TyposSwapNeighbouringLettersInsideAWord) {
  for (uint64_t number = 0; number < 200; ++number) {
    const std::string text = "a small train to Paris, naïve";
    for (const std::string& changed : Changed("typos", text, {}, number)) {
      ASSERT_EQ(changed.size(), text.size());
      size_t num_different = 0;
      for (size_t i = 0; i < text.size(); ++i) num_different += changed[i] != text[i];
      EXPECT_EQ(num_different, 2u) << changed;
      EXPECT_TRUE(changed.starts_with("a s")) << changed;
      EXPECT_TRUE(changed.ends_with("naïve")) << "words with other letters stay whole: " << changed;
    }
  }
  EXPECT_EQ(Changed("typos", "small", {}, 3), Changed("typos", "small", {}, 3));
  EXPECT_THAT(Changed("typos", "a cat sat"), ElementsAre());
}

TEST(TextChanges, CaseGivesBothAndOnlyWhatDiffers) {
  EXPECT_THAT(Changed("case", "A cat"), ElementsAre("a cat", "A CAT"));
  EXPECT_THAT(Changed("case", "a cat"), ElementsAre("A CAT"));
  EXPECT_THAT(Changed("case", "123 ä"), ElementsAre());
}

TEST(TextChanges, WordsOfAListAreReplacedAsWholeWords) {
  const std::vector<std::vector<std::string>> lists = {{"big", "large"}, {"New York", "Oslo"}};
  EXPECT_THAT(Changed("synonyms", "a Big bigger large dog of New York.", lists), ElementsAre("a large bigger big dog of Oslo."));
  EXPECT_THAT(Changed("synonyms", "nothing of it", lists), ElementsAre());
  EXPECT_THAT(Changed("names", "anna met Anna", {{"Anna", "Olga"}}), ElementsAre("anna met Olga"));
  EXPECT_THAT(Changed("names", "Anna came"), ElementsAre("James came"));
}

TEST(TextPattern, FindsAndStopsAtItsLimit) {
  EXPECT_TRUE(TextPattern("^ä+\\d").FoundIn("ää3 x"));
  EXPECT_FALSE(TextPattern("^b").FoundIn("ab"));
  const std::string text(60, 'a');
  EXPECT_THROW(TextPattern("^(a+)+$").FoundIn(text + "!"), Error);
  TextPattern("(a|b)*c").FoundIn(std::string(1'000'000, 'a'));  // no recursion on the stack
}

// ---- The runner ----

// Says "long" of texts of more than 10 characters, else "short"; with "!" the probability of "long" rises.
class FakeModel : public TaskModel {
 public:
  const std::vector<std::string>& labels() const override {
    static const std::vector<std::string> kLabels = {"long", "short"};
    return kLabels;
  }
  size_t max_tokens() const override { return 64; }
  std::vector<Prediction> Predict(std::span<const TextInput> texts) override {
    std::vector<Prediction> predictions;
    for (const auto& [text, pair, place] : texts) {
      const bool is_long = text.size() > 10;
      const float p = (is_long ? 0.8f : 0.3f) + (text.find('!') != std::string::npos ? 0.1f : 0);
      predictions.push_back({is_long ? "long" : "short", is_long ? p : 1 - p, {p, 1 - p}});
    }
    return predictions;
  }
  Latency MeasureLatency(size_t num_tokens, const std::atomic<bool>&) override {
    return {static_cast<double>(num_tokens), 2.0 * static_cast<double>(num_tokens), "a processor"};
  }
};

class FakeOther : public FakeModel {
 public:
  std::vector<Prediction> Predict(std::span<const TextInput> texts) override {
    std::vector<Prediction> predictions(texts.size(), Prediction{"short", 1, {0, 1}});
    return predictions;
  }
};

std::vector<TestRow> FakeRows(const ModelData& data, size_t at_most) { return FindModelTask("text-classification").rows(data, at_most); }

constexpr ModelTask kFakeTask = {.name = "fake",
                                 .check = nullptr,
                                 .train = nullptr,
                                 .open = [](const std::string& folder, const ModelData&, size_t) -> std::unique_ptr<TaskModel> {
                                   if (folder == "other") return std::make_unique<FakeOther>();
                                   return std::make_unique<FakeModel>();
                                 },
                                 .evaluate = nullptr,
                                 .rows = FakeRows,
                                 .read_rows = nullptr};

// Gives a text its length, or with "other" a tenth of it.
class FakeNumbers : public TaskModel {
 public:
  explicit FakeNumbers(double factor) : factor_(factor) {}
  const std::vector<std::string>& labels() const override { return no_labels_; }
  size_t max_tokens() const override { return 64; }
  std::vector<Prediction> Predict(std::span<const TextInput> inputs) override {
    std::vector<Prediction> predictions;
    for (const TextInput& input : inputs) {
      const double number = factor_ * static_cast<double>(input.text.size() + input.pair.value_or("").size());
      predictions.push_back({fmt::format("{:.5g}", number), static_cast<float>(number), {}});
    }
    return predictions;
  }
  double ScoreOf(const TextInput& input, const std::string&) override {
    return static_cast<double>(Predict(std::span(&input, 1)).front().probability);
  }
  Latency MeasureLatency(size_t, const std::atomic<bool>&) override { return {}; }

 private:
  double factor_;
  const std::vector<std::string> no_labels_;
};

TaskEvaluation EvaluateFakeNumbers(const std::string&, const std::string& path, const ModelData& data, size_t, const std::atomic<bool>&) {
  std::vector<float> truth, found;
  ModelData of = data;
  of.test = path;
  for (const TestRow& row : FindModelTask("text-classification", ProblemType::kRegression).rows(of, SIZE_MAX)) {
    truth.push_back(std::stof(row.truth.front()));
    found.push_back(static_cast<float>(row.input.text.size()));
  }
  TaskEvaluation evaluation;
  evaluation.figures = ComputeRegressionMetrics(truth, found);
  return evaluation;
}

constexpr std::string_view kNumberMetrics[] = {"mse", "mae", "pearson", "spearman", "loss"};
constexpr ModelTask kNumberTask = {
    .name = "text-classification",
    .check = nullptr,
    .train = nullptr,
    .open = [](const std::string& folder, const ModelData&, size_t) -> std::unique_ptr<TaskModel> {
      return std::make_unique<FakeNumbers>(folder == "other" ? 0.1 : 1.0);
    },
    .evaluate = EvaluateFakeNumbers,
    .rows = [](const ModelData& data,
               size_t at_most) { return FindModelTask("text-classification", ProblemType::kRegression).rows(data, at_most); },
    .read_rows = nullptr,
    .figures = {.metrics = kNumberMetrics, .with_interval = kNumberMetrics},
    .labels_texts = false,
    .problem_type = ProblemType::kRegression};

// Gives a text "x" where it holds an x, and "y" likewise.
class FakeSets : public FakeNumbers {
 public:
  FakeSets() : FakeNumbers(1) {}
  const std::vector<std::string>& labels() const override {
    static const std::vector<std::string> kLabels = {"x", "y"};
    return kLabels;
  }
  std::vector<Prediction> Predict(std::span<const TextInput> inputs) override {
    std::vector<Prediction> predictions;
    for (const TextInput& input : inputs) {
      Prediction prediction;
      for (const std::string& label : labels()) {
        const bool is_there = input.text.find(label) != std::string::npos;
        prediction.probabilities.push_back(is_there ? 0.9f : 0.2f);
        if (is_there) prediction.label += (prediction.label.empty() ? "" : "; ") + label;
      }
      predictions.push_back(std::move(prediction));
    }
    return predictions;
  }
  double ScoreOf(const TextInput& input, const std::string& answer) override { return TaskModel::ScoreOf(input, answer); }
};

class RunTests : public testing::Test {
 protected:
  TestCase OneOf(const ModelTask& task, const std::string& tests, const std::string& csv = "text,label\na,1\n",
                 const std::string& pair = "") {
    const std::string path = folder.Write("test.csv", csv);
    const TestReport report = RunModelTests(
        ParseModelTests(tests, "t.yaml"),
        {.task = task,
         .folder = "model",
         .data = {.train = {}, .validation = {}, .test = path, .text_pair_column = pair},
         .compared_with = ""},
        [](const TestCase&) {}, stop);
    EXPECT_EQ(report.cases.size(), 1u);
    return report.cases.at(0);
  }

  TestReport Run(const std::string& tests, const std::string& compared_with = "") {
    const std::string csv =
        folder.Write("test.csv", "text,label,lang\ntiny,short,en\na very long text,long,en\nAlso very long,short,de\nsmall,short,de\n");
    return RunModelTests(
        ParseModelTests(tests, "t.yaml"),
        {.task = kFakeTask, .folder = "model", .data = {.train = {}, .validation = {}, .test = csv}, .compared_with = compared_with},
        [&](const TestCase&) { ++num_told; }, stop);
  }
  // The one test of the file.
  TestCase One(const std::string& tests) {
    const TestReport report = Run(tests);
    EXPECT_EQ(report.cases.size(), 1u);
    return report.cases.at(0);
  }
  void Expect(const std::string& tests, Status status, const std::string& name, const std::string& message) {
    const TestCase found = One(tests);
    EXPECT_EQ(found.status, status) << tests;
    EXPECT_EQ(found.name, name);
    EXPECT_EQ(found.message, message);
  }

  test::TemporaryFolder folder;
  std::atomic<bool> stop = false;
  size_t num_told = 0;
};

TEST_F(RunTests, Examples) {
  Expect("examples: [{text: tiny, expect: short}]", Status::kPassed, "'tiny' is short", "");
  Expect("examples: [{text: tiny, expect: long}]", Status::kFailed, "'tiny' is long", "'tiny' is 'short' (0.70), expected 'long' (0.30)");
  Expect("examples: [{text: tiny, expect: short, min_probability: 0.71}]", Status::kFailed, "'tiny' is short",
         "'tiny': 'short' has 0.70, expected at least 0.71");
  Expect("examples: [{text: [a, b, a long long text], expect: short, min: 66%}]", Status::kPassed, "3 texts are short", "");
  Expect("examples: [{text: [a, b, a long long text], expect: short, min: 67%}]", Status::kFailed, "3 texts are short",
         "2 of 3 are, 67 % must be: 'a long long text' is 'long' (0.80), expected 'short' (0.20)");
  const TestReport report = Run("examples: [{text: a, expect: shrot}, {text: a, expect: short}]");
  ASSERT_EQ(report.cases.size(), 2u) << "a label that the model does not have fails its own test alone";
  EXPECT_EQ(report.cases[0].status, Status::kFailed);
  EXPECT_EQ(report.cases[0].message, "t.yaml: the model has no label 'shrot' (did you mean 'short'? there are: long, short)");
  EXPECT_EQ(report.cases[1].status, Status::kPassed);
}

TEST_F(RunTests, Invariances) {
  Expect("invariances: [{change: case}]", Status::kPassed, "case in 4 rows of test.csv", "100.0 % keep their label, 100.0 % must");
  Expect("invariances: [{change: case, rows: 2}]", Status::kPassed, "case in 2 rows of test.csv", "100.0 % keep their label, 100.0 % must");
  Expect("invariances: [{change: synonyms, lists: [[tiny, extraordinary]], text: [tiny, extraordinary]}]", Status::kFailed,
         "synonyms in 2 texts", "0.0 % keep their label, 100.0 % must: 'tiny' is 'short', 'extraordinary' is 'long'");
  Expect("invariances: [{change: names, text: nobody}]", Status::kSkipped, "names in 0 texts", "the change applies to none of the texts");
}

TEST_F(RunTests, Directional) {
  Expect("directional: [{text: tiny, add: '!', label: long, must: rise}]", Status::kPassed, "'long' of 'tiny!' rises",
         "0.3000 before, 0.4000 after");
  Expect("directional: [{text: tiny, add: '!', label: long, must: fall}]", Status::kFailed, "'long' of 'tiny!' falls",
         "0.3000 before, 0.4000 after");
  Expect("directional: [{text: tiny, replace: t, with: T, label: long, must: rise}]", Status::kFailed, "'long' of 'Tiny' rises",
         "0.3000 before, 0.3000 after");
  Expect("directional: [{text: tiny, add: '!', label: long, must: rise, by: 0.2}]", Status::kFailed, "'long' of 'tiny!' rises",
         "0.3000 before, 0.4000 after, by 0.2 at least");
}

TEST_F(RunTests, Slices) {
  Expect("slices: [{name: short ones, max_length: 5, min: 100%}]", Status::kPassed, "short ones", "accuracy 1.0000 on 2 rows, 1 at least");
  Expect("slices: [{name: de, column: lang, equals: de, min: 51%}]", Status::kFailed, "de", "accuracy 0.5000 on 2 rows, 0.51 at least");
  Expect("slices: [{name: en a, column: lang, equals: en, matches: '^a', min: 50%}]", Status::kPassed, "en a",
         "accuracy 1.0000 on 1 rows, 0.5 at least");
  Expect("slices: [{name: fr, column: lang, equals: fr, min: 0}]", Status::kFailed, "fr", "no row of test.csv is in it");
  EXPECT_THROW(One("slices: [{name: x, column: language, equals: de, min: 0}]"), Error);
}

TEST_F(RunTests, NumbersAreMetWithinWhatTheTestSays) {
  const auto one = [&](const std::string& tests) { return OneOf(kNumberTask, tests); };
  EXPECT_EQ(one("examples: [{text: abcd, expect: 3.5, within: 0.5}]").status, Status::kPassed);
  const TestCase failed = one("examples: [{text: abcd, expect: 3.5, within: 0.49}]");
  EXPECT_EQ(failed.status, Status::kFailed);
  EXPECT_EQ(failed.name, "'abcd' is 3.5 within 0.49");
  EXPECT_EQ(failed.message, "'abcd' is 4, expected 3.5 within 0.49");
  EXPECT_EQ(one("examples: [{text: [a, b, abcd], expect: 1, within: 0, min: 66%}]").status, Status::kPassed);
  const std::string change = "change: synonyms, lists: [[big, large]], text: big";
  EXPECT_EQ(one("invariances: [{" + change + ", within: 2}]").message, "100.0 % keep their number, 100.0 % must");
  EXPECT_EQ(one("invariances: [{" + change + ", within: 1.9}]").message,
            "0.0 % keep their number, 100.0 % must: 'big' is '3', 'large' is '5'");
  EXPECT_EQ(one("directional: [{text: a, add: bc, must: rise, by: 2}]").name, "the number of 'abc' rises");
  EXPECT_EQ(one("directional: [{text: a, add: bc, must: rise, by: 2}]").status, Status::kPassed);
  EXPECT_EQ(one("directional: [{text: a, add: bc, must: rise, by: 2.1}]").status, Status::kFailed);
  const std::string csv = "text,label,lang\nab,2,en\nabc,5,de\nabcd,5,de\n";
  EXPECT_EQ(OneOf(kNumberTask, "slices: [{name: de, column: lang, equals: de, metric: mae, max: 1.5}]", csv).message,
            "mae 1.5000 on 2 rows, 1.5 at most");
  EXPECT_EQ(OneOf(kNumberTask, "slices: [{name: de, column: lang, equals: de, metric: mae, max: 1.4}]", csv).status, Status::kFailed);
  EXPECT_EQ(OneOf(kNumberTask, "slices: [{name: all, min_length: 1, metric: pearson, min: 0.5, max: 1}]", csv).status, Status::kPassed);
}

TEST_F(RunTests, NumbersThatMovedByMuchAreChangedRows) {
  std::vector<TestRow> rows;
  for (const char* truth : {"0", "10", "5", "5"}) rows.push_back({{"text", std::nullopt}, {truth}});
  const std::vector<std::string> before = {"1", "4", "5.4", "3"}, after = {"0", "10", "5.2", "9"};
  const ChangedRows changed = CompareAnswers(kNumberTask, rows, before, after);
  ASSERT_EQ(changed.better.size(), 2u) << "0.2 of a span of 10 is nothing";
  EXPECT_EQ(changed.better[0].truth, "10") << "the greatest first";
  EXPECT_EQ(changed.better[1].before, "1");
  ASSERT_EQ(changed.worse.size(), 1u);
  EXPECT_EQ(changed.worse[0].after, "9");
}

TEST_F(RunTests, OfSeveralLabelsAllAreExpectedInAnyOrder) {
  ModelTask task = FindModelTask("text-classification", ProblemType::kMultiLabel);
  task.open = [](const std::string&, const ModelData&, size_t) -> std::unique_ptr<TaskModel> { return std::make_unique<FakeSets>(); };
  const auto one = [&](const std::string& tests) { return OneOf(task, tests); };
  for (const char* right : {"text: xy, expect: [y, x]", "text: xy, expect: x; y", "text: a, expect: nothing", "text: ax, expect: x",
                            "text: xy, expect: [x, y], min_probability: 0.89", "text: a, expect: nothing, min_probability: 0.79"})
    EXPECT_EQ(one(fmt::format("examples: [{{{}}}]", right)).status, Status::kPassed) << right;
  EXPECT_EQ(one("examples: [{text: xy, expect: x}]").message, "'xy' is 'x; y' (0.00), expected 'x' (0.90)");
  EXPECT_EQ(one("examples: [{text: a, expect: [x, y]}]").message, "'a' is 'nothing' (0.00), expected 'x; y' (0.20)");
  EXPECT_EQ(one("examples: [{text: a, expect: nothing, min_probability: 0.81}]").status, Status::kFailed);
  EXPECT_EQ(one("directional: [{text: a, add: x, label: x, must: rise, by: 0.6}]").status, Status::kPassed);
  EXPECT_THAT(one("examples: [{text: a, expect: [x, z]}]").message, HasSubstr("t.yaml: the model has no label 'z'"));
}

TEST_F(RunTests, WhatATaskDoesNotHaveIsRefusedInOneLine) {
  const auto refused = [&](const char* task, ProblemType problem_type, const std::string& tests, const std::string& message,
                           const std::string& pair = "") {
    ModelData columns;
    columns.text_pair_column = pair;
    ExpectError(ErrorCode::kInvalidInput, "t.yaml: " + message,
                [&] { CheckTestKinds(ParseModelTests(tests, "t.yaml"), FindModelTask(task, problem_type), columns); });
  };
  const auto single = ProblemType::kSingleLabel, numbers = ProblemType::kRegression;
  const char* texts = "text-classification";
  refused(texts, numbers, "examples: [{text: a, expect: 1}]", "examples: the key 'within' is missing: how far the number may be away");
  refused(texts, numbers, "examples: [{text: a, expect: good, within: 1}]", "examples: 'expect': expected a number, found 'good'");
  refused(texts, numbers, "examples: [{text: a, expect: 1, within: 1, min_probability: 0.5}]",
          "examples: 'min_probability': a number has none; this is text-classification with regression");
  refused(texts, numbers, "invariances: [{change: case}]", "invariances: the key 'within' is missing: how far the number may be away");
  refused(texts, numbers, "directional: [{text: a, add: b, label: x, must: rise}]",
          "directional: 'label': there is one score alone in text-classification with regression");
  refused(texts, numbers, "slices: [{name: a, max_length: 3, metric: mae, min: 0}]",
          "line 1: slices: mae falls where a model gets better; expected 'max'");
  refused(texts, single, "examples: [{text: a, expect: b, within: 1}]",
          "examples: 'within' is for text-classification with regression; this is text-classification");
  refused(texts, single, "examples: [{text: a, expect: b}]", "examples: the key 'text_pair' is missing: the second text", "reply");
  refused(texts, single, "examples: [{text: a, text_pair: c, expect: b}]",
          "examples: 'text_pair' is for text-classification with data.text_pair; this is text-classification");
  refused(texts, single, "directional: [{text: a, add: b, must: rise}]",
          "directional: the key 'label' is missing: whose probability is looked at");
  refused(texts, single, "directional: [{text: a, add: b, label: c, must: rise, by: 2}]",
          "directional: 'by': a score of text-classification is at most 1, found 2");
  refused("text-ranking", single, "directional: [{text: a, add: b, must: rise}]",
          "directional: the key 'query' is missing: what the text is to answer, or to be near to");
  refused("fill-mask", single, "directional: [{text: a, add: b, query: c, label: d, must: rise}]",
          "directional: 'query' is for sentence-similarity and text-ranking; this is fill-mask");
  refused("question-answering", single, "directional: [{text: a, add: b, label: d, must: rise}]",
          "directional: the key 'question' is missing: what is asked of the text");
  refused("fill-mask", single, "slices: [{name: a, max_length: 3, metric: perplexity, min: 0}]",
          "line 1: slices: perplexity falls where a model gets better; expected 'max'");
}

TEST_F(RunTests, PairsAreReadTogether) {
  const std::string csv = "text,reply,label\nab,cd,4\na,bcd,4\n";
  EXPECT_EQ(OneOf(kNumberTask, "examples: [{text: ab, text_pair: cde, expect: 5, within: 0}]", csv, "reply").status, Status::kPassed);
  EXPECT_EQ(OneOf(kNumberTask, "directional: [{text: ab, text_pair: cde, replace: b, with: '', must: fall, by: 1}]", csv, "reply").message,
            "5.0000 before, 4.0000 after, by 1 at least");
  EXPECT_EQ(OneOf(kNumberTask, "invariances: [{change: case, within: 0}]", csv, "reply").name, "case in 2 rows of test.csv");
}

TEST_F(RunTests, Latency) {
  Expect("latency: [{tokens: 8, p50: 8 ms, p99: 16 ms}]", Status::kPassed, "8 tokens",
         "p50 8.00 ms, p99 16.00 ms on a processor, p50 at most 8 ms, p99 at most 16 ms");
  Expect("latency: [{tokens: 8, p99: 15 ms}]", Status::kFailed, "8 tokens", "p50 8.00 ms, p99 16.00 ms on a processor, p99 at most 15 ms");
}

TEST_F(RunTests, MemoryIsWhatTheModelAdds) { EXPECT_NE(One("memory: 10 GB").status, Status::kFailed); }

TEST_F(RunTests, RowsThatChangedStandBetterFirst) {
  const TestReport report = Run("examples: [{text: tiny, expect: short}]", "other");
  ASSERT_EQ(report.changed.size(), 2u);
  EXPECT_EQ(report.num_better, 1u);
  EXPECT_EQ(report.num_worse, 1u);
  EXPECT_EQ(report.changed[0].place, "test.csv line 3");
  EXPECT_EQ(report.changed[0].after, "long");
  EXPECT_THAT(report.Text(false),
              HasSubstr("2 rows of the test data are answered otherwise than by production: 1 better, 1 worse, 0 wrong both times\n"
                        "  +  test.csv line 3: 'short' -> 'long', true is 'long': a very long text\n"));
  EXPECT_EQ(num_told, 1u);
}

TEST_F(RunTests, ReportsForPeopleProgramsAndCi) {
  const TestReport report =
      Run("examples: [{text: tiny, expect: short}, {text: '<tiny> & \"x\"', expect: short}]\ninvariances: [{change: names, text: nobody}]");
  EXPECT_EQ(report.Text(false),
            "FAIL  examples: '<tiny> & \"x\"' is short: '<tiny> & \"x\"' is 'long' (0.80), expected 'short' (0.20)\n"
            "skip  invariances: names in 0 texts: the change applies to none of the texts\n1 passed, 1 failed, 1 skipped\n");
  EXPECT_TRUE(report.Text(true).starts_with("ok    examples: 'tiny' is short\n"));
  const nlohmann::json json = nlohmann::json::parse(report.Json());
  EXPECT_EQ(json.at("failed"), 1);
  EXPECT_EQ(json.at("tests")[0].at("status"), "passed");
  const std::string xml = JUnitOf({{"topics", report}});
  EXPECT_THAT(xml, HasSubstr("<testsuites name=\"topics\" tests=\"3\" failures=\"1\" errors=\"0\" skipped=\"1\""));
  EXPECT_THAT(xml, HasSubstr("<testcase classname=\"topics.examples\" name=\"&#39;tiny&#39; is short\""));
  EXPECT_THAT(xml, HasSubstr("<failure message=\"&#39;&lt;tiny&gt; &amp; &quot;x&quot;&#39; is &#39;long&#39;"));
  EXPECT_THAT(xml, HasSubstr("<testsuite name=\"topics.invariances\" tests=\"1\" failures=\"0\" errors=\"0\" skipped=\"1\""));
}

TEST_F(RunTests, JUnitHoldsSeveralModels) {
  const TestReport report = Run("examples: [{text: tiny, expect: short}]");
  const std::string xml = JUnitOf({{"a", report}, {"b", report}});
  EXPECT_THAT(xml, HasSubstr("<testsuites name=\"a, b\" tests=\"2\" failures=\"0\" errors=\"0\" skipped=\"0\""));
  EXPECT_THAT(xml, HasSubstr("<testsuite name=\"a.examples\" tests=\"1\""));
  EXPECT_THAT(xml, HasSubstr("<testsuite name=\"b.examples\" tests=\"1\""));
  EXPECT_EQ(xml.find("<?xml", 1), std::string::npos);
}

TEST_F(RunTests, AnInterruptionStops) {
  stop = true;
  ExpectError(ErrorCode::kCancelled, "interrupted", [&] { Run("examples: [{text: tiny, expect: short}]"); });
}

}  // namespace
}  // namespace mlac
