#include "project/collect_steps.h"

#include <fmt/format.h>

#include <map>
#include <optional>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/folder_contents.h"
#include "project/config.h"
#include "project/data_profile.h"
#include "project/model_base.h"
#include "project/owed_report.h"
#include "project/step.h"

namespace mlac {
namespace {

// The mlac.yaml files by which models were made, each read once.
class KnownProjects {
 public:
  explicit KnownProjects(const StepStore& steps) : steps_(steps) {}

  // nullptr if nothing can be said of the model.
  const ProjectConfig* Of(const std::string& model) {
    const std::string file = steps_.ProjectFile(model);
    if (file.empty() || !FileExists(file)) return nullptr;
    const auto [entry, is_new] = projects_.try_emplace(file);
    if (is_new) entry->second = Read(file);
    return entry->second ? &*entry->second : nullptr;
  }
  const std::vector<std::string>& unreadable() const { return unreadable_; }

 private:
  std::optional<ProjectConfig> Read(const std::string& file) {
    try {
      return ReadProject(file);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::kResourceExhausted) throw;
      unreadable_.push_back(fmt::format("{}: {}", file, error.message()));
      return std::nullopt;
    }
  }

  const StepStore& steps_;
  std::map<std::string, std::optional<ProjectConfig>> projects_;  // by file
  std::vector<std::string> unreadable_;
};

class StepCollector {
 public:
  StepCollector(const Store& store, bool dry_run) : steps_(store), dry_run_(dry_run), projects_(steps_), contents_(&store) {}

  CollectedSteps Run() {
    const std::vector<std::string> keys = steps_.Keys();  // first: what an apply makes meanwhile is not looked at by a dry run
    for (const std::string& model : steps_.Models()) LookAt(model);
    for (const std::string& key : keys)
      if (!needed_.contains(key)) Remove(key);
    if (knows_all_data_) result_.profiles = RemoveDataProfilesExcept(steps_.store(), needed_profiles_, dry_run_);
    result_.unreadable = projects_.unreadable();
    return std::move(result_);
  }

 private:
  void LookAt(const std::string& model) {
    const ProjectConfig* project = projects_.Of(model);
    const ModelConfig* config = nullptr;
    if (project != nullptr)
      for (const ModelConfig& each : project->models)
        if (each.name == model) config = &each;
    if (project != nullptr && config == nullptr) return Forget(model);
    for (const auto& [step, key] : steps_.LastKeys(model)) {
      if (config != nullptr && !IsAskedFor(step, *config)) continue;
      needed_.insert(key);
      if (config != nullptr) NeedProfilesOf(key, *config);
    }
    if (config == nullptr) {
      knows_all_data_ = false;
    } else {
      NeedProfilesOfFiles(*project, *config);
    }
  }

  // By them a plan tells what has changed in the data since the step.
  void NeedProfilesOf(const std::string& key, const ModelConfig& config) {
    const std::optional<StepRecord> record = steps_.Find(key);
    if (!record) return;
    for (const StepInput& input : record->inputs)
      if (input.kind == StepInput::Kind::kFile && input.name.starts_with("data."))
        needed_profiles_.insert(DataProfileName(TaskOf(config), input.value.substr(0, input.value.find(' ')), ColumnsOf(config)));
  }

  // By them it knows the labels of today's data.
  void NeedProfilesOfFiles(const ProjectConfig& project, const ModelConfig& config) {
    for (const std::string& path : DataFilesOf(project, config)) {
      try {
        needed_profiles_.insert(DataProfileName(TaskOf(config), contents_.Hash(path), ColumnsOf(config)));
      } catch (const Error& error) {
        if (error.code() == ErrorCode::kResourceExhausted) throw;  // else it has none: it is not there, or cannot be read
      }
    }
  }

  void Forget(const std::string& model) {
    result_.models.push_back(model);
    if (dry_run_) return;
    steps_.ForgetModel(model);
    ForgetOwedReport(steps_.store(), model);
  }

  static bool IsAskedFor(const std::string& step, const ModelConfig& config) {
    for (const StepKind* kind : AllStepKinds())
      if (kind->name == step) return kind->applies(config);
    return false;
  }

  void Remove(const std::string& key) {
    CollectedSteps::Removed removed;
    removed.key = key;
    try {
      if (const std::optional<StepRecord> record = steps_.Find(key)) {
        removed.step = record->step;
        removed.model = record->model;
      }
      for (const FolderEntry& entry : EntriesIn(steps_.Folder(key))) removed.num_bytes += entry.size;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kNotFound) throw;
      if (dry_run_) return;  // an apply at work took it away
    }
    if (!dry_run_) steps_.Remove(key);
    result_.steps.push_back(std::move(removed));
  }

  const StepStore steps_;
  const bool dry_run_;
  KnownProjects projects_;
  Contents contents_;
  std::set<std::string> needed_;           // keys
  std::set<std::string> needed_profiles_;  // names
  bool knows_all_data_ = true;             // false where there is a model whose mlac.yaml cannot be read
  CollectedSteps result_;
};

}  // namespace

uint64_t CollectedSteps::num_bytes() const {
  uint64_t sum = 0;
  for (const Removed& removed : steps) sum += removed.num_bytes;
  return sum;
}

CollectedSteps CollectSteps(const Store& store, bool dry_run) { return StepCollector(store, dry_run).Run(); }

std::vector<std::string> BaseRevisionsOfProjects(const Store& store) {
  const StepStore steps(store);
  KnownProjects projects(steps);
  std::set<const ProjectConfig*> seen;
  std::vector<std::string> revisions;
  for (const std::string& model : steps.Models())
    if (const ProjectConfig* project = projects.Of(model); project != nullptr && seen.insert(project).second)
      for (std::string& revision : BaseRevisions(*project, store)) revisions.push_back(std::move(revision));
  return revisions;
}

}  // namespace mlac
