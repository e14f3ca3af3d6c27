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
#include "project/task_models.h"
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
  std::vector<float> Logits(std::span<const TextInput> texts) {
    std::vector<float> logits;
    for (size_t begin = 0; begin < texts.size(); begin += kTextsAtOnce) {
      const std::vector<float> some =
          model_.Logits(model_.Encode(texts.subspan(begin, std::min(kTextsAtOnce, texts.size() - begin))).batch);
      logits.insert(logits.end(), some.begin(), some.end());
    }
    return logits;
  }

  std::vector<Prediction> Predict(std::span<const TextInput> texts) override {
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

std::unique_ptr<TaskModel> OpenClassifier(const std::string& folder, const ModelData&, size_t num_threads) {
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
    std::vector<TextInput> part;
    for (size_t i = begin; i < std::min(begin + kTextsAtOnce, texts.size()); ++i) part.push_back({texts.texts[i], std::nullopt});
    const std::vector<float> some = model.Logits(part);
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

std::vector<TestRow> RowsOfLabels(const ModelData& data, size_t at_most) {
  const LabelledTexts texts = ReadLabelledTexts(data.test, {.text_column = data.text_column, .label_column = data.target_column});
  std::vector<TestRow> rows;
  for (size_t i = 0; i < std::min(at_most, texts.size()); ++i)
    rows.push_back({{texts.texts[i], std::nullopt, texts.Place(i)}, {texts.label_names[static_cast<size_t>(texts.labels[i])]}});
  return rows;
}

// ---- The table ----

constexpr std::string_view kEntityMetrics[] = {"f1", "precision", "recall", "macro_f1", "exact_match", "loss"};
constexpr std::string_view kEntityIntervals[] = {"f1", "precision", "recall", "macro_f1", "exact_match"};
constexpr std::string_view kAnswerMetrics[] = {"f1", "exact_match", "has_answer_f1", "has_answer_exact_match", "no_answer_exact_match"};
constexpr std::string_view kMaskMetrics[] = {"accuracy", "perplexity", "loss"};
constexpr std::string_view kMaskIntervals[] = {"accuracy", "perplexity"};
// Of scored pairs the correlations, of triples the accuracy, of pairs how far in front the right one stands.
constexpr std::string_view kSimilarityMetrics[] = {"spearman",  "pearson",     "accuracy",    "ndcg_at_10",
                                                   "mrr_at_10", "recall_at_1", "recall_at_5", "recall_at_10"};
constexpr std::string_view kRankingMetrics[] = {"ndcg_at_10", "mrr_at_10", "average_precision", "accuracy"};
constexpr std::string_view kAnswerTests[] = {"examples", "invariances", "slices", "latency", "memory"};
constexpr std::string_view kMaskTests[] = {"examples", "invariances", "latency", "memory"};  // figures are of blocks of texts, not of rows
constexpr std::string_view kSearchTests[] = {"rankings", "invariances", "slices", "latency", "memory"};
constexpr char kTextClassification[] = "text-classification", kTokenClassification[] = "token-classification",
               kQuestionAnswering[] = "question-answering", kFillMask[] = "fill-mask", kSentenceSimilarity[] = "sentence-similarity",
               kTextRanking[] = "text-ranking";

constexpr ModelTask kTasks[] = {
    {.name = kTextClassification,
     .check = CheckClassification,
     .train = TrainTask<kTextClassification>,
     .open = OpenClassifier,
     .evaluate = EvaluateClassification,
     .rows = RowsOfLabels,
     .read_rows = ReadRowsOfLabels,
     .extension = ".csv"},
    {.name = kTokenClassification,
     .check = CheckTaskData<kTokenClassification>,
     .train = TrainTask<kTokenClassification>,
     .open = OpenEntityFinder,
     .evaluate = EvaluateTask,
     .rows = RowsOfEntities,
     .read_rows = ReadRowsOfEntities,
     .figures = {.metrics = kEntityMetrics, .with_interval = kEntityIntervals, .has_classes = true},
     .test_kinds = kAnswerTests,
     .has_columns = false,
     .labels_texts = false},
    {.name = kQuestionAnswering,
     .check = CheckTaskData<kQuestionAnswering>,
     .train = TrainTask<kQuestionAnswering>,
     .open = OpenAnswerFinder,
     .evaluate = EvaluateTask,
     .rows = RowsOfQuestions,
     .read_rows = ReadRowsOfQuestions,
     .same_answer = SameAnswer,
     .figures = {.metrics = kAnswerMetrics, .with_interval = kAnswerMetrics},
     .test_kinds = kAnswerTests,
     .has_columns = false,
     .labels_texts = false},
    {.name = kFillMask,
     .check = CheckTaskData<kFillMask>,
     .train = TrainTask<kFillMask>,
     .open = OpenMaskFiller,
     .evaluate = EvaluateTask,
     .rows = RowsOfMasks,
     .read_rows = ReadRowsOfTexts,
     .same_answer = SameWord,
     .figures = {.metrics = kMaskMetrics, .with_interval = kMaskIntervals},
     .test_kinds = kMaskTests,
     .labels_texts = false},
    {.name = kSentenceSimilarity,
     .check = CheckTaskData<kSentenceSimilarity>,
     .train = TrainTask<kSentenceSimilarity>,
     .open = OpenSimilarity,
     .evaluate = EvaluateTask,
     .rows = RowsOfTuples,
     .read_rows = ReadRowsOfTuples,
     .recorded_as = "feature-extraction",
     .figures = {.metrics = kSimilarityMetrics, .with_interval = kSimilarityMetrics},
     .test_kinds = kSearchTests,
     .labels_texts = false},
    {.name = kTextRanking,
     .check = CheckTaskData<kTextRanking>,
     .train = TrainTask<kTextRanking>,
     .open = OpenRanker,
     .evaluate = EvaluateTask,
     .rows = RowsOfRankedPairs,
     .read_rows = ReadRowsOfTuples,
     .recorded_as = "text-classification",
     .figures = {.metrics = kRankingMetrics, .with_interval = kRankingMetrics},
     .test_kinds = kSearchTests,
     .labels_texts = false},
};

}  // namespace

std::vector<float> TaskModel::Scores(const std::string&, std::span<const std::string>) {
  throw Error(ErrorCode::kUnsupported, "the model ranks no texts");
}

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
