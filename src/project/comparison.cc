#include "project/comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <optional>

#include "base/error.h"
#include "base/file.h"
#include "hub/table_difference.h"
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
    ReadTestData(RecordOf(store_, name_, after));
    Comparison comparison = Compare(before, Revision(after));
    if (comparison.before) comparison.changes = DiffRevisions(store_, before, after, name_, name_);
    return comparison;
  }

  Comparison Run(const std::string& before, const RefusedModel& candidate) {
    model_.task = candidate.config.task;
    model_.train.sequence.problem_type = candidate.config.train.sequence.problem_type;
    data_ = candidate.data;
    Comparison comparison =
        Compare(before, {.title = name_ + "@candidate", .revision = "", .made_from = "", .path = candidate.path, .lease = {}});
    comparison.refusal = candidate.refusal;
    if (comparison.before) comparison.changes = ChangesOf(RecordOf(store_, name_, before), candidate);
    return comparison;
  }

  // What the record of a revision says otherwise than what the candidate was made from.
  RevisionDiff ChangesOf(const Record& before, const RefusedModel& candidate) const {
    RevisionDiff diff = {.before = before.revision, .after = ""};
    for (const auto& [name, value] : TrainParameters(candidate.config)) {
      const auto found = before.parameters.find(name);
      const std::string old_value = found == before.parameters.end() ? "" : found->second;
      if (old_value != value) diff.parameters.push_back({name, old_value, value});
    }
    const ModelData& data = candidate.data;
    for (const auto& [role, path] : {std::pair{std::string("train"), data.train}, {"validation", data.validation}, {"test", data.test}}) {
      const auto found = before.data.find(role);
      DataChange change = {.role = role,
                           .before = found == before.data.end() ? "" : found->second,
                           .after = path.empty() ? "" : store_.ScanSource(path).Revision()};
      if (change.before == change.after) continue;
      CompareTablesOf(path, change);
      diff.data.push_back(std::move(change));
    }
    return diff;
  }

 private:
  // A folder that is measured.
  struct Side {
    std::string title, revision, made_from, path;
    std::optional<RevisionFolder> lease;
  };

  std::string TitleOf(const std::string& revision) const { return fmt::format("{}@{}", name_, revision.substr(0, 10)); }

  Side Revision(const std::string& revision) const {
    RevisionFolder folder = store_.OpenFolder(revision);
    const std::string path = folder.path();
    return {TitleOf(revision), revision, MadeFrom(RecordOf(store_, name_, revision)), path, std::move(folder)};
  }

  Comparison Compare(const std::string& before, const Side& after) {
    Comparison comparison;
    comparison.name = name_;
    comparison.test_source = std::filesystem::path(data_.test).filename().string();
    comparison.after = Measure(after);
    comparison.latency_tokens = latency_tokens_;
    if (before.empty()) return comparison;
    const std::optional<Side> first = MeasureBefore(before, comparison);
    if (!first) return comparison;
    CompareFigures(comparison);
    CompareRows(comparison, first->path, after.path);
    return comparison;
  }

  // Sets `before`, or says why it cannot be measured.
  std::optional<Side> MeasureBefore(const std::string& revision, Comparison& comparison) {
    std::string path;
    try {
      Side side = Revision(revision);
      path = side.path;
      comparison.before = Measure(side);
      return side;
    } catch (const Error& error) {
      constexpr ErrorCode kOfTheModel[] = {ErrorCode::kUnsupported, ErrorCode::kInvalidInput, ErrorCode::kInvalidArgument,
                                           ErrorCode::kNotFound};
      if (std::find(std::begin(kOfTheModel), std::end(kOfTheModel), error.code()) == std::end(kOfTheModel)) throw;
      const std::string& message = error.message();  // a page goes to others: without the folder of this machine before it
      const size_t begin = !path.empty() && message.starts_with(path + ": ") ? path.size() + 2 : 0;
      comparison.not_compared = fmt::format("Not compared with {}: {}", TitleOf(revision), message.substr(begin));
      return std::nullopt;
    }
  }

  // Counts rows where both are one table.
  void CompareTablesOf(const std::string& path, DataChange& change) const {
    if (change.before.empty() || path.empty() || !store_.Has(change.before) || !FileExists(path) || !IsTable(path)) return;
    const Manifest manifest = store_.ReadManifest(change.before);
    if (manifest.entries().size() != 1 || !IsTable(manifest.entries().front().path)) return;
    const RevisionFolder folder = store_.OpenFolder(change.before);
    const TableDifference difference = CompareTables(store_.OnlyFile(folder), path);
    change.num_rows_before = difference.num_rows_before;
    change.num_rows_after = difference.num_rows_after;
    change.num_rows_added = difference.num_rows_added;
    change.num_rows_removed = difference.num_rows_removed;
  }

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

  // What each answers to the rows of the test data. before, after: their folders.
  void CompareRows(Comparison& comparison, const std::string& before, const std::string& after) const {
    const ModelTask& task = TaskOf(model_);
    std::vector<TextInput> inputs;
    const std::vector<TestRow> rows = task.rows(data_, SIZE_MAX);
    for (const TestRow& row : rows) inputs.push_back(row.input);
    const auto answers = [&](const std::string& path, const TaskEvaluation& evaluation) {
      constexpr size_t kAtOnce = 256;  // so that an interruption is seen
      std::vector<std::string> labels;
      for (const int32_t label : evaluation.predicted) labels.push_back(evaluation.metrics.label_names[static_cast<size_t>(label)]);
      if (!labels.empty()) return labels;
      const std::unique_ptr<TaskModel> model = task.open(path, data_, num_threads_);
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

  ComparedModel Measure(const Side& side) {
    ComparedModel model;
    model.title = side.title;
    model.revision = side.revision;
    model.made_from = side.made_from;
    model.evaluation = TaskOf(model_).evaluate(side.path, data_.test, data_, num_threads_, stop_);
    model.num_bytes = ModelBytes(side.path);
    if (TaskOf(model_).labels_texts) model.confusion_matrix = ConfusionMatrixSvg(model.evaluation.metrics);
    const std::string curves = side.path + "/" + kLearningCurvesFile;
    if (FileExists(curves)) model.learning_curves = ReadFile(curves, kMostSvgBytes);
    const std::unique_ptr<TaskModel> open = TaskOf(model_).open(side.path, data_, num_threads_);
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

RevisionDiff DiffWithCandidate(const Store& store, const std::string& name, const std::string& before, const RefusedModel& candidate) {
  const std::atomic<bool> never = false;  // nothing is measured
  RevisionDiff diff = Comparer(store, name, 1, never).ChangesOf(RecordOf(store, name, before), candidate);
  DiffFiles(store.ReadManifest(before), store.ScanSource(candidate.path), diff);
  return diff;
}

Comparison CompareCandidate(const Store& store, const std::string& name, const std::string& before, const RefusedModel& candidate,
                            size_t num_threads, const std::atomic<bool>& stop) {
  return Comparer(store, name, num_threads, stop).Run(before, candidate);
}

}  // namespace mlac
