// Tasks against transformers' pipelines in float64, on tiny random models: the same JSON, numbers within 1e-5.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "pipelines/task.h"
#include "tests/support/reference.h"

namespace mlac {
namespace {

using nlohmann::json;

constexpr double kBound = 1e-5;

void ExpectSame(const json& found, const json& expected, const std::string& where) {
  if (expected.is_number_float()) {
    ASSERT_TRUE(found.is_number()) << where << ": " << found;
    EXPECT_NEAR(found.get<double>(), expected.get<double>(), kBound * std::max(1.0, std::fabs(expected.get<double>()))) << where;
  } else if (expected.is_array()) {
    ASSERT_TRUE(found.is_array()) << where << ": " << found;
    ASSERT_EQ(found.size(), expected.size()) << where << ": " << found << " for " << expected;
    for (size_t i = 0; i < expected.size(); ++i) ExpectSame(found[i], expected[i], where + "[" + std::to_string(i) + "]");
  } else if (expected.is_object()) {
    ASSERT_TRUE(found.is_object()) << where << ": " << found;
    ASSERT_EQ(found.size(), expected.size()) << where << ": " << found << " for " << expected;
    for (const auto& [key, value] : expected.items()) {
      ASSERT_TRUE(found.contains(key)) << where << ": " << key;
      ExpectSame(found.at(key), value, where + "." + key);
    }
  } else {
    EXPECT_EQ(found, expected) << where;
  }
}

TaskOptions OptionsOf(const json& given) {
  const std::map<std::string, Aggregation> aggregations = {{"none", Aggregation::kNone}, {"simple", Aggregation::kSimple}, {"first", Aggregation::kFirst},
                                                           {"average", Aggregation::kAverage}, {"max", Aggregation::kMax}};
  TaskOptions options = {.format = OutputFormat::kJson};
  for (const auto& [name, value] : given.items()) {
    if (name == "aggregation") options.aggregation = aggregations.at(value);
    else if (name == "stride") options.stride = value;
    else if (name == "ignore_labels") options.ignore_labels = value;
    else if (name == "top_k") options.top_k = value;
    else if (name == "handle_impossible_answer") options.handle_impossible_answer = value;
    else if (name == "align_to_words") options.align_to_words = value;
    else if (name == "max_answer_length") options.max_answer_length = value;
    else if (name == "window") options.window = value;
    else if (name == "doc_stride") options.doc_stride = value;
    else if (name == "targets")
      options.targets = value.get<std::vector<std::string>>();
    else if (name == "function_to_apply") options.function_to_apply = ScoreFunction::kNone;
    else if (name == "candidate_labels") options.candidate_labels = value;
    else if (name == "multi_label") options.multi_label = value;
    else if (name == "hypothesis_template") options.hypothesis_template = value;
    else if (name == "query") options.query = value;
    else if (name == "raw_scores") options.raw_scores = value;
    else ADD_FAILURE() << "unknown option " << name;
  }
  return options;
}

std::vector<TextInput> InputsOf(const json& given) {
  std::vector<TextInput> inputs;
  for (const json& input : given) {
    if (input.is_array()) inputs.push_back({input[0], input[1].get<std::string>()});
    else inputs.push_back({input, std::nullopt});
  }
  return inputs;
}

const TaskInfo& FindTask(const std::string& name) {
  for (const TaskInfo& info : AllTasks())
    if (info.name == name) return info;
  throw std::runtime_error("no task " + name);
}

// The JSON of a task, given its inputs in chunks of this size.
json RunTask(const std::string& task_name, TextModel& model, const TaskOptions& options, const std::vector<TextInput>& inputs, size_t chunk) {
  const std::unique_ptr<Task> task = FindTask(task_name).make(options);
  std::string out;
  task->Begin(out);
  for (size_t i = 0; i < inputs.size(); i += chunk) task->Add(model, std::span(inputs).subspan(i, std::min(chunk, inputs.size() - i)), out);
  task->End(out);
  return json::parse(out);
}

TEST(TaskParity, AnswersAreThoseOfThePipelines) {
  size_t count = 0;
  for (const json& entry : ReadJsonFile(test::FixturePath("families/tasks.json"))) {
    const std::string task = entry.at("task"), name = entry.at("model");
    SCOPED_TRACE(task + ", " + name + ", " + entry.at("options").dump());
    TextModel model(test::FixturePath("families/" + name), {.num_threads = 2});
    const TaskOptions options = OptionsOf(entry.at("options"));
    const std::vector<TextInput> inputs = InputsOf(entry.at("inputs"));
    const json found = RunTask(task, model, options, inputs, inputs.size());
    ExpectSame(found, entry.at("answers"), "answer");
    EXPECT_EQ(RunTask(task, model, options, inputs, 1), found) << "one by one";
    ++count;
  }
  EXPECT_GE(count, 79u);
}

std::string ErrorOf(const std::string& task, const std::string& model_name, const TaskOptions& options, const std::vector<TextInput>& inputs) {
  try {
    TextModel model(test::FixturePath("families/" + model_name));
    RunTask(task, model, options, inputs, inputs.size());
  } catch (const Error& error) {
    return error.message().substr(error.message().rfind('/') + 1);
  }
  return "no error";
}

TEST(Tasks, RefuseWhatTheyCannotDo) {
  const std::vector<TextInput> one = {{"the cat", std::nullopt}};
  EXPECT_EQ(ErrorOf("fill-mask", "bert_tokens", {}, one),
            "bert_tokens: the model has no head for fill-mask; it can do feature-extraction, sentence-similarity, token-classification");
  EXPECT_EQ(ErrorOf("fill-mask", "distilbert_masked_lm", {}, one), "text 1: expected the mask token [MASK] in the text, found none");
  EXPECT_EQ(ErrorOf("fill-mask", "distilbert_masked_lm", {}, {{"the cat", std::nullopt, "in.csv line 7"}}),
            "in.csv line 7: expected the mask token [MASK] in the text, found none");
  EXPECT_EQ(ErrorOf("question-answering", "bert_qa", {}, one), "question-answering: expected a context beside the question, found none");
  EXPECT_EQ(ErrorOf("question-answering", "bert_qa", {.window = 65}, {{"who", "the cat"}}), "question-answering: a window of 65 tokens; the model takes 64");
  EXPECT_EQ(ErrorOf("question-answering", "bert_qa", {.window = 8, .doc_stride = 6}, {{"who", "the cat was not there"}}),
            "a window of 8 tokens has 6 besides the text that is cut; more than the stride of 6 must be left");
  EXPECT_EQ(ErrorOf("token-classification", "bert_tokens", {.stride = 3}, one),
            "token-classification: windows overlap, so their entities have to be joined");
  EXPECT_EQ(ErrorOf("zero-shot-classification", "electra_nli", {}, one), "zero-shot-classification: expected at least one label, found none");
  EXPECT_EQ(ErrorOf("zero-shot-classification", "electra_nli", {.candidate_labels = {"a"}, .hypothesis_template = "it is"}, one),
            "zero-shot-classification: expected {} for the label in the hypothesis template, found 'it is'");
  EXPECT_EQ(ErrorOf("zero-shot-classification", "distilbert_classifier", {.candidate_labels = {"a"}}, one),
            "distilbert_classifier: the model has no head for zero-shot-classification; it can do feature-extraction, sentence-similarity, text-classification");
  EXPECT_EQ(ErrorOf("text-ranking", "electra_nli", {.query = "x"}, one),
            "electra_nli: the model has no head for text-ranking; it can do feature-extraction, sentence-similarity, text-classification, zero-shot-classification");
  EXPECT_EQ(ErrorOf("text-ranking", "mpnet_reranker", {}, one), "text-ranking: expected a query, found none");
}

TEST(TextRanking, KeepsTheBestInTheMemoryOfTheBest) {
  TextModel model(test::FixturePath("families/mpnet_reranker"));
  std::vector<TextInput> texts;
  for (int i = 0; i < 60; ++i) texts.push_back({"the cat " + std::string(1, static_cast<char>('a' + i % 26)) + (i % 2 ? " dog" : ""), std::nullopt});
  const json all = RunTask("text-ranking", model, {.format = OutputFormat::kJson, .query = "cat"}, texts, 7);
  const json best = RunTask("text-ranking", model, {.format = OutputFormat::kJson, .top_k = 5, .query = "cat"}, texts, 7);
  ASSERT_EQ(all.size(), 60u);
  EXPECT_EQ(best, json(std::vector<json>(all.begin(), all.begin() + 5)));
}

}  // namespace
}  // namespace mlac
