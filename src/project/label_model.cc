// text-classification with one label a text as models of mlac.yaml do it.
#include <algorithm>
#include <unordered_map>

#include "kernels/cross_entropy.h"
#include "project/sequence_model.h"
#include "project/task_models.h"
#include "train/text_targets.h"

namespace mlac {
namespace {

constexpr ProblemType kOneLabel = ProblemType::kSingleLabel;

class LabelModel : public SequenceModel {
 public:
  LabelModel(const std::string& folder, const ModelData& data, size_t num_threads) : SequenceModel(folder, data, num_threads, kOneLabel) {}

  std::vector<Prediction> Predict(std::span<const TextInput> inputs) override {
    const size_t num_labels = labels().size();
    const std::vector<float> logits = Logits(inputs), probabilities = Probabilities(logits, num_labels);
    const std::vector<int32_t> best = Argmax(logits, num_labels);
    std::vector<Prediction> predictions;
    for (size_t i = 0; i < inputs.size(); ++i) {
      const std::span row = std::span(probabilities).subspan(i * num_labels, num_labels);
      const auto label = static_cast<size_t>(best[i]);
      predictions.push_back({labels()[label], row[label], {row.begin(), row.end()}});
    }
    return predictions;
  }
};

}  // namespace

std::vector<Finding> CheckLabels(const ModelData& data, std::vector<std::string>& notes) {
  std::vector<std::string> label_names;
  std::vector<LabelledTexts> texts;
  std::vector<DataPart> parts;
  texts.reserve(3);
  for (const auto& [name, path] : {std::pair{"train", data.train}, {"validation", data.validation}, {"test", data.test}}) {
    if (path.empty()) continue;
    texts.push_back(ReadTargetTexts(path, data, kOneLabel, label_names));
    label_names = texts.front().label_names;
    notes.insert(notes.end(), texts.back().notes.begin(), texts.back().notes.end());
    parts.push_back({name, &texts.back(), 0});
  }
  return CheckData(parts);
}

std::unique_ptr<TaskModel> OpenLabelModel(const std::string& folder, const ModelData& data, size_t num_threads) {
  return std::make_unique<LabelModel>(folder, data, num_threads);
}

TaskEvaluation EvaluateLabels(const std::string& folder, const std::string& data, const ModelData& columns, size_t num_threads,
                              const std::atomic<bool>& stop) {
  LabelModel model(folder, columns, num_threads);
  const LabelledTexts texts = ReadTargetTexts(data, columns, kOneLabel);
  TaskEvaluation result;
  std::vector<std::string> names = model.labels();
  std::unordered_map<std::string, int32_t> ids;
  for (size_t i = 0; i < names.size(); ++i) ids.emplace(names[i], static_cast<int32_t>(i));
  for (size_t i = 0; i < model.labels().size(); ++i)  // a model of before may have learnt labels with blanks at their ends
    ids.emplace(TrimmedLabel(names[i]), static_cast<int32_t>(i));
  for (const int32_t label : texts.labels) {
    const std::string& name = texts.label_names[static_cast<size_t>(label)];
    const auto [entry, is_new] = ids.emplace(name, static_cast<int32_t>(names.size()));
    if (is_new) names.push_back(name);
    if (entry->second >= static_cast<int32_t>(model.labels().size())) ++result.num_unknown;
    result.truth.push_back(entry->second);
  }
  const size_t num_labels = model.labels().size();
  const std::vector<float> logits = model.Logits(texts, stop);
  result.predicted = Argmax(logits, num_labels);
  std::vector<float> losses;
  if (result.num_unknown == 0) {
    std::vector<double> exact(texts.size());
    kernels::CrossEntropy(logits.data(), result.truth.data(), exact.size(), num_labels, exact.data(), nullptr, nullptr);
    losses.assign(exact.begin(), exact.end());
  }
  result.metrics = ComputeMetrics(result.truth, result.predicted, losses, std::move(names));
  result.figures = ToFigures(result.metrics);
  result.metrics_json = MetricsJson(result.metrics);
  return result;
}

std::vector<TestRow> RowsOfLabels(const ModelData& data, size_t at_most) {
  const LabelledTexts texts = ReadTargetTexts(data.test, data, kOneLabel);
  std::vector<TestRow> rows;
  for (size_t i = 0; i < std::min(at_most, texts.size()); ++i)
    rows.push_back(TestRowOf(texts, i, texts.label_names[static_cast<size_t>(texts.labels[i])]));
  return rows;
}

}  // namespace mlac
