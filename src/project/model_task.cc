#include "project/model_task.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "project/config.h"
#include "project/fine_tuned_task.h"
#include "project/task_models.h"
#include "train/text_targets.h"

namespace mlac {
namespace {

constexpr std::string_view kSetMetrics[] = {"f1", "precision", "recall", "macro_f1", "exact_match", "loss"};
constexpr std::string_view kSetIntervals[] = {"f1", "precision", "recall", "macro_f1", "exact_match"};
constexpr std::string_view kNumberMetrics[] = {"mse", "mae", "pearson", "spearman", "loss"};
constexpr std::string_view kNumberIntervals[] = {"mse", "mae", "pearson", "spearman"};
constexpr std::string_view kAnswerMetrics[] = {"f1", "exact_match", "has_answer_f1", "has_answer_exact_match", "no_answer_exact_match"};
constexpr std::string_view kMaskMetrics[] = {"accuracy", "perplexity", "loss"};
constexpr std::string_view kMaskIntervals[] = {"accuracy", "perplexity"};
// Of scored pairs the correlations, of triples the accuracy, of pairs how far in front the right one stands.
constexpr std::string_view kSimilarityMetrics[] = {"spearman",  "pearson",     "accuracy",    "ndcg_at_10",
                                                   "mrr_at_10", "recall_at_1", "recall_at_5", "recall_at_10"};
constexpr std::string_view kRankingMetrics[] = {"ndcg_at_10", "mrr_at_10", "average_precision", "accuracy"};
constexpr std::string_view kSearchTests[] = {"rankings", "invariances", "directional", "slices", "latency", "memory"};
constexpr char kTextClassification[] = "text-classification", kTokenClassification[] = "token-classification",
               kQuestionAnswering[] = "question-answering", kFillMask[] = "fill-mask", kSentenceSimilarity[] = "sentence-similarity",
               kTextRanking[] = "text-ranking";

constexpr ModelTask kTasks[] = {
    {.name = kTextClassification,
     .check = CheckLabels,
     .train = TrainTask<kTextClassification>,
     .open = OpenLabelModel,
     .evaluate = EvaluateLabels,
     .rows = RowsOfLabels,
     .read_rows = ReadRowsOfLabels,
     .extension = ".csv"},
    {.name = kTextClassification,
     .check = CheckTaskData<kTextClassification, ProblemType::kMultiLabel>,
     .train = TrainTask<kTextClassification>,
     .open = OpenLabelSetModel,
     .evaluate = EvaluateLabelSets,
     .rows = RowsOfLabelSets,
     .read_rows = ReadRowsOfLabelSets,
     .same_answer = SameLabels,
     .figures = {.metrics = kSetMetrics, .with_interval = kSetIntervals, .has_classes = true},
     .labels_texts = false,
     .problem_type = ProblemType::kMultiLabel},
    {.name = kTextClassification,
     .check = CheckTaskData<kTextClassification, ProblemType::kRegression>,
     .train = TrainTask<kTextClassification>,
     .open = OpenNumberModel,
     .evaluate = EvaluateNumbers,
     .rows = RowsOfNumbers,
     .read_rows = ReadRowsOfNumbers,
     .figures = {.metrics = kNumberMetrics, .with_interval = kNumberIntervals},
     .labels_texts = false,
     .problem_type = ProblemType::kRegression},
    {.name = kTokenClassification,
     .check = CheckTaskData<kTokenClassification>,
     .train = TrainTask<kTokenClassification>,
     .open = OpenEntityFinder,
     .evaluate = EvaluateTask,
     .rows = RowsOfEntities,
     .read_rows = ReadRowsOfEntities,
     .figures = {.metrics = kSetMetrics, .with_interval = kSetIntervals, .has_classes = true},
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
     .labels_texts = false,
     .measure_rows = MeasureTexts},
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

const ModelTask& FindModelTask(std::string_view name, ProblemType problem_type) {
  const ModelTask* found = nullptr;
  for (const ModelTask& task : AllModelTasks())
    if (task.name == name && (found == nullptr || task.problem_type == problem_type)) found = &task;
  if (found == nullptr) throw Error(ErrorCode::kInvalidArgument, fmt::format("there is no task '{}'", name));
  return *found;
}

const ModelTask& TaskOf(const ModelConfig& model) { return FindModelTask(model.task, model.train.sequence.problem_type); }

std::string ModelTask::Title() const {
  constexpr std::string_view kKinds[] = {"", " with multi_label", " with regression"};  // by ProblemType
  return fmt::format("{}{}", name, kKinds[static_cast<size_t>(problem_type)]);
}

std::vector<std::string> ValuesOfCell(const ModelTask& task, const ModelData& columns, const std::string& column, const std::string& cell) {
  return task.several_labels() && column == columns.target_column ? SplitLabels(cell, columns.label_separator) : ItemsOf(cell);
}

double TaskModel::ScoreOf(const TextInput& input, const std::string& answer) {
  const auto label = std::find(labels().begin(), labels().end(), answer);
  if (label == labels().end()) return 0;
  return static_cast<double>(Predict(std::span(&input, 1)).front().probabilities[static_cast<size_t>(label - labels().begin())]);
}

void ThrowIfStopped(const std::atomic<bool>& stop) {
  if (stop) throw Error(ErrorCode::kCancelled, "interrupted", "go on with: mlac apply");
}

}  // namespace mlac
