#include "project/apply.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "base/build_info.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "hub/aliases.h"
#include "project/apply_reports.h"
#include "project/data_profile.h"
#include "project/key_names.h"
#include "project/owed_report.h"
#include "train/report_escape.h"

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
               const ApplyOptions& options, ApplyObserver& observer, const std::atomic<bool>& stop, std::set<std::string>& done,
               const std::optional<Error>& no_base)
      : project_(project),
        model_(model),
        plan_(plan),
        store_(store),
        steps_(store),
        options_(options),
        observer_(observer),
        stop_(stop),
        done_(done),
        no_base_(no_base),
        keys_(plan.keys()) {
    if (!plan.production.empty()) production_ = plan.production;
  }

  AppliedModel Run() {
    AppliedModel applied;
    applied.name = model_.name;
    Try(applied, [&] {
      if (plan_.owes_report && options_.reports) WriteReport(applied);
    });
    Try(applied, [&] { RunSteps(applied); });
    Try(applied, [&] {
      if (applied.published && options_.reports) WriteReport(applied);
      if (!applied.refused_by.empty() && options_.reports) WriteRefusal(applied);
    });
    applied.revision = Aliases(store_).Find(model_.name, kLatest).value_or("");
    return applied;
  }

 private:
  // What action throws is this model's failure; the first one of several is told.
  template <typename Action>
  void Try(AppliedModel& applied, Action action) {
    try {
      action();
    } catch (const Error& error) {
      if (error.code() == ErrorCode::kCancelled) throw;
      observer_.OnFailed(error.message());
      if (!applied.failure) applied.failure = error;
    }
  }

  // What a report compares with that is of no earlier publication.
  OwedReport NewReport() const { return {.latest = plan_.latest, .before = plan_.production.empty() ? plan_.latest : plan_.production}; }

  void RunSteps(AppliedModel& applied) {
    const size_t count =
        static_cast<size_t>(std::count_if(plan_.steps.begin(), plan_.steps.end(), [](const PlannedStep& step) { return step.runs; }));
    if (count > 0) observer_.OnModel(model_.name);
    if (count > 0 && no_base_) throw Error(*no_base_);
    if (count > 0) {
      steps_.SetProjectFile(model_.name, project_.file);
      MendProfiles();
    }
    for (const PlannedStep& step : plan_.steps) {
      if (!step.runs) {
        if (count > 0 && steps_.Find(step.key)) steps_.SetLastKey(model_.name, step.step, step.key);
        continue;
      }
      ThrowIfStopped(stop_);
      observer_.OnStepStart(step.step, ++applied.num_steps, count);
      const bool publishes = step.step == kPublishStep.name;
      if (publishes && options_.reports) NoteOwedReport(store_, model_.name, NewReport());
      applied.refusal = RunStep(step);
      applied.published = publishes && applied.refusal.empty();
      if (step.step == kGateStep.name && options_.in_ci) WarnOfGatesWithoutProduction(applied);
      if (applied.refusal.empty()) continue;
      applied.refused_by = step.step;
      steps_.SetLastRefusal(model_.name, {.step = step.step, .key = step.key, .message = applied.refusal, .time = TimeNow()});
      observer_.OnRefused(step.step, applied.refusal);
      break;
    }
  }

  // By them a plan tells changes of data and knows their labels.
  void MendProfiles() const {
    Contents contents(&store_);
    for (const std::string& path : MendDataProfiles(store_, project_, model_, contents))
      observer_.OnNote(fmt::format("{}: {} is not what was written: it is made anew", model_.name, path));
  }

  // They pass, as where a model is new; but where the store is lost between runs they would for ever.
  void WarnOfGatesWithoutProduction(AppliedModel& applied) const {
    if (production_) return;
    for (const Gate& gate : model_.gates) {
      if (!gate.against_production) continue;
      const Finding finding = {.code = "gate_without_production",
                               .severity = Severity::kWarning,
                               .count = 1,
                               .message = fmt::format("{}: gate '{}' compared with nothing: the store {} has no {}@{}. Does it survive from run to run?",
                                                      model_.name, gate.Text(), project_.store, model_.name, kProduction)};
      observer_.OnFinding(finding);
      applied.warnings.push_back(finding.message);
    }
  }

  // Of what is published by now, beside what was noted before it was.
  void WriteReport(AppliedModel& applied) const {
    const std::string revision = Aliases(store_).Find(model_.name, kLatest).value_or("");
    const OwedReport owed = FindOwedReport(store_, model_.name).value_or(NewReport());
    try {
      AddReport(applied, WriteApplyReport(store_, model_.name, owed.before, revision, options_.num_threads, stop_));
    } catch (const Error& error) {
      if (error.code() == ErrorCode::kCancelled) throw;
      throw Error(error.code(),
                  fmt::format("{}@{} is published, its report is not written: {}", model_.name, revision.substr(0, 10), error.message()),
                  "the next 'mlac apply' writes it");
    }
    ForgetOwedReport(store_, model_.name);
  }

  // Of what was trained and refused: its optimised weights, if it got so far.
  void WriteRefusal(AppliedModel& applied) const {
    const bool is_optimized = keys_.contains("optimize") && steps_.Find(keys_.at("optimize"));
    Contents contents(&store_);
    const StepRun run = RunOf(applied.refused_by, contents);
    const ApplyReport report = WriteRefusalReport(store_, model_.name, NewReport().before,
                                                  {.path = run.OutputOf(is_optimized ? "optimize" : "train") + "/model",
                                                   .config = model_,
                                                   .data = run.Data(),
                                                   .refusal = fmt::format("Refused by {}: {}", applied.refused_by, applied.refusal)},
                                                  options_.num_threads, stop_);
    AddReport(applied, report);
  }

  void AddReport(AppliedModel& applied, const ApplyReport& report) const {
    observer_.OnNote(fmt::format("{}: report in {}.html and .md", model_.name, report.path));
    applied.report = report.path;
    applied.markdown += (applied.markdown.empty() ? "" : "\n") + report.markdown;
  }

  StepRun RunOf(const std::string& step, Contents& contents) const {
    const std::string key = keys_.at(step);
    return {.project = project_,
            .model = model_,
            .steps = steps_,
            .contents = contents,
            .keys = keys_,
            .key = key,
            .output = steps_.WorkFolder(key) + "/output",
            .production = production_,
            .base = plan_.base,
            .num_threads = options_.num_threads,
            .observer = observer_,
            .stop = stop_};
  }

  // What the step depends on now; its key must be the planned one.
  StepDescription DescribeNow(const StepKind& kind, const PlannedStep& step) const {
    Contents contents(&store_);
    std::map<std::string, std::string> before;
    for (const PlannedStep& each : plan_.steps) {
      if (each.step == step.step) break;
      before[each.step] = each.key;
    }
    StepDescription description = kind.describe({project_, model_, contents, before, production_, plan_.base});
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
    } catch (const Error& error) {
      throw WithKeyNames(error);
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
    StepRun run = RunOf(step.step, contents);
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
                   .result = DumpJson(result)});
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
  std::set<std::string>& done_;          // keys of what this run has done
  const std::optional<Error>& no_base_;  // why it has no base to be trained from
  const std::map<std::string, std::string> keys_;
  std::optional<std::string> production_;
};

}  // namespace

