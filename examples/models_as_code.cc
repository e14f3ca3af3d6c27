// What `mlac plan`, `apply`, `test`, `promote` and `diff` do, without the program: models_as_code MLAC_YAML MODEL
//
// Prints the plan, makes what is missing, runs the model's own tests if it has some, and shows what is in production beside what was made.
// The first time it promotes what it made.
#include <mlac/hub/aliases.h>
#include <mlac/project/apply.h>
#include <mlac/project/comparison.h>
#include <mlac/project/plan.h>
#include <mlac/project/test_model.h>

#include <atomic>
#include <cstdio>
#include <exception>
#include <optional>
#include <string>

namespace {

// Told of all that a run does; this one shows the steps.
class Watcher : public mlac::ApplyObserver {
 public:
  void OnModel(const std::string& model) override { std::printf("%s\n", model.c_str()); }
  void OnStepStart(const std::string& step, size_t number, size_t count) override {
    std::printf("%zu of %zu: %s\n", number, count, step.c_str());
  }
  void OnStepEnd(const std::string&, double, const std::string& summary) override { std::printf("  %s\n", summary.c_str()); }
  void OnRefused(const std::string& step, const std::string& message) override {
    std::printf("  refused by %s: %s\n", step.c_str(), message.c_str());
  }
  void OnNote(const std::string& note) override { std::printf("  %s\n", note.c_str()); }
  void OnFinding(const mlac::Finding&) override {}
  void OnStart(size_t, size_t, size_t, size_t) override {}
  void OnResume(size_t) override {}
  void OnStep(const mlac::StepReport&) override {}
  void OnSpike(const mlac::SpikeReport&) override {}
  void OnEpoch(const mlac::EpochReport&) override {}
  void OnCheckpoint(size_t, const std::string&) override {}
  void OnEarlyStop(size_t) override {}
};

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 3) return std::fprintf(stderr, "usage: models_as_code MLAC_YAML MODEL\n"), 2;
  const std::string name = argv[2];
  const std::atomic<bool> stop = false;  // another thread may set it
  const mlac::ProjectConfig project = mlac::ReadProject(argv[1]);
  const mlac::Store store = mlac::Store::OpenOrCreate(project.Path(project.store));

  const mlac::ApplyLock lock(store);
  const mlac::Plan plan = mlac::MakePlan(project, {.targets = {name}});
  std::fputs(plan.Text().c_str(), stdout);
  Watcher watcher;
  const mlac::ApplyResult result = mlac::Apply(project, plan, store, {.num_threads = 1}, watcher, stop);
  for (const mlac::AppliedModel& model : result.models)  // the last one is NAME; before it stand models that it is made from
    if (model.failure) throw mlac::Error(*model.failure);
  if (result.refused()) return 1;

  if (!project.Find(name).tests.empty()) {
    const mlac::TestedModel tested = mlac::TestModel(project, name, {.num_threads = 1}, stop);
    std::fputs(tested.report.Text(/*verbose=*/true).c_str(), stdout);
  }
  const mlac::Aliases aliases(store);
  const std::string latest = result.models.back().revision;
  const std::optional<std::string> production = aliases.Find(name, mlac::kProduction);
  if (!production) aliases.Promote(name, latest, mlac::kProduction);
  const std::string before = production && *production != latest ? *production : "";
  std::fputs(mlac::ComparisonMarkdown(mlac::CompareRevisions(store, name, before, latest, /*num_threads=*/1, stop)).c_str(), stdout);
} catch (const std::exception& error) {
  return std::fprintf(stderr, "models_as_code: %s\n", error.what()), 1;
}
