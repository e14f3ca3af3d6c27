// mlac status: where each model of mlac.yaml stands.
#include "project/status.h"

#include <fmt/format.h>

#include <memory>

#include "cli/command.h"
#include "cli/commands.h"
#include "cli/project_options.h"

namespace mlac {
namespace {

struct StatusCommand {
  ProjectOptions project;
  bool json = false;
};

}  // namespace

void AddStatus(Command app) {
  auto options = std::make_shared<StatusCommand>();
  const Command command = app.AddCommand("status", "Show where each model stands: its revisions, its figures, what is left to do",
                                         "mlac status\nmlac status --json");
  AddProjectOptions(command, options->project);
  AddJsonFlag(command, options->json);
  command.OnRun([options] {
    const ProjectStatus status = StatusOf(ReadProjectHere(options->project.file), options->project.targets);
    fmt::print("{}", options->json ? status.Json() : status.Text());
  });
}

}  // namespace mlac
