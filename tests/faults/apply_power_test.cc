// The power fails while apply runs, or a plan or recorded answers are written: one more apply ends as an undisturbed one, and what apply
// reported as published is published.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "hub/verify.h"
#include "project/recorded_answers.h"
#include "tests/faults/power_loss.h"
#include "tests/hub/store_folder.h"
#include "tests/project/tiny_project.h"

namespace mlac {
namespace {

namespace fs = std::filesystem;
using test::Artefacts;
using test::ForEachPowerLoss;
using test::PowerLoss;
using test::TemporaryFolder;
using test::TinyProject;

TEST(PowerLossOfApply, OneMoreApplyEndsAsIfUndisturbed) {
  TinyProject project;
  project.lines["data"] = "{train: train.csv, test: test.csv, dedupe: true}";
  project.lines["train"] = "{epochs: 1, batch_size: 8}";
  project.lines["tests"] = "tests.yaml";
  project.folder.Write("tests.yaml", "examples: [{text: cat the people, expect: animal, min_probability: 0.01}]\n");
  project.WriteYaml();
  std::map<std::string, std::string> expected;
  const auto act = [&] {
    ASSERT_FALSE(project.Apply().refused());
    expected = Artefacts(project);
  };
  const size_t num_states = ForEachPowerLoss(project.folder, /*every=*/120, act, [&](const PowerLoss& loss) {
    if (loss.finished) {
      EXPECT_TRUE(Artefacts(project) == expected) << loss.where << ": what was done is lost";
      EXPECT_TRUE(project.Pending().empty()) << loss.where << ": " << testing::PrintToString(project.Pending());
    }
    if (fs::exists(project.folder / ".mlac/store.json")) {
      EXPECT_TRUE(Verify(project.OpenStore()).damages.empty()) << loss.where;
    }
    try {
      EXPECT_FALSE(project.Apply().refused()) << loss.where;
    } catch (const Error& error) {
      ADD_FAILURE() << loss.where << ": " << error.what();
      return;
    }
    EXPECT_TRUE(Artefacts(project) == expected) << loss.where;
    EXPECT_TRUE(project.Pending().empty()) << loss.where;
    EXPECT_TRUE(Verify(project.OpenStore()).damages.empty()) << loss.where;
  });
  std::printf("%7zu states of an apply after a power loss\n", num_states);
}

TEST(PowerLossOfApply, APlanIsTheOldOneOrTheNewOne) {
  TinyProject project;
  const Plan first = project.MakePlan();
  project.lines["train"] = "{epochs: 1}";
  const Plan second = project.MakePlan();
  const std::string path = project.folder / "plan.json";
  WriteFileAtomically(path, first.Json());
  const size_t num_states = ForEachPowerLoss(
      project.folder, 1, [&] { WriteFileAtomically(path, second.Json()); },
      [&](const PowerLoss& loss) {
        const Plan found = ParsePlan(ReadFile(path, size_t{1} << 20), path);
        EXPECT_TRUE(found.Json() == second.Json() || (found.Json() == first.Json() && !loss.finished)) << loss.where;
      });
  std::printf("%7zu states of a plan after a power loss\n", num_states);
}

TEST(PowerLossOfApply, RecordedAnswersAreTheOldOnesOrTheNewOnes) {
  const TemporaryFolder folder;
  const std::string path = folder / "answers.jsonl";
  const auto answers = [](size_t count) {
    RecordedAnswers recorded = {"text-classification", {}};
    for (size_t i = 0; i < count; ++i)
      recorded.answers.push_back({{fmt::format("text {}", i), std::nullopt}, R"([{"label":"animal","score":0.5}])"});
    return recorded;
  };
  WriteRecordedAnswers(path, answers(3));
  const size_t num_states = ForEachPowerLoss(
      folder, 1, [&] { WriteRecordedAnswers(path, answers(40)); },
      [&](const PowerLoss& loss) {
        const size_t count = ReadRecordedAnswers(path).answers.size();
        EXPECT_TRUE(count == 40 || (count == 3 && !loss.finished)) << loss.where << ": " << count;
      });
  std::printf("%7zu states of recorded answers after a power loss\n", num_states);
}

}  // namespace
}  // namespace mlac
