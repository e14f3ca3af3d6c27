// Which results of steps a collection removes, and that nothing has to be done again that was done.
#include "project/collect_steps.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "project/step_store.h"
#include "tests/project/tiny_project.h"

namespace mlac {
namespace {

namespace fs = std::filesystem;
using test::FixturePath;
using test::LabelledCsv;
using test::RecordingObserver;
using test::TinyProject;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

std::string OtherModel() {
  return "  other: {base: " + FixturePath("models/classifier") + ", data: {train: train.csv, test: test.csv}, train: {epochs: 1}}\n";
}

// "train of topics".
std::vector<std::string> StepsOf(const CollectedSteps& collected) {
  std::vector<std::string> steps;
  for (const CollectedSteps::Removed& removed : collected.steps) steps.push_back(removed.step + " of " + removed.model);
  return steps;
}

size_t NumResults(const TinyProject& project) { return NamesIn(project.folder / ".mlac/steps").size(); }

TEST(CollectSteps, KeepsTheLastOfEachStepAndRemovesWhatCameBefore) {
  TinyProject project;
  project.Apply();
  const Store store = project.OpenStore();
  EXPECT_THAT(CollectSteps(store, false).steps, IsEmpty());
  project.lines["train"] = "{epochs: 1, lr: 1e-3, batch_size: 8}";
  project.Apply();
  const CollectedSteps would = CollectSteps(store, /*dry_run=*/true);
  EXPECT_THAT(StepsOf(would), UnorderedElementsAre("train of topics", "evaluate of topics", "gate of topics", "publish of topics"));
  EXPECT_GT(would.num_bytes(), 0u);
  EXPECT_EQ(NumResults(project), 9u) << "a dry run removes nothing";
  EXPECT_THAT(StepsOf(CollectSteps(store, false)), testing::UnorderedElementsAreArray(StepsOf(would)));
  EXPECT_EQ(NumResults(project), 5u);
  EXPECT_THAT(project.Pending(), IsEmpty());
  project.lines["gates"] = "[accuracy >= 0]";
  EXPECT_THAT(project.Pending(), ElementsAre("gate", "publish")) << "what a change of the gate needs is there";
}

TEST(CollectSteps, RemovesThoseOfAModelThatIsNoLongerInMlacYaml) {
  TinyProject project;
  project.more = OtherModel();
  project.Apply();
  const Store store = project.OpenStore();
  EXPECT_THAT(CollectSteps(store, true).steps, IsEmpty());
  project.more = "";
  project.WriteYaml();
  const CollectedSteps collected = CollectSteps(store, false);
  EXPECT_THAT(collected.models, ElementsAre("other"));
  EXPECT_THAT(StepsOf(collected), UnorderedElementsAre("train of other", "evaluate of other", "publish of other"))
      << "the check of the data is that of topics, too";
  EXPECT_THAT(project.Pending(), IsEmpty());
  EXPECT_FALSE(fs::exists(project.folder / ".mlac/last-steps/other.json"));
  EXPECT_FALSE(fs::exists(project.folder / ".mlac/last-steps/other.project"));
  EXPECT_THAT(CollectSteps(store, false).models, IsEmpty());
  EXPECT_NE(project.Latest("other"), "") << "what was published stays";
  // Back again it is made again, with the same bits.
  const std::string latest = project.Latest("other");
  project.more = OtherModel();
  project.Apply();
  EXPECT_EQ(project.Latest("other"), latest);
}

TEST(CollectSteps, RemovesThoseOfAStepThatIsNoLongerAskedFor) {
  TinyProject project;
  project.lines["optimize"] = "{int8: true}";
  project.Apply();
  project.lines["optimize"] = "";
  project.Apply();
  const Store store = project.OpenStore();
  EXPECT_THAT(StepsOf(CollectSteps(store, false)),
              UnorderedElementsAre("optimize of topics", "evaluate of topics", "gate of topics", "publish of topics"));
  EXPECT_THAT(project.Pending(), IsEmpty());
}

TEST(CollectSteps, KeepsWhatARefusedModelAndTheOneBeforeItNeed) {
  TinyProject project;
  project.Apply();
  const std::string gates = project.lines["gates"], train = project.lines["train"], latest = project.Latest();
  project.lines["gates"] = "[accuracy > 1]";
  project.lines["train"] = "{epochs: 1, lr: 1e-3, batch_size: 8}";
  EXPECT_TRUE(project.Apply().refused());
  const Store store = project.OpenStore();
  CollectSteps(store, false);
  EXPECT_THAT(project.Pending(), ElementsAre("gate", "publish"));
  project.lines["gates"] = gates;
  project.lines["train"] = train;
  EXPECT_THAT(project.Pending(), IsEmpty()) << "what is published is known as such";
  EXPECT_EQ(project.Latest(), latest);
}

TEST(CollectSteps, KeepsAllOfAModelWhoseMlacYamlIsNotThereOrCannotBeRead) {
  TinyProject project;
  project.more = OtherModel();
  project.Apply();
  const Store store = project.OpenStore();
  project.folder.Write("mlac.yaml", "models: [");
  const CollectedSteps broken = CollectSteps(store, false);
  EXPECT_THAT(broken.steps, IsEmpty());
  ASSERT_EQ(broken.unreadable.size(), 1u);
  EXPECT_THAT(broken.unreadable[0], testing::StartsWith(fs::canonical(project.folder.path()).string() + "/mlac.yaml: mlac.yaml"));
  fs::remove(project.folder / "mlac.yaml");
  EXPECT_THAT(CollectSteps(store, false).steps, IsEmpty());
  EXPECT_EQ(NumResults(project), 8u);
}

// Two files, each with models of its own, in one store.
TEST(CollectSteps, AStoreOfSeveralFilesKeepsWhatEachOfThemHas) {
  TinyProject project;
  project.Apply();
  const Store store = project.OpenStore();
  project.folder.Write("more.yaml", "models:\n" + OtherModel());
  const ProjectConfig more = ReadProject(project.folder / "more.yaml");
  RecordingObserver observer;
  Apply(more, MakePlan(more), store, {}, observer, observer.stop);
  EXPECT_THAT(CollectSteps(store, false).steps, IsEmpty());
  project.folder.Write("more.yaml", "models:\n  last: {base: m, data: {train: a, test: b}}\n");
  EXPECT_THAT(CollectSteps(store, false).models, ElementsAre("other"));
  EXPECT_THAT(project.Pending(), IsEmpty());
}

TEST(CollectSteps, AProjectThatMovedWithItsStoreIsFoundAgain) {
  TinyProject project;
  project.folder.Write("here/train.csv", LabelledCsv(60, 1));
  project.folder.Write("here/test.csv", LabelledCsv(30, 2));
  fs::copy(project.WriteYaml(), project.folder / "here/mlac.yaml");
  const ProjectConfig config = ReadProject(project.folder / "here/mlac.yaml");
  RecordingObserver observer;
  {
    const Store store = Store::OpenOrCreate(project.folder / "here/.mlac");
    Apply(config, MakePlan(config), store, {}, observer, observer.stop);
  }
  fs::rename(project.folder / "here", project.folder / "there");
  const Store store = Store::Open(project.folder / "there/.mlac");
  EXPECT_EQ(StepStore(store).ProjectFile("topics"), fs::canonical(project.folder / "there/mlac.yaml").string());
  EXPECT_THAT(CollectSteps(store, false).steps, IsEmpty());
}

TEST(CollectSteps, NamesTheRevisionsThatBasesOfAFileStandFor) {
  TinyProject project;
  project.Apply();
  const Store store = project.OpenStore();
  EXPECT_THAT(BaseRevisionsOfProjects(store), IsEmpty());
  project.more = fmt::format("  next: {{base: topics@{}, data: {{train: train.csv, test: test.csv}}}}\n", project.Latest());
  project.WriteYaml();
  EXPECT_THAT(BaseRevisionsOfProjects(store), ElementsAre(project.Latest()));
}

size_t NumProfiles(const TinyProject& project) { return NamesIn(project.folder / ".mlac/data-profiles").size(); }

TEST(CollectSteps, RemovesProfilesOfDataThatNeitherAFileNorAResultNames) {
  TinyProject project;
  project.more = OtherModel();
  project.Apply();
  const Store store = project.OpenStore();
  EXPECT_EQ(NumProfiles(project), 2u) << "train.csv and test.csv, of both models";
  EXPECT_EQ(CollectSteps(store, false).profiles.count, 0u);
  project.folder.Write("train.csv", LabelledCsv(66, 1));
  EXPECT_EQ(CollectSteps(store, false).profiles.count, 0u) << "by it the plan tells the change";
  EXPECT_THAT(project.MakePlan().Text(), testing::HasSubstr("train.csv: 6 rows added"));
  project.Apply();
  EXPECT_EQ(NumProfiles(project), 3u);
  project.folder.Write(".mlac/data-profiles/0123.partial-1", "x");  // of a process that was killed
  const CollectedSteps would = CollectSteps(store, /*dry_run=*/true);
  EXPECT_EQ(would.profiles.count, 2u);
  EXPECT_GT(would.profiles.num_bytes, 1u);
  EXPECT_EQ(NumProfiles(project), 4u) << "a dry run removes nothing";
  EXPECT_EQ(CollectSteps(store, false).profiles.num_bytes, would.profiles.num_bytes);
  EXPECT_EQ(NumProfiles(project), 2u);
  EXPECT_THAT(project.Pending(), IsEmpty());
  project.folder.Write("train.csv", LabelledCsv(72, 1));
  EXPECT_THAT(project.MakePlan().Text(), testing::HasSubstr("train.csv: 6 rows added"));
}

TEST(CollectSteps, KeepsProfilesOfDataWhereAnMlacYamlIsNotThere) {
  TinyProject project;
  project.Apply();
  const Store store = project.OpenStore();
  project.folder.Write("train.csv", LabelledCsv(66, 1));
  project.Apply();
  fs::remove(project.folder / "mlac.yaml");
  EXPECT_EQ(CollectSteps(store, false).profiles.count, 0u);
  EXPECT_EQ(NumProfiles(project), 3u);
}

// A link that leads nowhere is listed, and not there for what looks into it: as a folder that an apply takes away meanwhile.
TEST(CollectSteps, ADryRunPassesOverWhatIsGoneMeanwhile) {
  const TinyProject project;
  project.Apply();
  const Store store = project.OpenStore();
  const std::string place = project.folder / ".mlac/steps/" + std::string(40, 'a');
  fs::create_symlink("nowhere", place);
  EXPECT_THAT(CollectSteps(store, /*dry_run=*/true).steps, IsEmpty());
  EXPECT_TRUE(fs::is_symlink(place));
  EXPECT_EQ(CollectSteps(store, false).steps.size(), 1u);
  EXPECT_FALSE(fs::is_symlink(place));
}

}  // namespace
}  // namespace mlac
