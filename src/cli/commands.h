#pragma once
// Every command: its Add function declares name, options and help, and what runs when the user gives it.
namespace CLI {
class App;
}

namespace mlac {

void AddApply(CLI::App& app);
void AddCompletion(CLI::App& app);
void AddDiff(CLI::App& app);
void AddEnv(CLI::App& app);
void AddEval(CLI::App& app);
void AddGc(CLI::App& app);
void AddHelp(CLI::App& app);
void AddInit(CLI::App& app);
void AddInspect(CLI::App& app);
void AddLog(CLI::App& app);
void AddMerge(CLI::App& app);
void AddOptimize(CLI::App& app);
void AddPlan(CLI::App& app);
void AddPromote(CLI::App& app);
void AddRollback(CLI::App& app);
void AddRun(CLI::App& app);
void AddServe(CLI::App& app);
void AddShow(CLI::App& app);
void AddStatus(CLI::App& app);
void AddStore(CLI::App& app);
void AddTest(CLI::App& app);
void AddTokenize(CLI::App& app);
void AddTrain(CLI::App& app);
void AddVerify(CLI::App& app);

}  // namespace mlac
