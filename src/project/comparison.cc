#include "project/comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "data/texts.h"
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
    if (TaskOf(model_).labels_texts) {
      ComparePairs(comparison);
    } else {
      for (const Figure& figure : comparison.after.evaluation.figures.figures)
        if (const std::optional<double> value = ValueOf(comparison.before->evaluation.figures, figure.name))
          comparison.differences.push_back({figure.name, *value, figure.value});
    }
    return comparison;
  }

 private:
  void ComparePairs(Comparison& comparison) const {
    const PairedPredictions pair = Pair(comparison.before->evaluation, comparison.after.evaluation);
    for (const char* metric : {"accuracy", "macro_f1", "weighted_f1"}) {
      const PairedDifference difference = ComparePredictions(pair.truth, pair.before, pair.after, pair.labels.size(), metric);
      comparison.differences.push_back({metric, difference.before, difference.after, difference.interval});
    }
    for (size_t i = 0; i < pair.truth.size(); ++i) {
      if (pair.before[i] == pair.after[i]) continue;
      const auto label = [&](int32_t number) { return pair.labels[static_cast<size_t>(number)]; };
      auto& list = pair.after[i] == pair.truth[i]    ? comparison.better
                   : pair.before[i] == pair.truth[i] ? comparison.worse
                                                     : comparison.otherwise;
      list.push_back({rows_.Place(i), rows_.texts[i], label(pair.truth[i]), label(pair.before[i]), label(pair.after[i])});
    }
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
    test_folder_ = store_.OpenFolder(test->second);
    data_.text_column = parameter("data.text", "text");
    data_.target_column = parameter("data.target", "label");
    data_.test = store_.ReadManifest(test->second).entries().size() == 1 ? store_.OnlyFile(*test_folder_) : test_folder_->path();
    if (TaskOf(model_).labels_texts)
      rows_ = ReadLabelledTexts(data_.test, {.text_column = data_.text_column, .label_column = data_.target_column});
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
    const std::unique_ptr<TaskModel> open = TaskOf(model_).open(folder.path(), num_threads_);
    if (latency_tokens_ == 0) latency_tokens_ = std::min(kLatencyTokens, open->max_tokens());
    model.latency = open->MeasureLatency(std::min(latency_tokens_, open->max_tokens()), stop_);
    return model;
  }

  const Store& store_;
  const std::string& name_;
  size_t num_threads_;
  const std::atomic<bool>& stop_;
  ModelConfig model_;  // its task is what is looked at
  std::optional<RevisionFolder> test_folder_;
  ModelData data_;
  LabelledTexts rows_;
  size_t latency_tokens_ = 0;
};

}  // namespace

Comparison CompareRevisions(const Store& store, const std::string& name, const std::string& before, const std::string& after,
                            size_t num_threads, const std::atomic<bool>& stop) {
  return Comparer(store, name, num_threads, stop).Run(before, after);
}

}  // namespace mlac
