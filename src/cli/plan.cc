// mlac plan: what mlac apply would do, and why.
#include "project/plan.h"

#include <fmt/format.h>

#include <memory>

#include "base/file.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/project_options.h"

namespace mlac {
namespace {

struct PlanCommand {
  ProjectOptions project;
  std::string plan_file;
  bool exit_code = false, json = false;
};

void Execute(const PlanCommand& options) {
  const ProjectConfig project = ReadProjectHere(options.project.file);
  const Plan plan = MakePlan(project, {.targets = options.project.targets});
  if (!options.plan_file.empty()) WriteFileAtomically(options.plan_file, plan.Json());
  fmt::print("{}", options.json ? plan.Json() : plan.Text());
  if (options.exit_code && plan.changes()) throw ChangesPending();
}

}  // namespace

void AddPlan(Command app) {
  auto options = std::make_shared<PlanCommand>();
  const Command command = app.AddCommand("plan", "Say what 'mlac apply' would do, and why",
                                         "mlac plan\nmlac plan --plan-file plan.json     # reviewed, then: mlac apply --plan-file plan.json");
  AddProjectOptions(command, options->project);
  command.AddFlag("--exit-code", options->exit_code, "End with status 3 if there is something to do, 0 if not");
  command.AddOption("--plan-file", options->plan_file, "Write the plan there, for 'mlac apply --plan-file'").Type("FILE");
  AddJsonFlag(command, options->json);
  command.OnRun([options] { Execute(*options); });
}

}  // namespace mlac
