// Results of steps that a disk or a hand has damaged: none is read, each runs again, and `mlac verify` names it.
#include "project/step_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>

#include "base/file.h"
#include "project/data_profile.h"
#include "project/owed_report.h"
#include "tests/project/tiny_project.h"
#include "tests/support/system_faults.h"

namespace mlac {
namespace {

namespace fs = std::filesystem;
using test::Artefacts;
using test::FixturePath;
using test::RecordingObserver;
using test::TinyProject;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string PlaceOf(const TinyProject& project, const std::string& step) {
  return project.folder / ".mlac/steps/" + project.MakePlan().models[0].keys().at(step);
}

void FlipTheLastByte(const std::string& path) {
  std::string content = test::ReadWhole(path);
  content.back() = static_cast<char>(content.back() ^ 1);
  WriteFileAtomically(path, content);
}

TEST(StepStore, ADamagedResultIsMadeAgainBeforeAnythingReadsIt) {
  for (const auto& [step, file] : {std::pair{"train", "output/model/model.safetensors"},
                                   {"train", "output/model/config.json"},
                                   {"evaluate", "output/metrics.json"},
                                   {"check", "step.json"}}) {
    TinyProject undisturbed, project;
    undisturbed.lines["gates"] = project.lines["gates"] = "[accuracy > 1]";
    undisturbed.Apply();
    EXPECT_TRUE(project.Apply().refused());
    undisturbed.lines["gates"] = project.lines["gates"] = "[accuracy >= 0]";
    undisturbed.Apply();
    FlipTheLastByte(PlaceOf(project, step) + "/" + file);
    RecordingObserver observer;
    EXPECT_TRUE(project.Apply(observer).models[0].published) << file;
    EXPECT_THAT(observer.steps, Contains(step)) << file;
    if (std::string(file) != "step.json") {
      EXPECT_THAT(observer.notes, Contains(HasSubstr(std::string("is not what the step '") + step + "' wrote: it runs again"))) << file;
    }
    EXPECT_EQ(Artefacts(project), Artefacts(undisturbed)) << file;
  }
}

TEST(StepStore, WhatCannotBePlannedAnewBehindADamagedResultEndsItsModelAlone) {
  TinyProject project;
  fs::copy(project.folder / "train.csv", project.folder / "own.csv");
  project.lines["data"] = "{train: own.csv, test: test.csv}";
  project.lines["gates"] = "[accuracy > 1]";
  project.more = "  next: {base: {model: topics}, data: {train: train.csv, test: test.csv}, train: {epochs: 1}}\n"
                 "  other: {base: " + FixturePath("models/classifier") + ", data: {train: train.csv, test: test.csv}, train: {epochs: 1}}\n";
  RecordingObserver first;
  EXPECT_TRUE(project.ApplyAll(first).refused());
  FlipTheLastByte(PlaceOf(project, "train") + "/output/model/model.safetensors");
  project.lines["gates"] = "[accuracy >= 0]";
  const ProjectConfig config = project.Config();
  Plan plan = mlac::MakePlan(config);
  ASSERT_EQ(plan.models.size(), 3u);
  for (PlannedStep& step : plan.models[2].steps) step.runs = true;  // there is something to do behind it
  fs::remove(project.folder / "own.csv");  // behind the plan: the damaged result can neither be used nor be planned anew
  const Store store = project.OpenStore();
  RecordingObserver observer;
  const ApplyResult result = mlac::Apply(config, plan, store, {}, observer, observer.stop);
  ASSERT_EQ(result.models.size(), 3u);
  ASSERT_TRUE(result.models[0].failure);
  EXPECT_EQ(result.models[0].name, "topics");
  EXPECT_THAT(result.models[0].failure->message(), HasSubstr("models.topics.data.train: "));
  ASSERT_TRUE(result.models[1].failure);
  EXPECT_THAT(result.models[1].failure->message(), HasSubstr("its base, the model 'topics', failed: "));
  EXPECT_FALSE(result.models[2].failure);
  EXPECT_TRUE(result.models[2].published);
  EXPECT_THAT(observer.failures, testing::SizeIs(2));
}

TEST(StepStore, AFileThatIsGoneOrTooManyIsDamageToo) {
  const TinyProject project;
  project.Apply();
  const Store store = project.OpenStore();
  const StepStore steps(store);
  const StepRecord record = *steps.Find(project.MakePlan().models[0].keys().at("train"));
  EXPECT_TRUE(steps.IsWhole(record));
  project.folder.Write(fs::relative(steps.OutputFolder(record.key), project.folder.path()).string() + "/more", "x");
  EXPECT_FALSE(steps.IsWhole(record));
  fs::remove(steps.OutputFolder(record.key) + "/more");
  EXPECT_TRUE(steps.IsWhole(record));
  fs::remove(steps.OutputFolder(record.key) + "/model/config.json");
  EXPECT_FALSE(steps.IsWhole(record));
  fs::remove_all(steps.OutputFolder(record.key));
  EXPECT_FALSE(steps.IsWhole(record));
}

TEST(StepStore, DamagesAreNamedWithTheModelThatNeedsThem) {
  const TinyProject project;
  project.Apply();
  const Store store = project.OpenStore();
  const StepStore steps(store);
  size_t num_told = 0;
  EXPECT_THAT(steps.FindDamages([&](size_t done, size_t total) {
    EXPECT_LE(done, total);
    ++num_told;
  }),
              IsEmpty());
  EXPECT_EQ(num_told, 5u);
  const std::string train = fs::path(PlaceOf(project, "train")).filename(), check = fs::path(PlaceOf(project, "check")).filename();
  FlipTheLastByte(PlaceOf(project, "train") + "/output/model/model.safetensors");
  FlipTheLastByte(PlaceOf(project, "check") + "/step.json");
  FlipTheLastByte(project.folder / ".mlac/last-steps/topics.json");
  std::map<std::string, std::string> found;
  for (const Damage& damage : steps.FindDamages()) found[damage.path] = damage.message;
  EXPECT_EQ(found, (std::map<std::string, std::string>{
                       {"steps/" + train + "/output", "is not what the step 'train' wrote; it runs again when its result is needed"},
                       {"steps/" + check + "/step.json", "is damaged or missing; the step runs again when its result is needed"},
                       {"last-steps/topics.json", "is damaged; the next plan tells changes as if it were the first"}}));
}

TEST(StepStore, AFileThatTheDiskRefusesToGiveIsDamageAndTheOthersAreLookedAt) {
  const TinyProject project;
  project.Apply();
  const Store store = project.OpenStore();
  const StepStore steps(store);
  size_t num_found = 0;
  for (size_t nth = 0;; ++nth) {
    const test::SystemFault fault("pread", nth, EIO);
    size_t num_told = 0;
    const std::vector<Damage> damages = steps.FindDamages([&](size_t, size_t) { ++num_told; });
    if (!fault.struck()) break;
    EXPECT_EQ(num_told, 5u) << nth;
    EXPECT_LE(damages.size(), 1u) << nth;
    num_found += damages.size();
  }
  EXPECT_GE(num_found, 6u) << "the records of five steps, and the list of the last ones";
}

TEST(StepStore, WhatIsNotedBesideResultsIsCheckedToo) {
  TinyProject project;
  project.lines["gates"] = "[accuracy > 1]";
  project.Apply();
  const Store store = project.OpenStore();
  NoteOwedReport(store, "topics", {.latest = "", .before = ""});
  EXPECT_THAT(StepStore(store).FindDamages(), IsEmpty());
  std::map<std::string, std::string> found;
  for (const char* name : {"last-steps/topics.refused", "last-steps/topics.project", "reports/topics.owed"})
    FlipTheLastByte(project.folder / ".mlac/" + name);
  for (const Damage& damage : StepStore(store).FindDamages()) found[damage.path] = damage.message;
  EXPECT_EQ(found, (std::map<std::string, std::string>{
                       {"last-steps/topics.refused", "is damaged; the next plan does not tell of the last refusal"},
                       {"last-steps/topics.project", "is damaged; 'mlac gc' keeps all results of the model until it is applied again"},
                       {"reports/topics.owed", "is damaged; the report that is owed is written without a model to compare with"}}));
}

// The only file of data-profiles with that many bytes behind its line.
std::string ProfileOf(const TinyProject& project, size_t num_rows) {
  for (const std::string& name : NamesIn(project.folder / ".mlac/data-profiles")) {
    const std::string path = project.folder / ".mlac/data-profiles/" + name, content = test::ReadWhole(path);
    if (content.size() - content.find('\n') - 1 == num_rows * 8) return path;
  }
  ADD_FAILURE();
  return "";
}

TEST(DataProfile, AFlippedBitIsFoundChangesNoPlanAndIsMended) {
  TinyProject project;
  project.lines["gates"] = "";
  project.Apply();
  const Store store = project.OpenStore();
  EXPECT_THAT(FindDamagedProfiles(store), IsEmpty());
  const std::string path = ProfileOf(project, 60), whole = test::ReadWhole(path), train = test::ReadWhole(project.folder / "train.csv");
  const size_t label = whole.find("animal");
  ASSERT_NE(label, std::string::npos);
  const auto reasons = [&] {
    const Plan plan = project.MakePlan();
    for (const PlannedStep& step : plan.models[0].steps)
      if (step.step == "train") return step.reasons;
    return std::vector<std::string>();
  };
  for (const size_t place : {label, size_t{2}, whole.find('\n'), whole.find('\n') + 1, whole.size() - 1}) {
    std::string damaged = whole;
    damaged[place] = static_cast<char>(damaged[place] ^ 1);
    WriteFileAtomically(path, damaged);
    const std::vector<Damage> damages = FindDamagedProfiles(store);
    ASSERT_EQ(damages.size(), 1u) << place;
    EXPECT_EQ(damages[0].path, "data-profiles/" + fs::path(path).filename().string());
    project.folder.Write("train.csv", train + "a new cat,fish\n");
    EXPECT_THAT(reasons(), ElementsAre("train.csv: changed")) << place;
    project.folder.Write("train.csv", train);
    project.lines["gates"] = fmt::format("[per_class.animal.f1 >= 0, loss < {}]", 1000 + place);  // one that was not asked yet
    EXPECT_THAT(project.Pending(), ElementsAre("gate", "publish")) << "a label of damaged bytes refuses no gate, " << place;
    RecordingObserver observer;
    EXPECT_FALSE(project.Apply(observer).refused());
    EXPECT_THAT(observer.notes, Contains(HasSubstr("is not what was written: it is made anew"))) << place;
    EXPECT_EQ(test::ReadWhole(path), whole) << place;
    EXPECT_THAT(FindDamagedProfiles(store), IsEmpty());
    project.lines["gates"] = "";
    project.Apply();
  }
  WriteFileAtomically(path, "");
  EXPECT_EQ(FindDamagedProfiles(store).size(), 1u) << "an empty one";
}

TEST(StepStore, ARefusalIsToldAsLongAsTheSameIsAskedAgain) {
  TinyProject project;
  project.lines["gates"] = "[accuracy > 1]";
  project.Apply();
  const PlannedModel planned = project.MakePlan().models[0];
  EXPECT_EQ(planned.refused_by, "gate");
  EXPECT_THAT(project.MakePlan().Text(), HasSubstr("accuracy > 1: "));
  EXPECT_EQ(ParsePlan(project.MakePlan().Json(), "plan.json").models[0].refused_by, "gate");
  project.lines["gates"] = "[accuracy >= 0]";
  EXPECT_EQ(project.MakePlan().models[0].refused_by, "");
}

}  // namespace
}  // namespace mlac