bool ApplyResult::refused() const {
  return std::any_of(models.begin(), models.end(), [](const AppliedModel& model) { return !model.refused_by.empty(); });
}

bool ApplyResult::failed() const {
  return std::any_of(models.begin(), models.end(), [](const AppliedModel& model) { return model.failure.has_value(); });
}

std::string ApplyResult::Json() const {
  ordered_json list = ordered_json::array();
  for (const AppliedModel& model : models) {
    ordered_json entry = {{"name", model.name}, {"num_steps", model.num_steps}, {"published", model.published}};
    entry["latest"] = model.revision.empty() ? ordered_json(nullptr) : ordered_json(model.revision);
    if (!model.refused_by.empty()) entry["refused"] = {{"by", model.refused_by}, {"message", model.refusal}};
    if (model.failure)
      entry["failed"] = {
          {"error", KindOf(model.failure->code()).name}, {"message", model.failure->message()}, {"hint", model.failure->hint()}};
    if (!model.warnings.empty()) entry["warnings"] = model.warnings;
    if (!model.report.empty()) entry["report"] = model.report + ".html";
    list.push_back(std::move(entry));
  }
  const ordered_json out = {{"format_version", 1}, {"refused", refused()}, {"failed", failed()}, {"models", std::move(list)}};
  return DumpJson(out, 2) + "\n";
}

