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
#include "project/comparison.h"
#include "project/tracked_apply.h"

namespace mlac {
namespace {

struct ApplyCommand {
  ProjectOptions project;
  ApplyOptions apply;
  std::string plan_file, track;
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

// A page and Markdown for each model that was published: beside production, else beside what was latest before.
void WriteReports(const ApplyResult& result, const Plan& plan, const Store& store, size_t num_threads, const std::atomic<bool>& stop) {
  for (size_t i = 0; i < result.models.size(); ++i) {
    const AppliedModel& model = result.models[i];
    if (!model.published) continue;
    std::string before = plan.models[i].production.empty() ? plan.models[i].latest : plan.models[i].production;
    if (before == model.revision || !store.Has(before)) before.clear();
    const Comparison comparison = CompareRevisions(store, model.name, before, model.revision, num_threads, stop);
    const std::string path = fmt::format("{}/{}-{}", store.Part("reports"), model.name, model.revision.substr(0, 12));
    WriteFileAtomically(path + ".html", ComparisonHtml(comparison));
    WriteFileAtomically(path + ".md", ComparisonMarkdown(comparison));
    fmt::print(stderr, "{}: report in {}.html and .md\n", model.name, path);
  }
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
  if (!plan.changes() && !options.json) {
    fmt::print("{}", plan.Text());
    return;
  }
  fmt::print(stderr, "{}", plan.Text());
  const ApplyResult result = ApplyTracked(tracking, project, plan, store, options.apply);
  if (options.report) WriteReports(result, plan, store, options.apply.num_threads, CatchInterrupts());
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
  AddTrackOption(command, options->track);
  AddThreadsOption(command, options->apply.num_threads);
  AddJsonFlag(command, options->json);
  command.callback([options] { Execute(*options); });
}

}  // namespace mlac
