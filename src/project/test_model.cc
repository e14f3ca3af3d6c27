#include "project/test_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "hub/aliases.h"
#include "project/candidate.h"
#include "project/plan.h"
#include "project/propose_tests.h"
#include "project/step.h"

namespace mlac {
namespace {

Store OpenStoreOf(const ProjectConfig& project) {
  std::optional<Store> store = OpenProjectStore(project);
  if (!store)
    throw Error(ErrorCode::kNotFound, fmt::format("{}: there is no store yet", project.Path(project.store)),
                "'mlac apply' makes the models");
  return std::move(*store);
}

// A model of the project, and the folder that is tested of it.
struct Subject {
  const ModelConfig* model = nullptr;
  std::string revision;                 // "" for a candidate
  std::string path;                     // of the folder
  std::optional<RevisionFolder> lease;  // of a revision
};

Subject FindSubject(const ProjectConfig& project, const Store& store, const std::string& reference) {
  const size_t at = reference.find('@');
  const std::string name = reference.substr(0, at);
  const Aliases aliases(store);
  Subject subject;
  subject.model = &project.Find(name);
  const bool is_candidate =
      at == std::string::npos ? !aliases.Find(name, kLatest) : NamesCandidate(store, reference);
  if (is_candidate) {
    subject.path = CandidateFolder(*subject.model, store);
    return subject;
  }
  subject.revision = Resolve(store, reference).revision;
  subject.lease = store.OpenFolder(subject.revision);
  subject.path = subject.lease->path();
  return subject;
}

}  // namespace

ModelData CurrentData(const ProjectConfig& project, const ModelConfig& model, const Store& store) {
  ModelData data = DataOf(project, model);
  if (!model.prepares_data()) return data;
  const StepStore steps(store);
  ProjectConfig data_only = project;
  for (ModelConfig& each : data_only.models) each.tests.clear();  // a file of tests that is being written must not be read here
  const Plan plan = MakePlan(data_only, {.targets = {model.name}});
  for (const auto& [step, key] : plan.models.back().keys()) {  // behind those that it is made from
    if (step == "split" && !steps.Find(key))
      throw Error(ErrorCode::kNotFound, fmt::format("{}: the test data has not been made yet from the data of today", model.name),
                  "'mlac apply' makes it");
    if (step == "split" && !steps.IsWhole(*steps.Find(key)))
      throw Error(ErrorCode::kInvalidInput,
                  fmt::format("{}: the test data, {}, is not what the step 'split' wrote", model.name, steps.OutputFolder(key)),
                  "remove that folder; the next training makes it anew");
    if (step == "split") data.test = steps.OutputFolder(key) + "/" + PreparedFile(model, "test");
  }
  return data;
}

TestedModel TestModel(const ProjectConfig& project, const std::string& reference, const TestModelOptions& options,
                      const std::atomic<bool>& stop) {
  const Store store = OpenStoreOf(project);
  const Subject subject = FindSubject(project, store, reference);
  const ModelConfig& model = *subject.model;
  if (model.tests.empty())
    throw Error(ErrorCode::kNotFound, fmt::format("{}: the model '{}' has no tests", project.file, model.name),
                fmt::format("'mlac test {} --generate > tests/{}.yaml' proposes some, 'tests: tests/{}.yaml' names them", model.name,
                            model.name, model.name));
  const ModelTests tests = ReadModelTests(project.Path(model.tests), model.tests);
  const std::optional<std::string> production = Aliases(store).Find(model.name, kProduction);
  std::optional<RevisionFolder> other;
  if (production && *production != subject.revision) other = store.OpenFolder(*production);
  return {model.name, subject.revision,
          RunModelTests(tests,
                        {.task = TaskOf(model),
                         .folder = subject.path,
                         .data = CurrentData(project, model, store),
                         .compared_with = other ? other->path() : "",
                         .num_threads = options.num_threads},
                        options.on_case, stop)};
}

std::string ProposeTests(const ProjectConfig& project, const std::string& reference, size_t num_threads, const std::atomic<bool>& stop) {
  const Store store = OpenStoreOf(project);
  const Subject subject = FindSubject(project, store, reference);
  return ProposeTestsFor(TaskOf(*subject.model), subject.path, CurrentData(project, *subject.model, store), subject.model->name,
                         num_threads, stop);
}

}  // namespace mlac
