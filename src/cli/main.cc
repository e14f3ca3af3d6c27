// The command line: one file a command beside this one, each with an Add function that declares its options; one line a command here.
#include "cli/command.h"
#include "cli/command_line.h"
#include "cli/commands.h"

namespace mlac {
namespace {

void AddCommands(Command app) {
  AddRun(app);
  AddServe(app);
  AddTrain(app);
  AddEval(app);
  AddMerge(app);
  AddOptimize(app);
  AddInit(app);
  AddPlan(app);
  AddApply(app);
  AddStatus(app);
  AddTest(app);
  AddInspect(app);
  AddTokenize(app);
  AddStore(app);
  AddLog(app);
  AddShow(app);
  AddDiff(app);
  AddPromote(app);
  AddRollback(app);
  AddGc(app);
  AddVerify(app);
  AddEnv(app);
  AddCompletion(app);
  AddHelp(app);
}

}  // namespace
}  // namespace mlac

int main(int argc, char** argv) { return mlac::RunCommandLine(argc, argv, mlac::AddCommands); }
