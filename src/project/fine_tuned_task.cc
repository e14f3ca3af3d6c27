#include "project/fine_tuned_task.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/machine.h"
#include "optimize/merged_folder.h"
#include "pipelines/sequence_task.h"
#include "project/config.h"
#include "train/fine_tune_task.h"

namespace mlac {
namespace {

using Clock = std::chrono::steady_clock;

// Keeps the notes of reading data.
class NoteKeeper : public FineTuneObserver {
 public:
  explicit NoteKeeper(std::vector<std::string>& notes) : notes_(notes) {}
  void OnNote(const std::string& note) override { notes_.push_back(note); }
  void OnFinding(const Finding&) override {}
  void OnStart(size_t, size_t, size_t, size_t) override {}
  void OnResume(size_t) override {}
  void OnStep(const StepReport&) override {}
  void OnSpike(const SpikeReport&) override {}
  void OnEpoch(const EpochReport&) override {}
  void OnCheckpoint(size_t, const std::string&) override {}
  void OnEarlyStop(size_t) override {}

 private:
  std::vector<std::string>& notes_;
};

double Quantile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  return values[std::min(values.size() - 1, static_cast<size_t>(share * static_cast<double>(values.size())))];
}

}  // namespace

FineTuneOptions TrainingOptionsOf(const ModelConfig& model, const std::string& base, const ModelData& data, const std::string& out,
                                  size_t num_threads) {
  FineTuneOptions options = model.train;
  options.model = base;
  options.data = data.train;
  options.validation = data.validation;
  options.text_column = data.text_column;
  options.target_column = data.target_column;
  options.text_pair_column = data.text_pair_column;
  options.label_separator = data.label_separator;
  options.out = out;
  options.resume = FolderExists(out);
  options.command = options.resume_command = "mlac apply";
  options.training.num_threads = num_threads;
  options.of_project = true;
  return options;
}

ModelCard CardOfTrained(const ModelConfig& model, const ModelData& data, const std::string& trained, const FineTuneResult& result) {
  std::vector<std::string> notes;
  NoteKeeper keeper(notes);
  return CardOfTask(model.task, TrainingOptionsOf(model, trained, data, "", 1), keeper, result);
}

std::vector<Finding> CheckDataOf(const std::string& task, ProblemType problem_type, const ModelData& data,
                                 std::vector<std::string>& notes) {
  NoteKeeper keeper(notes);
  return CheckFineTuneData(task,
                           {.model = "",
                            .data = data.train,
                            .validation = data.validation,
                            .test = data.test,
                            .validation_split = 0,  // all that is there, undivided
                            .text_column = data.text_column,
                            .target_column = data.target_column,
                            .text_pair_column = data.text_pair_column,
                            .sequence = {.problem_type = problem_type},
                            .label_separator = data.label_separator,
                            .out = "",
                            .command = "",
                            .resume_command = "",
                            .training = {}},
                           keeper);
}

TaskEvaluation EvaluateTask(const std::string& folder, const std::string& data, const ModelData& columns, size_t num_threads,
                            const std::atomic<bool>& stop) {
  ThrowIfStopped(stop);
  EvaluationResult result = Evaluate({.model = folder,
                                      .data = data,
                                      .text_column = columns.text_column,
                                      .target_column = columns.target_column,
                                      .num_threads = num_threads,
                                      .check_stop = [&stop] { ThrowIfStopped(stop); }});
  ThrowIfStopped(stop);
  TaskEvaluation evaluation;
  evaluation.figures = std::move(result.figures);
  evaluation.metrics_json = std::move(result.metrics_json);
  return evaluation;
}

FineTuneResult TrainModel(const std::string& task, const FineTuneOptions& options, FineTuneObserver& observer,
                          const std::atomic<bool>& stop) {
  if (options.lora.rank == 0) return FineTune(task, options, observer, stop);
  FineTuneOptions adapter = options;
  adapter.out += ".adapter";
  adapter.resume = FolderExists(adapter.out);
  FineTuneResult result = FineTune(task, adapter, observer, stop);
  StagedFolder staged(options.out, /*overwrite=*/true);  // of a run that was killed behind this
  WriteMergedFolder(options.model, adapter.out, staged.path());
  for (const char* name : {"training.json", kLearningCurvesFile, kMetricsFile, kConfusionMatrixFile})
    if (FileExists(adapter.out + "/" + name)) std::filesystem::copy_file(adapter.out + "/" + name, staged.path() + "/" + name);
  staged.Commit();
  return result;
}

TaskModel::Latency MeasurePasses(const TextModel& model, size_t num_tokens, const std::atomic<bool>& stop,
                                 const std::function<void(const TokenBatch& batch)>& pass) {
  constexpr size_t kRuns = 5, kPasses = 100, kWarmups = 5;
  if (num_tokens > model.model().max_positions())
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("a latency of {} tokens; the model takes 1 to {}", num_tokens, model.model().max_positions()));
  TokenBatch batch;  // ids that every vocabulary of that size has; what they say has no bearing on the time
  for (size_t t = 0; t < num_tokens; ++t) batch.token_ids.push_back(static_cast<int32_t>(t * 104729 % model.model().vocab_size()));
  batch.token_type_ids.resize(num_tokens);
  batch.offsets.push_back(num_tokens);
  std::vector<double> p50, p99;
  for (size_t run = 0; run < kRuns; ++run) {
    ThrowIfStopped(stop);
    std::vector<double> times;
    for (size_t i = 0; i < kWarmups + kPasses; ++i) {
      const auto begin = Clock::now();
      pass(batch);
      if (i >= kWarmups) times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
    }
    p50.push_back(Quantile(times, 0.5));
    p99.push_back(Quantile(times, 0.99));
  }
  return {Quantile(p50, 0.5), Quantile(p99, 0.5), ProcessorName()};
}

std::string ProcessorName() {
  static const std::string kName = [] {  // asked for once a gate of each of many models
    const Machine machine = DescribeMachine();
    return machine.processor.empty() ? machine.architecture : machine.processor;
  }();
  return kName;
}

}  // namespace mlac
