#include "project/model_task.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "base/error.h"
#include "base/file.h"
#include "data/texts.h"
#include "kernels/cross_entropy.h"
#include "pipelines/text_model.h"
#include "project/config.h"
#include "project/fine_tuned_task.h"
#include "train/text_targets.h"

namespace mlac {
namespace {

constexpr size_t kTextsAtOnce = 256;

class TextClassifier : public TaskModel {
 public:
  TextClassifier(const std::string& folder, size_t num_threads)
      : model_(folder, {.num_threads = num_threads, .max_length = {}, .truncate = true}) {
    if (model_.model().head() != Head::kSequenceClassification) model_.Logits({});  // throws what the model can do
  }

  const std::vector<std::string>& labels() const override { return model_.label_names(); }

  size_t max_tokens() const override { return model_.model().max_positions(); }

  // [texts, labels]
  std::vector<float> Logits(std::span<const std::string> texts) {
    std::vector<float> logits;
    for (size_t begin = 0; begin < texts.size(); begin += kTextsAtOnce) {
      std::vector<TextInput> part;
      for (const std::string& text : texts.subspan(begin, std::min(kTextsAtOnce, texts.size() - begin)))
        part.push_back({text, std::nullopt});
      const std::vector<float> some = model_.Logits(model_.Encode(part).batch);
      logits.insert(logits.end(), some.begin(), some.end());
    }
    return logits;
  }

  std::vector<Prediction> Predict(std::span<const std::string> texts) override {
    const size_t num_labels = labels().size();
    const std::vector<float> logits = Logits(texts), probabilities = Probabilities(logits, num_labels);
    const std::vector<int32_t> best = Argmax(logits, num_labels);
    std::vector<Prediction> predictions;
    for (size_t i = 0; i < texts.size(); ++i) {
      const std::span row = std::span(probabilities).subspan(i * num_labels, num_labels);
      const auto label = static_cast<size_t>(best[i]);
      predictions.push_back({labels()[label], row[label], {row.begin(), row.end()}});
    }
    return predictions;
  }

  Latency MeasureLatency(size_t num_tokens, const std::atomic<bool>& stop) override {
    return MeasurePasses(model_, num_tokens, stop, [&](const TokenBatch& batch) { model_.Logits(batch); });
  }

