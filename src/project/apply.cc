#include "project/apply.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "base/build_info.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "hub/aliases.h"

namespace mlac {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

const StepKind& KindOf(const std::string& name) {
  for (const StepKind* kind : AllStepKinds())
    if (kind->name == name) return *kind;
  throw Error(ErrorCode::kInternal, fmt::format("there is no step '{}'", name));
}

class ModelApplier {
 public:
  ModelApplier(const ProjectConfig& project, const ModelConfig& model, const PlannedModel& plan, const Store& store,
               const ApplyOptions& options, ApplyObserver& observer, const std::atomic<bool>& stop, std::set<std::string>& done)
      : project_(project),
        model_(model),
        plan_(plan),
        store_(store),
        steps_(store),
        options_(options),
        observer_(observer),
        stop_(stop),
        done_(done),
        keys_(plan.keys()) {
    if (!plan.production.empty()) production_ = plan.production;
  }

  AppliedModel Run() {
    AppliedModel applied = {.name = model_.name, .num_steps = 0, .revision = {}, .published = false, .refused_by = {}, .refusal = {}};
    const size_t count =
        static_cast<size_t>(std::count_if(plan_.steps.begin(), plan_.steps.end(), [](const PlannedStep& step) { return step.runs; }));
    if (count > 0) observer_.OnModel(model_.name);
    for (const PlannedStep& step : plan_.steps) {
      if (!step.runs) {
        if (count > 0 && steps_.Find(step.key)) steps_.SetLastKey(model_.name, step.step, step.key);
        continue;
      }
      ThrowIfStopped(stop_);
      observer_.OnStepStart(step.step, ++applied.num_steps, count);
      applied.refusal = RunStep(step);
      if (applied.refusal.empty()) continue;
      applied.refused_by = step.step;
      observer_.OnRefused(step.step, applied.refusal);
      break;
    }
    applied.revision = Aliases(store_).Find(model_.name, kLatest).value_or("");
    applied.published = applied.refused_by.empty() && applied.num_steps > 0;
    return applied;
  }

 private:
  // What the step depends on now; its key must be the planned one.
  StepDescription DescribeNow(const StepKind& kind, const PlannedStep& step) const {
    Contents contents(&store_);
    std::map<std::string, std::string> before;
    for (const PlannedStep& each : plan_.steps) {
      if (each.step == step.step) break;
      before[each.step] = each.key;
    }
    StepDescription description = kind.describe({project_, model_, contents, before, production_});
    description.inputs.push_back({"mlac", StepInput::Kind::kVersion, GetBuildInfo().version});
    if (StepKey(kind.name, description.inputs) != step.key)
      throw Error(ErrorCode::kInvalidInput,
                  fmt::format("{}: what the step '{}' reads has changed since it was planned", model_.name, step.step), "apply again");
    return description;
  }

  // Gives why it says no, or "".
  std::string RunStep(const PlannedStep& step) {
    try {
      return RunStepIn(step);
    } catch (const fs::filesystem_error& error) {  // what copies and removes folders throws
      const bool full = error.code() == std::errc::no_space_on_device;
      throw Error(full ? ErrorCode::kResourceExhausted : ErrorCode::kIo,
                  fmt::format("{}: {}", error.path1().string(), error.code().message()));
    }
  }

  // What an earlier run left may be damaged, or of a file that changed after it was planned: then it begins anew.
  void RunOrBeginAnew(const StepKind& kind, StepRun& run) const {
    const bool goes_on = kind.resumes && !NamesIn(run.output).empty();
    try {
      kind.run(run);
    } catch (const Error& error) {
      if (!goes_on || (error.code() != ErrorCode::kInvalidInput && error.code() != ErrorCode::kNotFound)) throw;
      observer_.OnNote(error.message() + ": it begins anew");
      steps_.RemoveWork(run.key);
      fs::create_directories(run.output);
      kind.run(run);
    }
  }

