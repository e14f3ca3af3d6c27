// mlac apply: runs what mlac plan shows.
#include "project/apply.h"

#include <fmt/format.h>

#include <cstdlib>
#include <memory>
#include <string_view>

#include "base/error.h"
#include "base/file.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/project_options.h"
#include "cli/tracking.h"
#include "hub/aliases.h"
#include "project/candidate.h"
#include "project/test_model.h"
#include "project/tracked_apply.h"

namespace mlac {
namespace {

struct ApplyCommand {
  ProjectOptions project;
  ApplyOptions apply;
  std::string plan_file, markdown, track;
  bool dry_run = false, json = false, no_report = false;
};

constexpr size_t kMostPlanBytes = size_t{256} << 20;

Plan PlanOfNow(const ApplyCommand& options, const ProjectConfig& project, const std::vector<std::string>& targets) {
  Plan plan = MakePlan(project, {.targets = targets});
  if (options.no_report)
    for (PlannedModel& model : plan.models) model.owes_report = false;  // none is written, this time
  return plan;
}

// The plan of now; with --plan-file the one that was reviewed, if it stands.
Plan PlanOf(const ApplyCommand& options, const ProjectConfig& project) {
  if (options.plan_file.empty()) return PlanOfNow(options, project, options.project.targets);
  const Plan reviewed = ParsePlan(ReadFile(options.plan_file, kMostPlanBytes), options.plan_file);
  std::vector<std::string> targets;
  for (const PlannedModel& model : reviewed.models) targets.push_back(model.name);
  Plan now = PlanOfNow(options, project, targets);
  CheckPlanStands(reviewed, now, options.plan_file);
  return now;
}

// Tests and gates said no, and nothing failed.
[[noreturn]] void ThrowRefusal(const ApplyResult& result) {
  std::string message, first;
  for (const AppliedModel& model : result.models) {
    if (model.refused_by.empty()) continue;
    if (first.empty()) first = model.name;
    message += fmt::format("{}{} by {}: {}", message.empty() ? "" : "; ", model.name, model.refused_by, model.refusal);
  }
  throw Refusal(message, fmt::format("nothing was published of it; what production is has not changed. 'mlac test {}@{}' looks at it", first,
                                     kCandidate));
}

// What was not published, and why: with one model its own hint, else what holds of all.
void ThrowWhatWasNotDone(const ApplyResult& result) {
  if (result.refused() && !result.failed()) ThrowRefusal(result);
  std::string message;
  const Error* failure = nullptr;
  for (const AppliedModel& model : result.models) {
    const auto add = [&](const std::string& what) { message += fmt::format("{}{}: {}", message.empty() ? "" : "; ", model.name, what); };
    if (!model.refused_by.empty()) add(fmt::format("refused by {}: {}", model.refused_by, model.refusal));
    if (!model.failure) continue;
    failure = &*model.failure;
    add(result.models.size() == 1 ? failure->message() : "failed: " + failure->message());
  }
  if (result.failed() && !result.refused() && result.models.size() == 1) throw Error(*failure);
  if (result.failed()) throw Error(failure->code(), message, failure->hint());
}

// On standard error: what is printed on the other is the result alone.
void SayWhatToPromote(const Store& store, const AppliedModel& model) {
  if (Aliases(store).Find(model.name, kProduction) == model.revision) return;
  fmt::print(stderr, "next: mlac promote {}@{} {}\n", model.name, kLatest, kProduction);
}

void Report(const Store& store, const ApplyResult& result, bool json) {
  if (json) fmt::print("{}", result.Json());
  for (const AppliedModel& model : result.models) {
    if (json || !model.published) continue;
    fmt::print("{}@latest is {}\n", model.name, model.revision);
    SayWhatToPromote(store, model);
  }
  ThrowWhatWasNotDone(result);
}

ApplyResult ApplyTracked(const ApplyTracking& tracking, const ProjectConfig& project, const Plan& plan, const Store& store,
                         const ApplyOptions& options) {
  ApplyConsole console;
  if (!tracking.mlflow && !tracking.lineage) return Apply(project, plan, store, options, console, CatchInterrupts());
  TrackedApply tracked(tracking, project, plan, store, console);
  try {
    ApplyResult result = Apply(project, plan, store, options, tracked, CatchInterrupts());
    tracked.Finish(result);
    for (const std::string& page : tracked.Pages()) console.OnNote("tracked: " + page);
    return result;
  } catch (const Error& error) {
    tracked.Finish(error);
    throw;
  }
}

// What GitHub, GitLab and most other systems set.
bool RunsInCi() {
  const char* variable = std::getenv("CI");
  return variable != nullptr && (std::string_view(variable) == "true" || std::string_view(variable) == "1");
}

void Execute(ApplyCommand options) {
  options.apply.in_ci = RunsInCi();
  if (!options.plan_file.empty() && !options.project.targets.empty()) throw UsageError("--plan-file and --target exclude each other");
  options.apply.reports = !options.no_report;
  if (!options.markdown.empty() && options.no_report) throw UsageError("--markdown and --no-report exclude each other");
  const ProjectConfig project = ReadProjectHere(options.project.file);
  const ApplyTracking tracking = {.mlflow = ReadMlflowOptions(options.track), .lineage = ReadLineageOptions()};
  if (options.dry_run) {
    const Plan plan = PlanOf(options, project);
    fmt::print("{}", options.json ? plan.Json() : plan.Text());
    return;
  }
  PlanOf(options, project);  // before anything is made: what cannot be planned leaves no store
  const Store store = Store::OpenOrCreate(project.Path(project.store));
  const ApplyLock lock(store);
  const Plan plan = PlanOf(options, project);  // what another apply did until it gave the lock back
  if (!plan.changes() && !options.markdown.empty()) WriteFileAtomically(options.markdown, "");
  if (!plan.changes() && !options.json) {
    fmt::print("{}", plan.Text());
    return;
  }
  fmt::print(stderr, "{}", plan.Text());
  const ApplyResult result = ApplyTracked(tracking, project, plan, store, options.apply);
  if (!options.markdown.empty()) WriteFileAtomically(options.markdown, result.Markdown());
  Report(store, result, options.json);
}

}  // namespace

void AddApply(Command app) {
  auto options = std::make_shared<ApplyCommand>();
  const Command command = app.AddCommand("apply", "Make the models of mlac.yaml: run what has changed, test, gate, publish",
                                         "mlac apply\nmlac apply --target topics");
  AddProjectOptions(command, options->project);
  command
      .AddOption("--plan-file", options->plan_file,
                 "Do exactly what 'mlac plan --plan-file' wrote there; refused if anything has moved since")
      .Type("FILE");
  command.AddFlag("--dry-run", options->dry_run, "Only say what would be done, as 'mlac plan'");
  command.AddFlag("--no-report", options->no_report, "Write no report of what was published (.mlac/reports)");
  command
      .AddOption("--markdown", options->markdown, "Write what was published, beside production, and what was refused, for a pull request")
      .Type("FILE");
  AddTrackOption(command, options->track);
  AddThreadsOption(command, options->apply.num_threads);
  AddJsonFlag(command, options->json);
  command.OnRun([options] { Execute(*options); });
}

}  // namespace mlac
