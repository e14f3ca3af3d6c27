#pragma once
// Results of steps, kept in the store under the key of all that they depend on.
#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hub/store.h"
#include "hub/verify.h"

namespace mlac {

// One thing that a step depends on.
struct StepInput {
  enum class Kind { kParameter, kFile, kStep, kVersion, kRevision, kModel };
  std::string name;  // "train.epochs", "data.train", "train" (the step before), "mlac"
  Kind kind = Kind::kParameter;
  // The parameter as text; the SHA-256 of the content and the file's own name; the key of the step; the revision of the store and its name;
  // the key of the step that trained a model and that model's name.
  std::string value;
  std::string shown = {};  // for people, and not part of the key: "data/train.csv", "topics@production"
};

// A step that is done.
struct StepRecord {
  std::string step, model, key;
  std::vector<StepInput> inputs;
  std::string time;  // when it ended, as in Record of hub/
  double seconds = 0;
  std::string result = "{}";  // a JSON object: what later steps and people want to know
  std::string output = {};    // the revision (hub/manifest.h) of the files that it wrote, "" for none; Commit sets it
};

// That a test or a gate said no.
struct StepRefusal {
  std::string step, key, message, time;
};

// 40 hexadecimal digits of the SHA-256 of step and inputs.
std::string StepKey(std::string_view step, const std::vector<StepInput>& inputs);

// Reading is for any process at any time; Commit, and what is done in a work folder, for the one that holds the lock of `apply`.
class StepStore {
 public:
  explicit StepStore(const Store& store) : store_(store) {}

  const Store& store() const { return store_; }

  // The record of a step that is done, or nothing. A damaged one is none: the step runs again.
  std::optional<StepRecord> Find(const std::string& key) const;
  std::string OutputFolder(const std::string& key) const;  // what a done step wrote
  // Whether that is as it was written; reads all of it.
  bool IsWhole(const StepRecord& record) const;
  // Takes a result away, so that the step runs again.
  void Remove(const std::string& key) const;
  // What is not as it was written, for `mlac verify`; reads all results. on_step: told how many of how many were read.
  std::vector<Damage> FindDamages(const std::function<void(size_t done, size_t total)>& on_step = {}) const;

  // Where a step writes: WorkFolder(key)/output. It stays after a kill, so that training finds its checkpoint.
  std::string WorkFolder(const std::string& key) const;
  void RemoveWork(const std::string& key) const;
  // Makes the work folder and its output/ where they are missing, so that a power loss does not take them with what a step left to go on
  // from.
  void MakeWork(const std::string& key) const;
  // The record, which has a checksum of the output and of itself, and the output appear together, or neither. Syncs.
  void Commit(StepRecord record) const;
  // The revision that a publish step gave; "" if it is not done or the store does not have it.
  std::string PublishedRevision(const std::string& key) const;

  // The last step of each kind that a model finished: what changes are told against.
  std::map<std::string, std::string> LastKeys(const std::string& model) const;
  void SetLastKey(const std::string& model, const std::string& step, const std::string& key) const;

  // The last refusal of a model: told by plan and status as long as the same step with the same key is what runs next.
  std::optional<StepRefusal> LastRefusal(const std::string& model) const;
  void SetLastRefusal(const std::string& model, const StepRefusal& refusal) const;

  // Removes work folders, other than those in `keep`: of runs that ended early and whose inputs have changed since.
  void RemoveWorkExcept(const std::vector<std::string>& keep) const;

  // For collect_steps.h: all results, and the models that have finished a step.
  std::vector<std::string> Keys() const;
  std::vector<std::string> Models() const;
  std::string Folder(const std::string& key) const;  // of a result
  // The mlac.yaml that a model was made by last, as a path from here; "" if that is not known.
  std::string ProjectFile(const std::string& model) const;
  void SetProjectFile(const std::string& model, const std::string& file) const;
  // Takes away all that is noted of a model: last keys, refusal, file.
  void ForgetModel(const std::string& model) const;

 private:
  const Store& store_;
};

}  // namespace mlac