  std::string RunStepIn(const PlannedStep& step) {
    const StepKind& kind = KindOf(step.step);
    const StepDescription description = DescribeNow(kind, step);
    // A model before this one may have had the same data and parameters.
    if (description.until_published.empty() && done_.contains(step.key)) {
      steps_.SetLastKey(model_.name, step.step, step.key);
      observer_.OnStepEnd(step.step, 0, "as for a model before");
      return "";
    }
    if (!kind.resumes) steps_.RemoveWork(step.key);
    steps_.MakeWork(step.key);
    Contents contents(&store_);
    StepRun run = {.project = project_,
                   .model = model_,
                   .steps = steps_,
                   .contents = contents,
                   .keys = keys_,
                   .key = step.key,
                   .output = steps_.WorkFolder(step.key) + "/output",
                   .production = production_,
                   .num_threads = options_.num_threads,
                   .observer = observer_,
                   .stop = stop_};
    const auto begin = Clock::now();
    RunOrBeginAnew(kind, run);
    const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    if (!run.refusal.empty()) {  // not kept: it is asked again the next time
      steps_.RemoveWork(step.key);
      return run.refusal;
    }
    try {
      DescribeNow(kind, step);
    } catch (const Error&) {  // a file that changed meanwhile may have been read by halves
      steps_.RemoveWork(step.key);
      throw;
    }
    json result = ParseJson(run.result, "result");
    for (const StepInput& input : description.until_published) result["until_published"][input.name] = input.value;
    steps_.Commit({.step = step.step,
                   .model = model_.name,
                   .key = step.key,
                   .inputs = description.inputs,
                   .time = TimeNow(),
                   .seconds = seconds,
                   .result = result.dump()});
    done_.insert(step.key);
    steps_.SetLastKey(model_.name, step.step, step.key);
    observer_.OnStepEnd(step.step, seconds, run.summary);
    return "";
  }

  const ProjectConfig& project_;
  const ModelConfig& model_;
  const PlannedModel& plan_;
  const Store& store_;
  const StepStore steps_;
  const ApplyOptions& options_;
  ApplyObserver& observer_;
  const std::atomic<bool>& stop_;
  std::set<std::string>& done_;  // keys of what this run has done
  const std::map<std::string, std::string> keys_;
  std::optional<std::string> production_;
};

}  // namespace

bool ApplyResult::refused() const {
  return std::any_of(models.begin(), models.end(), [](const AppliedModel& model) { return !model.refused_by.empty(); });
}

std::string ApplyResult::Json() const {
  ordered_json list = ordered_json::array();
  for (const AppliedModel& model : models) {
    ordered_json entry = {{"name", model.name}, {"num_steps", model.num_steps}, {"published", model.published}};
    entry["latest"] = model.revision.empty() ? ordered_json(nullptr) : ordered_json(model.revision);
    if (!model.refused_by.empty()) entry["refused"] = {{"by", model.refused_by}, {"message", model.refusal}};
    list.push_back(std::move(entry));
  }
  return ordered_json({{"format_version", 1}, {"refused", refused()}, {"models", std::move(list)}}).dump(2) + "\n";
}

namespace {

// A process that was killed while it started git leaves its lock with the child for the moment until that has become git.
FileLock TakeApplyLock(const Store& store) {
  constexpr int kTries = 10;
  constexpr std::chrono::milliseconds kPause(20);
  const std::string path = store.Part("locks") + "/apply";
  for (int i = 1; i < kTries; ++i) {
    try {
      return FileLock::Take(path, LockMode::kExclusive, "apply");
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kResourceExhausted) throw;
    }
    std::this_thread::sleep_for(kPause);
  }
  return FileLock::Take(path, LockMode::kExclusive, "apply");
}

}  // namespace

ApplyLock::ApplyLock(const Store& store) : lock_(TakeApplyLock(store)) {}

ApplyResult Apply(const ProjectConfig& project, const Plan& plan, const Store& store, const ApplyOptions& options, ApplyObserver& observer,
                  const std::atomic<bool>& stop) {
  ApplyResult result;
  std::set<std::string> done;
  for (const PlannedModel& model : plan.models)
    result.models.push_back(ModelApplier(project, project.Find(model.name), model, store, options, observer, stop, done).Run());
  if (plan.models.size() == project.models.size()) {  // all was planned: what else lies in the work folder belongs to no step of today
    std::vector<std::string> keep;
    for (const PlannedModel& model : plan.models)
      for (const PlannedStep& step : model.steps) keep.push_back(step.key);
    StepStore(store).RemoveWorkExcept(keep);
  }
  return result;
}

}  // namespace mlac
