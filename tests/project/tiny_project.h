#pragma once
// A project in a temporary folder whose model trains in some milliseconds.
#include <fmt/format.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/random.h"
#include "hub/aliases.h"
#include "project/apply.h"
#include "tests/support/reference.h"
#include "tests/support/test_support.h"

namespace mlac::test {

// count rows whose words come from the fixtures' vocabulary; each label has a word of its own.
inline std::string LabelledCsv(size_t count, uint64_t seed, const std::vector<std::string>& labels = {"animal", "colour", "time"}) {
  static constexpr const char* kWords[] = {"the", "people", "small", "large", "open", "train", "model", "word", "not", "this"};
  static constexpr const char* kOwn[] = {"cat", "red", "night", "water"};
  Random random(seed);
  std::string rows = "text,label\n";
  for (size_t i = 0; i < count; ++i) {
    const size_t label = i % labels.size();
    std::string text = kOwn[label];
    for (size_t w = 2 + random.Below(6); w > 0; --w) text += fmt::format(" {}", kWords[random.Below(10)]);
    rows += fmt::format("\"{} {}\",{}\n", text, seed * 1000 + i, labels[label]);
  }
  return rows;
}

class RecordingObserver : public ApplyObserver {
 public:
  void OnModel(const std::string&) override {}
  void OnStepStart(const std::string& step, size_t, size_t) override {
    steps.push_back(step);
    if (on_step) on_step(step);
  }
  void OnStepEnd(const std::string&, double, const std::string&) override {}
  void OnRefused(const std::string& step, const std::string& message) override { refused[step] = message; }
  void OnFailed(const std::string& message) override { failures.push_back(message); }
  void OnNote(const std::string& note) override { notes.push_back(note); }
  void OnFinding(const Finding& finding) override { findings.push_back(FindingLine(finding)); }
  void OnStart(size_t, size_t, size_t, size_t) override {}
  void OnResume(size_t step) override { resumed = step; }
  void OnStep(const StepReport& report) override {
    if (on_training_step) on_training_step(report.step);
  }
  void OnSpike(const SpikeReport&) override {}
  void OnEpoch(const EpochReport&) override {}
  void OnCheckpoint(size_t, const std::string&) override {}
  void OnEarlyStop(size_t) override {}

  std::vector<std::string> steps, notes, failures, findings;
  std::map<std::string, std::string> refused;
  std::function<void(const std::string&)> on_step;
  std::function<void(size_t)> on_training_step;
  size_t resumed = 0;
  std::atomic<bool> stop = false;
};

struct TinyProject {
  TemporaryFolder folder;
  std::map<std::string, std::string> lines = {  // of models.topics; "" leaves one out
      {"base", FixturePath("models/classifier")},
      {"data", "{train: train.csv, test: test.csv}"},
      {"train", "{epochs: 2, lr: 1e-3, batch_size: 8}"},
      {"gates", "[accuracy >= production - 0.5]"}};
  std::string more;  // behind the model

  TinyProject() {
    folder.Write("train.csv", LabelledCsv(60, 1));
    folder.Write("test.csv", LabelledCsv(30, 2));
  }

  std::string WriteYaml() const {
    std::string text = "models:\n  topics:\n";
    for (const auto& [key, value] : lines)
      if (!value.empty()) text += fmt::format("    {}: {}\n", key, value);
    return folder.Write("mlac.yaml", text + more);
  }
  ProjectConfig Config() const { return ReadProject(WriteYaml()); }
  Plan MakePlan() const { return mlac::MakePlan(Config()); }
  Store OpenStore() const { return Store::OpenOrCreate(folder / ".mlac"); }

  // The steps that a plan runs, of all models.
  static std::vector<std::string> StepsOf(const Plan& plan) {
    std::vector<std::string> steps;
    for (const PlannedModel& model : plan.models)
      for (const PlannedStep& step : model.steps)
        if (step.runs) steps.push_back(step.step);
    return steps;
  }
  std::vector<std::string> Pending() const { return StepsOf(MakePlan()); }

  ApplyResult ApplyAll(RecordingObserver& observer, bool reports = false) const {
    const ProjectConfig project = Config();
    const Store store = OpenStore();
    return mlac::Apply(project, mlac::MakePlan(project), store, {.reports = reports}, observer, observer.stop);
  }
  // Throws what ended a model.
  ApplyResult Apply(RecordingObserver& observer) const {
    ApplyResult result = ApplyAll(observer);
    for (const AppliedModel& model : result.models)
      if (model.failure) throw Error(*model.failure);
    return result;
  }
  ApplyResult Apply() const {
    RecordingObserver observer;
    return Apply(observer);
  }
  std::string Latest(const std::string& name = "topics") const { return Aliases(OpenStore()).Find(name, kLatest).value_or(""); }
  void Promote() const {
    const Store store = OpenStore();
    Aliases(store).Promote("topics", Latest(), kProduction);
  }
};

// All that must not depend on time: aliases' revisions, blobs by name and content, manifests.
inline std::map<std::string, std::string> Artefacts(const TinyProject& project) {
  const Store store = project.OpenStore();
  std::map<std::string, std::string> found;
  for (const std::string& revision : store.Revisions()) found["revision " + revision] = store.ReadManifest(revision).Text();
  for (const auto& entry : std::filesystem::recursive_directory_iterator(project.folder / ".mlac/blobs"))
    if (entry.is_regular_file()) found["blob " + entry.path().filename().string()] = ReadWhole(entry.path().string());
  for (const std::string& name : store.Names())
    for (const std::string& alias : Aliases(store).Of(name)) found["alias " + name + "@" + alias] = *Aliases(store).Find(name, alias);
  return found;
}

}  // namespace mlac::test
