#pragma once
// Every command: its Add function declares name, options and help, and what runs when the user gives it.
namespace mlac {

class Command;

void AddApply(Command app);
void AddCompletion(Command app);
void AddDiff(Command app);
void AddEnv(Command app);
void AddEval(Command app);
void AddGc(Command app);
void AddHelp(Command app);
void AddInit(Command app);
void AddInspect(Command app);
void AddLog(Command app);
void AddMerge(Command app);
void AddOptimize(Command app);
void AddPlan(Command app);
void AddPromote(Command app);
void AddRollback(Command app);
void AddRun(Command app);
void AddServe(Command app);
void AddShow(Command app);
void AddStatus(Command app);
void AddStore(Command app);
void AddTest(Command app);
void AddTokenize(Command app);
void AddTrain(Command app);
void AddVerify(Command app);

}  // namespace mlac
