// text-classification with several labels a text as models of mlac.yaml do it.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <unordered_set>

#include "project/sequence_model.h"
#include "project/task_models.h"
#include "train/text_targets.h"

namespace mlac {
namespace {

constexpr ProblemType kSeveralLabels = ProblemType::kMultiLabel;
constexpr std::string_view kBetween = "; ";  // labels of an answer

class LabelSetModel : public SequenceModel {
 public:
  LabelSetModel(const std::string& folder, const ModelData& data, size_t num_threads)
      : SequenceModel(folder, data, num_threads, kSeveralLabels) {}

  std::vector<Prediction> Predict(std::span<const TextInput> inputs) override {
    const size_t num_labels = labels().size();
    const std::vector<float> logits = Logits(inputs), probabilities = Sigmoids(logits);
    std::vector<Prediction> predictions;
    for (size_t i = 0; i < inputs.size(); ++i) {
      Prediction prediction = {"", 1, {}};
      for (size_t label = 0; label < num_labels; ++label) {
        const size_t place = i * num_labels + label;
        const bool is_given = logits[place] > 0;
        prediction.probabilities.push_back(probabilities[place]);
        prediction.probability = std::min(prediction.probability, is_given ? probabilities[place] : 1 - probabilities[place]);
        if (is_given) prediction.label += fmt::format("{}{}", prediction.label.empty() ? "" : kBetween, labels()[label]);
      }
      predictions.push_back(std::move(prediction));
    }
    return predictions;
  }
};

std::vector<std::string> SortedParts(std::string_view answer) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin < answer.size();) {
    const size_t end = std::min(answer.find(kBetween, begin), answer.size());
    parts.emplace_back(answer.substr(begin, end - begin));
    begin = end + kBetween.size();
  }
  std::sort(parts.begin(), parts.end());
  return parts;
}

}  // namespace

std::unique_ptr<TaskModel> OpenLabelSetModel(const std::string& folder, const ModelData& data, size_t num_threads) {
  return std::make_unique<LabelSetModel>(folder, data, num_threads);
}

TaskEvaluation EvaluateLabelSets(const std::string& folder, const std::string& data, const ModelData& columns, size_t num_threads,
                                 const std::atomic<bool>& stop) {
  LabelSetModel model(folder, columns, num_threads);
  const LabelledTexts texts = ReadTargetTexts(data, columns, kSeveralLabels);
  TaskEvaluation result;
  std::vector<std::string> names = model.labels();
  const std::unordered_set<std::string> known(names.begin(), names.end());
  std::unordered_set<std::string> all = known;
  for (const std::string& cell : texts.targets) {
    bool has_unknown = false;
    for (std::string& label : SplitLabels(cell, columns.label_separator)) {
      has_unknown = has_unknown || !known.contains(label);
      if (all.insert(label).second) names.push_back(std::move(label));
    }
    result.num_unknown += has_unknown;
  }
  const std::vector<float> of_known = model.Logits(texts, stop);
  std::vector<float> logits;  // [texts, names]: a label that the model has never seen is given to no text
  for (size_t row = 0; row < texts.size(); ++row) {
    const auto begin = of_known.begin() + static_cast<ptrdiff_t>(row * model.labels().size());
    logits.insert(logits.end(), begin, begin + static_cast<ptrdiff_t>(model.labels().size()));
    logits.resize((row + 1) * names.size(), -1.0f);
  }
  const LabelledTokens targets = WithoutTokens(texts, ReadTargets(texts, kSeveralLabels, names, columns.label_separator));
  MeasureSequences(logits, targets, names, kSeveralLabels, [&stop] { ThrowIfStopped(stop); }, result.metrics, result.figures, result.metrics_json);
  if (result.num_unknown == 0) return result;
  result.figures.loss.reset();
  result.metrics_json = FiguresJson(result.figures);
  return result;
}

std::vector<TestRow> RowsOfLabelSets(const ModelData& data, size_t at_most) {
  const LabelledTexts texts = ReadTargetTexts(data.test, data, kSeveralLabels);
  std::vector<TestRow> rows;
  for (size_t i = 0; i < std::min(at_most, texts.size()); ++i)
    rows.push_back(TestRowOf(texts, i, fmt::format("{}", fmt::join(SplitLabels(texts.targets[i], data.label_separator), kBetween))));
  return rows;
}

bool SameLabels(const std::string& a, const std::string& b) { return SortedParts(a) == SortedParts(b); }

}  // namespace mlac
