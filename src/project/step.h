#pragma once
// The steps from data to a published model: one file a kind (step_*.cc), one line a kind in step.cc.
#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "hub/store.h"
#include "project/config.h"
#include "project/model_base.h"
#include "project/model_task.h"
#include "project/step_store.h"

namespace mlac {

// Hashes of files and folders, each computed once.
class Contents {
 public:
  explicit Contents(const Store* store) : store_(store) {}  // nullptr: there is no store yet, and nothing is remembered for the next time
  // SHA-256 of a file, or the revision of a folder. Throws as Scan.
  const std::string& Hash(const std::string& path);
  const Store* store() const { return store_; }

 private:
  const Store* store_;
  std::map<std::string, std::string> hashes_;
};

// What a step of one model is described from.
struct StepScope {
  const ProjectConfig& project;
  const ModelConfig& model;
  Contents& contents;
  const std::map<std::string, std::string>& keys;  // of the steps of this model that stand before
  std::optional<std::string> production;           // the revision, if there is one
  const PlannedBase& base;

  bool Has(std::string_view step) const { return keys.contains(std::string(step)); }
  // Throws the error with the place of a key of the model, "data.train[1]", before its message: "mlac.yaml line 7:
  // models.topics.data.train[1]: ".
  [[noreturn]] void Refuse(const Error& error, const std::string& key) const;
  StepInput Step(std::string_view step) const;
  // The model that it starts from. Throws with the place if that is a folder without a model.
  StepInput Base() const;
  // A file or folder that mlac.yaml names under that key ("data.train"). Throws with the model and the key what Contents throws.
  StepInput File(const std::string& key, const std::string& path) const;
  StepInput Parameter(const std::string& key, const std::string& value) const { return {key, StepInput::Kind::kParameter, value}; }
  // The data after all that is done with it: a file of the user's or the last step that made it.
  std::vector<StepInput> TrainData() const;
  std::vector<StepInput> TestData() const;
  std::vector<StepInput> Columns() const;
  size_t MaxTokens() const;  // that the base model takes in one sequence; 0: there is no such model
  StepInput Model() const;   // the step that made what is evaluated: optimize or train
};

struct StepDescription {
  std::vector<StepInput> inputs;  // with the version of mlac, the key of the step
  // What matters only as long as the model is not published: which revision is in production, on which processor a latency was measured.
  std::vector<StepInput> until_published;
};

// Told of what `apply` does, from its thread.
class ApplyObserver : public FineTuneObserver {
 public:
  virtual void OnModel(const std::string& model) = 0;
  virtual void OnStepStart(const std::string& step, size_t number,
                           size_t count) = 0;  // number from 1, of the steps that run for this model
  virtual void OnStepEnd(const std::string& step, double seconds, const std::string& summary) = 0;
  virtual void OnRefused(const std::string& step, const std::string& message) = 0;
  virtual void OnFailed(const std::string& /*message*/) {}  // an error ended the model's steps, or its report
};

// A step at work.
struct StepRun {
  const ProjectConfig& project;
  const ModelConfig& model;
  const StepStore& steps;
  Contents& contents;
  const std::map<std::string, std::string>& keys;  // of all steps of this model
  std::string key;                                 // of this one
  std::string output;                              // the folder to write into; it is there, and empty unless the step goes on from a kill
  std::optional<std::string> production;
  PlannedBase base;  // of a model its revision, too
  size_t num_threads = 1;
  ApplyObserver& observer;
  const std::atomic<bool>& stop;

  std::string OutputOf(std::string_view step) const;  // folder of a step before
  std::string ResultOf(std::string_view step) const;  // JSON
  bool Has(std::string_view step) const { return keys.contains(std::string(step)); }
  ModelData Data() const;
  std::string ModelFolder() const;  // that is evaluated, tested and published

  // Results.
  std::string result = "{}";  // JSON
  std::string summary = {};   // a few words for people: "accuracy 0.9120, macro-F1 0.9101"
  std::string refusal = {};   // not empty: the step says no, with this message, and nothing behind it runs
};

struct StepKind {
  std::string_view name;         // "train"
  std::string_view description;  // for the documentation
  bool resumes;                  // goes on from what a run that ended early left in output; else that is removed
  bool (*applies)(const ModelConfig& model);
  StepDescription (*describe)(const StepScope& scope);
  void (*run)(StepRun& run);
};

// In the order in which they run.
std::span<const StepKind* const> AllStepKinds();

extern const StepKind kJoinStep, kFilterStep, kDedupeStep, kSplitStep, kCheckStep, kTrainStep, kOptimizeStep, kEvaluateStep, kTestStep,
    kGateStep, kPublishStep;

// Where the train step keeps its checkpoint. output: the folder that it writes into.
std::string TrainingCheckpoint(const std::string& output, const ModelConfig& model);

// All that training depends on besides base and data, by the names of mlac.yaml: "train.epochs". What changes no bit is left out.
std::vector<std::pair<std::string, std::string>> TrainParameters(const ModelConfig& model);

// The first two figures of a task, for the result of a step: {"accuracy", "macro_f1", "num_examples", "evaluated_on"}, the last unless it
// is "".
std::string HeadlineJson(const Figures& figures, const std::string& evaluated_on = "");

// The columns of a model's data, without its files.
ModelData ColumnsOf(const ModelConfig& model);
// With the files that mlac.yaml names, the first of several to train on.
ModelData DataOf(const ProjectConfig& project, const ModelConfig& model);

// The file that a step which changes data writes. part: "train" or "test".
std::string PreparedFile(const ModelConfig& model, std::string_view part);

// Bytes of weights, configuration and tokenizer: all files of a model folder but card, figures and pictures.
uint64_t ModelBytes(const std::string& folder);

}  // namespace mlac
