// question-answering as models of mlac.yaml do it.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "pipelines/sequence_task.h"
#include "base/json.h"
#include "project/fine_tuned_task.h"
#include "project/task_models.h"
#include "train/answer_metrics.h"
#include "train/questions.h"

namespace mlac {
namespace {

using nlohmann::json;

class AnswerModel : public TaskModel {
 public:
  AnswerModel(const std::string& folder, const ModelData& data, size_t num_threads)
      : model_(folder, {.num_threads = num_threads, .max_length = {}, .truncate = true}), test_data_(data.test) {
    model_.Require("question-answering");
  }

  const std::vector<std::string>& labels() const override { return no_labels_; }
  size_t max_tokens() const override { return model_.model().max_positions(); }
  TextInput InputWith(const std::string& text) const override { return {"a", text}; }

  std::vector<Prediction> Predict(std::span<const TextInput> inputs) override {
    std::vector<Prediction> predictions;
    for (const json& answer : Answers(inputs, std::nullopt, MayBeNothing())) {
      const std::string text = answer.at("answer");
      predictions.push_back({text, answer.at("score"), {}, fmt::format("{}", fmt::join(WordsOfAnswer(text), " "))});
    }
    return predictions;
  }

  // Of the best answers the one that is meant, "" or "nothing" being that there is none.
  double ScoreOf(const TextInput& input, const std::string& answer) override {
    constexpr size_t kLookedAt = 20;
    const bool is_nothing = answer.empty() || answer == kNothing;
    double best = 0;
    json answers = Answers(std::span(&input, 1), kLookedAt, is_nothing || MayBeNothing()).at(0);
    if (!answers.is_array()) answers = json::array({answers});
    for (const json& each : answers) {
      const std::string text = each.at("answer");
      if (is_nothing ? text.empty() : SameAnswer(text, answer)) best = std::max(best, each.at("score").get<double>());
    }
    return best;
  }

  Latency MeasureLatency(size_t num_tokens, const std::atomic<bool>& stop) override {
    return MeasurePasses(model_, num_tokens, stop, [&](const TokenBatch& batch) { model_.TokenLogits(batch); });
  }

 private:
  static constexpr size_t kMaxAnswerLength = 30;  // EvaluationOptions' own

  // As `mlac eval` measures: no answer is one where the test data has such questions.
  bool MayBeNothing() {
    if (!may_be_nothing_) may_be_nothing_ = !test_data_.empty() && ReadQuestions(test_data_).HasUnanswerable();
    return *may_be_nothing_;
  }

  json Answers(std::span<const TextInput> inputs, std::optional<size_t> top_k, bool may_be_nothing) {
    const std::unique_ptr<Task> task = MakeQuestionAnswering({.format = OutputFormat::kJson,
                                                              .top_k = top_k,
                                                              .max_answer_length = kMaxAnswerLength,
                                                              .handle_impossible_answer = may_be_nothing,
                                                              .takes_blank = true});
    std::string answers;
    task->Begin(answers);
    task->Add(model_, inputs, answers);
    task->End(answers);
    return ParseJson(answers, "answers");
  }

  TextModel model_;
  const std::string test_data_;
  std::optional<bool> may_be_nothing_;
  const std::vector<std::string> no_labels_;
};

}  // namespace

std::unique_ptr<TaskModel> OpenAnswerFinder(const std::string& folder, const ModelData& data, size_t num_threads) {
  return std::make_unique<AnswerModel>(folder, data, num_threads);
}

std::vector<TestRow> RowsOfQuestions(const ModelData& data, size_t at_most) {
  const Questions questions = ReadQuestions(data.test);
  std::vector<TestRow> rows;
  for (size_t i = 0; i < std::min(at_most, questions.size()); ++i) {
    TestRow row = {{questions.texts.texts[i], questions.texts.pairs[i], questions.texts.Place(i)}, {}, questions.texts.lines[i]};
    for (const GoldAnswer& answer : questions.answers[i]) row.truth.push_back(answer.text);
    if (row.truth.empty()) row.truth.emplace_back();
    rows.push_back(std::move(row));
  }
  return rows;
}

bool SameAnswer(const std::string& a, const std::string& b) { return WordsOfAnswer(a) == WordsOfAnswer(b); }

}  // namespace mlac