std::string ApplyResult::Markdown() const {
  std::string out;
  const auto add = [&](const std::string& markdown) { out += (out.empty() ? "" : "\n") + markdown; };
  for (const AppliedModel& model : models) {
    const std::string name = EscapeMarkdown(model.name);
    for (const std::string& warning : model.warnings) add(fmt::format("**Warning:** {}\n", EscapeMarkdown(warning)));
    if (!model.refused_by.empty()) add(fmt::format("## {}: refused by {}\n\n{}\n", name, model.refused_by, EscapeMarkdown(model.refusal)));
    if (model.failure) add(fmt::format("## {}: failed\n\n{}\n", name, EscapeMarkdown(model.failure->message())));
    if (!model.markdown.empty()) add(model.markdown);
  }
  return out;
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

// Takes away the results that are not as they were written, where steps run that may read them; whether there were any.
bool RemoveDamaged(const PlannedModel& model, const StepStore& steps, ApplyObserver& observer) {
  if (!model.changes()) return false;
  bool found = false;
  for (const PlannedStep& step : model.steps) {
    if (step.runs) continue;
    const std::optional<StepRecord> record = steps.Find(step.key);
    if (!record || steps.IsWhole(*record)) continue;
    observer.OnNote(
        fmt::format("{}: {} is not what the step '{}' wrote: it runs again", model.name, steps.OutputFolder(step.key), step.step));
    steps.Remove(step.key);
    found = true;
  }
  return found;
}

// The plan of one model as it is now.
PlannedModel PlanAgain(const ProjectConfig& project, const std::string& name) {
  for (PlannedModel& model : MakePlan(project, {.targets = {name}}).models)
    if (model.name == name) return std::move(model);
  throw Error(ErrorCode::kInternal, fmt::format("there is no plan of '{}'", name));
}

// The same plan, or one without damaged results; what making that throws is the failure of this model.
PlannedModel PlanWithoutDamage(const ProjectConfig& project, const PlannedModel& planned, const StepStore& steps, ApplyObserver& observer,
                               AppliedModel& applied) {
  try {
    PlannedModel model = planned;
    while (RemoveDamaged(model, steps, observer)) model = PlanAgain(project, planned.name);
    return model;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kCancelled) throw;
    observer.OnModel(planned.name);
    observer.OnFailed(error.message());
    applied.failure = error;
    return planned;
  }
}

// Sets the revision of a base that is a model of the same plan, as that is published by now; else says why there is none.
std::optional<Error> FindBaseRevision(PlannedBase& base, const std::map<std::string, PlannedModel>& planned, const ApplyResult& result,
                                      const StepStore& steps) {
  std::string why = "is not in the plan";
  for (const AppliedModel& applied : result.models) {
    if (applied.name != base.model) continue;
    const PlannedModel& plan = planned.at(base.model);
    if (applied.published || !plan.changes()) base.revision = steps.PublishedRevision(plan.keys().at(std::string(kPublishStep.name)));
    if (!base.revision.empty()) return std::nullopt;
    why = !applied.refused_by.empty() ? fmt::format("was refused by {}: {}", applied.refused_by, applied.refusal)
          : applied.failure           ? fmt::format("failed: {}", applied.failure->message())
                                      : "is not published";
  }
  return Error(ErrorCode::kInvalidInput, fmt::format("not trained, as its base, the model '{}', {}", base.model, why),
               fmt::format("once '{}' is published, 'mlac apply' goes on", base.model));
}

}  // namespace

ApplyLock::ApplyLock(const Store& store) : lock_(TakeApplyLock(store)) {}

ApplyResult Apply(const ProjectConfig& project, const Plan& plan, const Store& store, const ApplyOptions& options, ApplyObserver& observer,
                  const std::atomic<bool>& stop) {
  ApplyResult result;
  std::set<std::string> done;
  std::map<std::string, PlannedModel> planned_models;
  for (const PlannedModel& planned : plan.models) {
    AppliedModel applied;
    applied.name = planned.name;
    applied.revision = planned.latest;
    PlannedModel model = PlanWithoutDamage(project, planned, StepStore(store), observer, applied);
    if (!applied.failure) {
      std::optional<Error> no_base;
      if (!model.base.model.empty() && model.changes()) no_base = FindBaseRevision(model.base, planned_models, result, StepStore(store));
      applied = ModelApplier(project, project.Find(model.name), model, store, options, observer, stop, done, no_base).Run();
    }
    result.models.push_back(std::move(applied));
    planned_models[model.name] = std::move(model);
  }
  if (plan.models.size() == project.models.size()) {  // all was planned: what else lies in the work folder belongs to no step of today
    std::vector<std::string> keep;
    for (const PlannedModel& model : plan.models)
      for (const PlannedStep& step : model.steps) keep.push_back(step.key);
    StepStore(store).RemoveWorkExcept(keep);
  }
  return result;
}

}  // namespace mlac
