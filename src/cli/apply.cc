// mlac apply: runs what mlac plan shows.
#include "project/apply.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "base/error.h"
#include "base/file.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/project_options.h"
#include "cli/tracking.h"
#include "project/apply_reports.h"
#include "project/tracked_apply.h"

namespace mlac {
namespace {

struct ApplyCommand {
  ProjectOptions project;
  ApplyOptions apply;
  std::string plan_file, markdown, track;
  bool dry_run = false, json = false, report = true;
};

constexpr size_t kMostPlanBytes = size_t{256} << 20;

// The plan of now; with --plan-file the one that was reviewed, if it stands.
Plan PlanOf(const ApplyCommand& options, const ProjectConfig& project) {
  if (options.plan_file.empty()) return MakePlan(project, {.targets = options.project.targets});
  const Plan reviewed = ParsePlan(ReadFile(options.plan_file, kMostPlanBytes), options.plan_file);
  std::vector<std::string> targets;
  for (const PlannedModel& model : reviewed.models) targets.push_back(model.name);
  Plan now = MakePlan(project, {.targets = targets});
  CheckPlanStands(reviewed, now, options.plan_file);
  return now;
}

void WriteReports(const ApplyCommand& options, const ApplyResult& result, const Plan& plan, const Store& store) {
  if (!options.report) return;
  const ApplyReports reports = WriteApplyReports(result, plan, store, options.apply.num_threads, CatchInterrupts());
  for (const auto& [name, path] : reports.written) fmt::print(stderr, "{}: report in {}.html and .md\n", name, path);
  if (!options.markdown.empty()) WriteFileAtomically(options.markdown, reports.markdown);
}

void Report(const ApplyResult& result, bool json) {
  if (json) fmt::print("{}", result.Json());
  std::string refused;
  for (const AppliedModel& model : result.models) {
    if (!json && model.published) fmt::print("{}@latest is {}\n", model.name, model.revision);
    if (!model.refused_by.empty())
      refused += fmt::format("{}{}: refused by {}: {}", refused.empty() ? "" : "; ", model.name, model.refused_by, model.refusal);
  }
  if (!refused.empty()) throw Error(ErrorCode::kInvalidInput, refused, "nothing was published of it; what production is has not changed");
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

void Execute(ApplyCommand options) {
  if (!options.plan_file.empty() && !options.project.targets.empty()) throw UsageError("--plan-file and --target exclude each other");
  if (!options.markdown.empty() && !options.report) throw UsageError("--markdown and --no-report exclude each other");
  const ProjectConfig project = ReadProject(options.project.file);
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
  WriteReports(options, result, plan, store);
  Report(result, options.json);
}

}  // namespace

void AddApply(CLI::App& app) {
  auto options = std::make_shared<ApplyCommand>();
  CLI::App& command = AddCommand(app, "apply", "Make the models of mlac.yaml: run what has changed, test, gate, publish",
                                 "mlac apply\nmlac apply --target topics");
  AddProjectOptions(command, options->project);
  command
      .add_option("--plan-file", options->plan_file,
                  "Do exactly what 'mlac plan --plan-file' wrote there; refused if anything has moved since")
      ->type_name("FILE");
  command.add_flag("--dry-run", options->dry_run, "Only say what would be done, as 'mlac plan'");
  command.add_flag("!--no-report", options->report, "Write no report of what was published (.mlac/reports)");
  command
      .add_option("--markdown", options->markdown, "Write what was published, beside production, and what was refused, for a pull request")
      ->type_name("FILE");
  AddTrackOption(command, options->track);
  AddThreadsOption(command, options->apply.num_threads);
  AddJsonFlag(command, options->json);
  command.callback([options] { Execute(*options); });
}

}  // namespace mlac
