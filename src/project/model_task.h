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
#include "project/prepared_rows.h"
#include "train/fine_tune.h"
#include "train/metrics.h"

namespace mlac {

struct ModelConfig;

struct Prediction {
  std::string label;                 // or what else the task answers: "PER: Ann; LOC: Paris", "" for nothing
  float probability = 0;             // of that label; of several the least, of a number that itself
  std::vector<float> probabilities;  // of every label, as in TaskModel::labels()
  // What a change that leaves the meaning must not change, if that is not all of label: "PER; LOC".
  std::optional<std::string> meaning = {};
};

// A row of the test data as the model takes it, with its place.
struct TestRow {
  TextInput input;                 // question-answering: the question and its context; text-ranking: the query and a document
  std::vector<std::string> truth;  // the answers that are right; none: not known
  size_t line = 0;                 // of the file, where it is one of lines
};

// A model that is loaded. Not for several threads at once.
class TaskModel {
 public:
  virtual ~TaskModel() = default;
  virtual const std::vector<std::string>& labels() const = 0;  // empty of a task that does not choose among labels
  virtual size_t max_tokens() const = 0;                       // of one sequence
  virtual std::vector<Prediction> Predict(std::span<const TextInput> inputs) = 0;
  // How well each text answers the query, or belongs to it: the more, the better. Throws kUnsupported where the task has no such thing.
  virtual std::vector<float> Scores(const std::string& query, std::span<const std::string> texts);
  // How sure the model is of this answer to the input, from 0 to 1: 0 for one that it does not consider. Where there is nothing to be sure
  // of, whatever the answer is: of a regression the number, of a query with a text how well that answers it, of two texts their cosine.
  virtual double ScoreOf(const TextInput& input, const std::string& answer);
  // The input as `mlac run` takes it.
  virtual TextInput Prepared(const TextInput& input) const { return input; }
  // An input that has the text in it.
  virtual TextInput InputWith(const std::string& text) const { return {text, std::nullopt}; }
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
  // Of text-classification alone; figures.by_row is what the others have:
  ClassificationMetrics metrics;          // its label_names: those of the model, then further ones that the data has
  std::vector<int32_t> truth, predicted;  // indices into them, one a row
  size_t num_unknown = 0;                 // rows with a label that the model does not know: it gets them wrong, and there is no loss
};

// What a model expects that finds nothing in a text, as a file of tests and reports have it.
inline constexpr char kNothing[] = "nothing";

// Stands in texts of fill-mask for the word that is missing, whatever a model's own mask token is.
inline constexpr std::string_view kMaskWord = "[MASK]";

// The lists that a file of tests may have, by name.
inline constexpr std::string_view kAllTestKinds[] = {"examples", "invariances", "directional", "slices", "latency", "memory"};

inline bool SameText(const std::string& a, const std::string& b) { return a == b; }

// Whether a figure of metrics.json falls where a model gets better.
inline bool LessIsBetter(std::string_view figure) {
  return figure == "loss" || figure == "perplexity" || figure == "mse" || figure == "mae";
}

struct ModelTask {
  std::string_view name;  // as `mlac train` and `mlac run` know it
  // Throws as CheckData of data/, and what reading the files throws. notes: what was recognised.
  std::vector<Finding> (*check)(const ModelData& data, std::vector<std::string>& notes);
  // Writes the folder `out`, going on from what a run that ended early left there.
  FineTuneResult (*train)(const ModelConfig& model, const std::string& base, const ModelData& data, const std::string& out,
                          size_t num_threads, FineTuneObserver& observer, const std::atomic<bool>& stop);
  // data: the test data, which some tasks look at before they answer: whether nothing may be the answer, among which texts the nearest is
  // looked for.
  std::unique_ptr<TaskModel> (*open)(const std::string& folder, const ModelData& data, size_t num_threads);
  TaskEvaluation (*evaluate)(const std::string& folder, const std::string& data, const ModelData& columns, size_t num_threads,
                             const std::atomic<bool>& stop);
  // The test data, at most so many rows: in the order in which `evaluate` has them.
  std::vector<TestRow> (*rows)(const ModelData& data, size_t at_most);
  // What the steps that change data read, and the end of the name of what they write.
  PreparedRows (*read_rows)(const std::string& path, const ModelData& columns, const std::vector<std::string>& filter_columns);
  std::string_view extension = ".jsonl";
  bool (*same_answer)(const std::string& found, const std::string& expected) = SameText;
  std::string_view recorded_as = "";  // the task of pipelines/ that answers are recorded with, if its name is another one
  GateFigures figures = kClassifierFigures;
  std::span<const std::string_view> test_kinds = kAllTestKinds;
  bool has_columns = true;   // the data are tables, whose columns filters may name
  bool labels_texts = true;  // one label a text: there are confusion matrices, and figures are computed again from labels
  ProblemType problem_type = ProblemType::kSingleLabel;  // text-classification comes in three kinds
  // The figures of these rows of the test data (those of read_rows, rising) where figures.by_row does not tell them; else nullptr.
  Figures (*measure_rows)(const std::string& folder, const ModelData& data, std::span<const size_t> rows, size_t num_threads) = nullptr;

  bool several_labels() const { return problem_type == ProblemType::kMultiLabel; }
  bool gives_numbers() const { return problem_type == ProblemType::kRegression; }
  std::string Title() const;  // "text-classification with multi_label"
};

std::span<const ModelTask> AllModelTasks();
const ModelTask& TaskOf(const ModelConfig& model);
// Throws kInvalidArgument for a name that is none. problem_type: of text-classification; other tasks have one kind alone.
const ModelTask& FindModelTask(std::string_view name, ProblemType problem_type = ProblemType::kSingleLabel);

// What a cell of a column holds: each of several labels, the items of a list of JSON Lines, else itself.
std::vector<std::string> ValuesOfCell(const ModelTask& task, const ModelData& columns, const std::string& column, const std::string& cell);

// Throws kCancelled if stop is set: "interrupted", with the hint to run `mlac apply` again.
void ThrowIfStopped(const std::atomic<bool>& stop);

// Processor and instruction set: what a latency is of.
std::string ProcessorName();

}  // namespace mlac
