// text-classification with a number a text, a regression, as models of mlac.yaml do it.
#include <fmt/format.h>

#include <algorithm>

#include "project/sequence_model.h"
#include "project/task_models.h"
#include "train/text_targets.h"

namespace mlac {
namespace {

constexpr ProblemType kANumber = ProblemType::kRegression;

class NumberModel : public SequenceModel {
 public:
  NumberModel(const std::string& folder, const ModelData& data, size_t num_threads) : SequenceModel(folder, data, num_threads, kANumber) {}

  const std::vector<std::string>& labels() const override { return no_labels_; }  // that of the folder is the column's name

  std::vector<Prediction> Predict(std::span<const TextInput> inputs) override {
    std::vector<Prediction> predictions;
    for (const float number : Logits(inputs)) predictions.push_back({fmt::format("{:.5g}", number), number, {}});
    return predictions;
  }

  double ScoreOf(const TextInput& input, const std::string&) override { return static_cast<double>(Logits(std::span(&input, 1)).front()); }

 private:
  const std::vector<std::string> no_labels_;
};

}  // namespace

std::unique_ptr<TaskModel> OpenNumberModel(const std::string& folder, const ModelData& data, size_t num_threads) {
  return std::make_unique<NumberModel>(folder, data, num_threads);
}

TaskEvaluation EvaluateNumbers(const std::string& folder, const std::string& data, const ModelData& columns, size_t num_threads,
                               const std::atomic<bool>& stop) {
  NumberModel model(folder, columns, num_threads);
  const LabelledTexts texts = ReadTargetTexts(data, columns, kANumber);
  const LabelledTokens targets = WithoutTokens(texts, ReadTargets(texts, kANumber, {}, ""));
  TaskEvaluation result;
  MeasureSequences(model.Logits(texts, stop), targets, {columns.target_column}, kANumber, [&stop] { ThrowIfStopped(stop); }, result.metrics, result.figures,
                   result.metrics_json);
  return result;
}

std::vector<TestRow> RowsOfNumbers(const ModelData& data, size_t at_most) {
  const LabelledTexts texts = ReadTargetTexts(data.test, data, kANumber);
  const std::vector<float> numbers = ReadTargets(texts, kANumber, {}, "");
  std::vector<TestRow> rows;
  for (size_t i = 0; i < std::min(at_most, texts.size()); ++i) rows.push_back(TestRowOf(texts, i, fmt::format("{:.5g}", numbers[i])));
  return rows;
}

}  // namespace mlac
