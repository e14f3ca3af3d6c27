#include "project/comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "project/config.h"
#include "project/predictions.h"
#include "project/step.h"
#include "train/report_card.h"
#include "train/report_svg.h"

namespace mlac {
namespace {

constexpr size_t kLatencyTokens = 32;
constexpr size_t kMostSvgBytes = size_t{8} << 20;

Record RecordOf(const Store& store, const std::string& name, const std::string& revision) {
  std::optional<Record> record = store.FindRecord(name, revision);
  return record ? std::move(*record) : store.RecordsOf(revision).front();
}

std::string MadeFrom(const Record& record) {
  std::string out = fmt::format("{} by {}", record.time.substr(0, 16), record.who);
  if (!record.git_commit.empty())
    out += fmt::format(", commit {}{}", record.git_commit.substr(0, 12), record.git_dirty ? " with changes" : "");
  return out;
}

class Comparer {
 public:
  Comparer(const Store& store, const std::string& name, size_t num_threads, const std::atomic<bool>& stop)
      : store_(store), name_(name), num_threads_(num_threads), stop_(stop) {}

  Comparison Run(const std::string& before, const std::string& after) {
    Comparison comparison;
    comparison.name = name_;
    ReadTestData(RecordOf(store_, name_, after));
    comparison.test_source = std::filesystem::path(data_.test).filename().string();
    comparison.after = Measure(after);
    comparison.latency_tokens = latency_tokens_;
    if (before.empty()) return comparison;
    comparison.before = Measure(before);
    comparison.changes = DiffRevisions(store_, before, after, name_, name_);
    CompareFigures(comparison);
    CompareRows(comparison, before, after);
    return comparison;
  }

 private:
  static void CompareFigures(Comparison& comparison) {
    const TaskEvaluation &before = comparison.before->evaluation, &after = comparison.after.evaluation;
    for (const Figure& figure : after.figures.figures) {
      const std::optional<double> value = ValueOf(before.figures, figure.name);
      if (!value) continue;
      const std::optional<PairedDifference> paired = CompareFigure(before, after, figure.name);
      comparison.differences.push_back(
          {figure.name, *value, figure.value, paired ? std::optional(paired->interval) : std::nullopt, LessIsBetter(figure.name)});
    }
  }

  // What each answers to the rows of the test data.
  void CompareRows(Comparison& comparison, const std::string& before, const std::string& after) const {
    const ModelTask& task = TaskOf(model_);
    std::vector<TextInput> inputs;
    const std::vector<TestRow> rows = task.rows(data_, SIZE_MAX);
    for (const TestRow& row : rows) inputs.push_back(row.input);
    const auto answers = [&](const std::string& revision, const TaskEvaluation& evaluation) {
      constexpr size_t kAtOnce = 256;  // so that an interruption is seen
      std::vector<std::string> labels;
      for (const int32_t label : evaluation.predicted) labels.push_back(evaluation.metrics.label_names[static_cast<size_t>(label)]);
      if (!labels.empty()) return labels;
      const RevisionFolder folder = store_.OpenFolder(revision);
      const std::unique_ptr<TaskModel> model = task.open(folder.path(), data_, num_threads_);
      for (size_t begin = 0; begin < inputs.size(); begin += kAtOnce) {
        ThrowIfStopped(stop_);
        for (Prediction& each : model->Predict(std::span(inputs).subspan(begin, std::min(kAtOnce, inputs.size() - begin))))
          labels.push_back(std::move(each.label));
      }
      return labels;
    };
    const std::vector<std::string> first = answers(before, comparison.before->evaluation),
                                   second = answers(after, comparison.after.evaluation);
    comparison.rows = CompareAnswers(task, rows, first, second);
  }

  void ReadTestData(const Record& record) {
    const auto test = record.data.find("test");
    if (test == record.data.end())
      throw Error(ErrorCode::kUnsupported,
                  fmt::format("{}@{}: its record names no test data to compare on", name_, record.revision.substr(0, 10)),
                  "'mlac apply' writes such records");
    const auto parameter = [&](const char* key, const char* otherwise) {
      const auto found = record.parameters.find(key);
      return found == record.parameters.end() ? std::string(otherwise) : found->second;
    };
    model_.task = parameter("task", "text-classification");
    if (parameter("train.multi_label", "") == "true") model_.train.sequence.problem_type = ProblemType::kMultiLabel;
    if (parameter("train.regression", "") == "true") model_.train.sequence.problem_type = ProblemType::kRegression;
    test_folder_ = store_.OpenFolder(test->second);
    data_.text_column = parameter("data.text", "text");
    data_.target_column = parameter("data.target", "label");
    data_.text_pair_column = parameter("data.text_pair", "");
    data_.label_separator = parameter("data.label_separator", ",");
    data_.test = store_.ReadManifest(test->second).entries().size() == 1 ? store_.OnlyFile(*test_folder_) : test_folder_->path();
  }

  ComparedModel Measure(const std::string& revision) {
    const RevisionFolder folder = store_.OpenFolder(revision);
    ComparedModel model;
    model.title = fmt::format("{}@{}", name_, revision.substr(0, 10));
    model.revision = revision;
    model.made_from = MadeFrom(RecordOf(store_, name_, revision));
    model.evaluation = TaskOf(model_).evaluate(folder.path(), data_.test, data_, num_threads_, stop_);
    model.num_bytes = ModelBytes(folder.path());
    if (TaskOf(model_).labels_texts) model.confusion_matrix = ConfusionMatrixSvg(model.evaluation.metrics);
    const std::string curves = folder.path() + "/" + kLearningCurvesFile;
    if (FileExists(curves)) model.learning_curves = ReadFile(curves, kMostSvgBytes);
    const std::unique_ptr<TaskModel> open = TaskOf(model_).open(folder.path(), data_, num_threads_);
    if (latency_tokens_ == 0) latency_tokens_ = std::min(kLatencyTokens, open->max_tokens());
    model.latency = open->MeasureLatency(std::min(latency_tokens_, open->max_tokens()), stop_);
    return model;
  }

  const Store& store_;
  const std::string& name_;
  size_t num_threads_;
  const std::atomic<bool>& stop_;
  ModelConfig model_;  // its task and the kind of its problem are what is looked at
  std::optional<RevisionFolder> test_folder_;
  ModelData data_;
  size_t latency_tokens_ = 0;
};

}  // namespace

Comparison CompareRevisions(const Store& store, const std::string& name, const std::string& before, const std::string& after,
                            size_t num_threads, const std::atomic<bool>& stop) {
  return Comparer(store, name, num_threads, stop).Run(before, after);
}

}  // namespace mlac
