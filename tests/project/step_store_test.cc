// Results of steps that a disk or a hand has damaged: none is read, each runs again, and `mlac verify` names it.
#include "project/step_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>

#include "base/file.h"
#include "tests/project/tiny_project.h"
#include "tests/support/system_faults.h"

namespace mlac {
namespace {

namespace fs = std::filesystem;
using test::Artefacts;
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