 private:
  TextModel model_;
};

// ---- text-classification ----

std::vector<Finding> CheckClassification(const ModelData& data, std::vector<std::string>& notes) {
  LabelledTextsOptions reading = {.text_column = data.text_column, .label_column = data.target_column};
  std::vector<LabelledTexts> texts;
  std::vector<DataPart> parts;
  texts.reserve(3);
  for (const auto& [name, path] : {std::pair{"train", data.train}, {"validation", data.validation}, {"test", data.test}}) {
    if (path.empty()) continue;
    texts.push_back(ReadLabelledTexts(path, reading));
    reading.label_names = texts.front().label_names;
    notes.insert(notes.end(), texts.back().notes.begin(), texts.back().notes.end());
    parts.push_back({name, &texts.back(), 0});
  }
  return CheckData(parts);
}

FineTuneResult TrainClassification(const ModelConfig& model, const std::string& base, const ModelData& data, const std::string& out,
                                   size_t num_threads, FineTuneObserver& observer, const std::atomic<bool>& stop) {
  FineTuneOptions options = TrainingOptionsOf(model, base, data, out, num_threads);
  options.sequence.class_weights = model.train.class_weights;
  return FineTuneClassifier(options, observer, stop);
}

std::unique_ptr<TaskModel> OpenClassifier(const std::string& folder, size_t num_threads) {
  return std::make_unique<TextClassifier>(folder, num_threads);
}

TaskEvaluation EvaluateClassification(const std::string& folder, const std::string& data, const ModelData& columns, size_t num_threads,
                                      const std::atomic<bool>& stop) {
  TextClassifier model(folder, num_threads);
  const LabelledTexts texts = ReadLabelledTexts(data, {.text_column = columns.text_column, .label_column = columns.target_column});
  TaskEvaluation result;
  std::vector<std::string> names = model.labels();
  std::unordered_map<std::string, int32_t> ids;
  for (size_t i = 0; i < names.size(); ++i) ids.emplace(names[i], static_cast<int32_t>(i));
  for (const int32_t label : texts.labels) {
    const std::string& name = texts.label_names[static_cast<size_t>(label)];
    const auto [entry, is_new] = ids.emplace(name, static_cast<int32_t>(names.size()));
    if (is_new) names.push_back(name);
    if (entry->second >= static_cast<int32_t>(model.labels().size())) ++result.num_unknown;
    result.truth.push_back(entry->second);
  }
  const size_t num_labels = model.labels().size();
  std::vector<float> logits;
  for (size_t begin = 0; begin < texts.size(); begin += kTextsAtOnce) {
    ThrowIfStopped(stop);
    const std::vector<float> some = model.Logits(std::span(texts.texts).subspan(begin, std::min(kTextsAtOnce, texts.size() - begin)));
    logits.insert(logits.end(), some.begin(), some.end());
  }
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

std::vector<TextInput> InputsOfClassification(const std::string& data, const ModelData& columns, size_t at_most) {
  const LabelledTexts texts = ReadLabelledTexts(data, {.text_column = columns.text_column, .label_column = columns.target_column});
  std::vector<TextInput> inputs;
  for (size_t i = 0; i < std::min(at_most, texts.size()); ++i) inputs.push_back({texts.texts[i], std::nullopt});
  return inputs;
}

// ---- The table ----

constexpr std::string_view kEntityMetrics[] = {"f1", "precision", "recall", "macro_f1", "exact_match", "loss"};
constexpr std::string_view kEntityIntervals[] = {"f1", "precision", "recall", "macro_f1", "exact_match"};
constexpr std::string_view kEntityTests[] = {"examples", "invariances", "latency", "memory"};
constexpr std::string_view kAnswerMetrics[] = {"f1", "exact_match", "has_answer_f1", "has_answer_exact_match", "no_answer_exact_match"};
constexpr std::string_view kMaskMetrics[] = {"accuracy", "perplexity", "loss"};
constexpr std::string_view kMaskIntervals[] = {"accuracy", "perplexity"};
// Of scored pairs the correlations, of triples the accuracy, of pairs how far in front the right one stands.
constexpr std::string_view kSimilarityMetrics[] = {"spearman",  "pearson",     "accuracy",    "ndcg_at_10",
                                                   "mrr_at_10", "recall_at_1", "recall_at_5", "recall_at_10"};
constexpr std::string_view kRankingMetrics[] = {"ndcg_at_10",  "mrr_at_10",   "average_precision", "accuracy",
                                                "recall_at_1", "recall_at_5", "recall_at_10"};
constexpr std::string_view kMachineTests[] = {"latency", "memory"};
constexpr char kTokenClassification[] = "token-classification", kQuestionAnswering[] = "question-answering", kFillMask[] = "fill-mask",
               kSentenceSimilarity[] = "sentence-similarity", kTextRanking[] = "text-ranking";

// A task whose answers are measured all together.
template <const char* kName>
constexpr ModelTask Measured(std::span<const std::string_view> metrics, std::span<const std::string_view> with_interval) {
  return {.name = kName,
          .check = CheckTaskData<kName>,
          .train = TrainTask<kName>,
          .open = OpenAnyModel,
          .evaluate = EvaluateTask,
          .figures = {.metrics = metrics, .with_interval = with_interval},
          .test_kinds = kMachineTests,
          .labels_texts = false};
}

constexpr ModelTask kTasks[] = {
    {"text-classification", CheckClassification, TrainClassification, OpenClassifier, EvaluateClassification, InputsOfClassification},
    {.name = kTokenClassification,
     .check = CheckTaskData<kTokenClassification>,
     .train = TrainTask<kTokenClassification>,
     .open = OpenEntityFinder,
     .evaluate = EvaluateTask,
     .inputs = InputsOfTaggedTexts,
     .figures = {.metrics = kEntityMetrics, .with_interval = kEntityIntervals, .has_classes = true},
     .test_kinds = kEntityTests,
     .labels_texts = false},
    Measured<kQuestionAnswering>(kAnswerMetrics, kAnswerMetrics),
    Measured<kFillMask>(kMaskMetrics, kMaskIntervals),
    Measured<kSentenceSimilarity>(kSimilarityMetrics, kSimilarityMetrics),
    Measured<kTextRanking>(kRankingMetrics, kRankingMetrics),
};

}  // namespace

std::span<const ModelTask> AllModelTasks() {
  static const std::vector<ModelTask> kLearnt = [] {  // those that train/ can learn
    const std::vector<std::string> names = FineTuneTaskNames();
    std::vector<ModelTask> tasks;
    for (const ModelTask& task : kTasks)
      if (std::find(names.begin(), names.end(), task.name) != names.end()) tasks.push_back(task);
    return tasks;
  }();
  return kLearnt;
}

const ModelTask& FindModelTask(std::string_view name) {
  for (const ModelTask& task : AllModelTasks())
    if (task.name == name) return task;
  throw Error(ErrorCode::kInvalidArgument, fmt::format("there is no task '{}'", name));
}

const ModelTask& TaskOf(const ModelConfig& model) { return FindModelTask(model.task); }

void ThrowIfStopped(const std::atomic<bool>& stop) {
  if (stop) throw Error(ErrorCode::kCancelled, "interrupted", "go on with: mlac apply");
}

}  // namespace mlac
