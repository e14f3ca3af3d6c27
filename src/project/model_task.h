#pragma once
// What a model of mlac.yaml can be for: one line a task in model_task.cc. All that steps, tests and gates do with a model goes through
// here.
#include <atomic>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/check.h"
#include "pipelines/text_model.h"
#include "project/gate.h"
#include "train/fine_tune.h"
#include "train/metrics.h"

namespace mlac {

struct ModelConfig;

// Where the data of a model is, after all that is done with it: paths, "" for what there is not.
struct ModelData {
  std::string train, validation, test;
  std::string text_column = "text", target_column = "label";
};

struct Prediction {
  std::string label;                 // or what else the task answers: "PER: Ann; LOC: Paris", "" for nothing
  float probability = 0;             // of that label
  std::vector<float> probabilities;  // of every label, as in TaskModel::labels()
  // What a change that leaves the meaning must not change, if that is not all of label: "PER; LOC".
  std::optional<std::string> meaning = {};
};

// A model that is loaded. Not for several threads at once.
class TaskModel {
 public:
  virtual ~TaskModel() = default;
  virtual const std::vector<std::string>& labels() const = 0;  // empty of a task that does not choose among labels
  virtual size_t max_tokens() const = 0;                       // of one sequence
  virtual std::vector<Prediction> Predict(std::span<const std::string> texts) = 0;
  // Time of one sequence of so many tokens: warm, the median over 5 runs of the runs' quantiles (each of 100 passes). stop: looked at
  // between runs.
  struct Latency {
    double p50_ms = 0, p99_ms = 0;
    std::string processor;
  };
  virtual Latency MeasureLatency(size_t num_tokens, const std::atomic<bool>& stop) = 0;
};

// What a model answers on test data.
struct TaskEvaluation {
  Figures figures;
  std::string metrics_json = {};
  // Of text-classification alone:
  ClassificationMetrics metrics;          // its label_names: those of the model, then further ones that the data has
  std::vector<int32_t> truth, predicted;  // indices into them, one a row
  size_t num_unknown = 0;                 // rows with a label that the model does not know: it gets them wrong, and there is no loss
};

// The lists that a file of tests may have, by name.
inline constexpr std::string_view kAllTestKinds[] = {"examples", "invariances", "directional", "slices", "latency", "memory"};

struct ModelTask {
  std::string_view name;  // as `mlac train` and `mlac run` know it
  // Throws as CheckData of data/, and what reading the files throws. notes: what was recognised.
  std::vector<Finding> (*check)(const ModelData& data, std::vector<std::string>& notes);
  // Writes the folder `out`, going on from what a run that ended early left there.
  FineTuneResult (*train)(const ModelConfig& model, const std::string& base, const ModelData& data, const std::string& out,
                          size_t num_threads, FineTuneObserver& observer, const std::atomic<bool>& stop);
  std::unique_ptr<TaskModel> (*open)(const std::string& folder, size_t num_threads);
  // num_texts: how many were answered so far, for progress; may throw.
  TaskEvaluation (*evaluate)(const std::string& folder, const std::string& data, const ModelData& columns, size_t num_threads,
                             const std::atomic<bool>& stop);
  // The first texts of a file of data, as the model takes them; nullptr where tests and recorded answers need none.
  std::vector<TextInput> (*inputs)(const std::string& data, const ModelData& columns, size_t at_most) = nullptr;
  GateFigures figures = kClassifierFigures;
  std::span<const std::string_view> test_kinds = kAllTestKinds;
  // One label a text, of a table with a column for each: rows can be split, filtered and joined, and two models compared row by row.
  bool labels_texts = true;
};

std::span<const ModelTask> AllModelTasks();
const ModelTask& TaskOf(const ModelConfig& model);
// Throws kInvalidArgument for a name that is none.
const ModelTask& FindModelTask(std::string_view name);

// Throws kCancelled if stop is set: "interrupted", with the hint to run `mlac apply` again.
void ThrowIfStopped(const std::atomic<bool>& stop);

// Processor and instruction set: what a latency is of.
std::string ProcessorName();

}  // namespace mlac
