// mlac init, plan, apply, status, test and help as a user runs them: what they print, how they end, and what a kill leaves.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/project/tiny_project.h"
#include "tests/support/program.h"

namespace mlac {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::FixturePath;
using test::LabelledCsv;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

class ProjectCommands : public testing::Test {
 protected:
  ProjectCommands() { folder_.Write("train.csv", LabelledCsv(60, 1)), folder_.Write("test.csv", LabelledCsv(30, 2)); }

  // In the folder of the project, one thread.
  ProgramResult Run(const std::string& arguments) {
    return RunProgram({"sh", "-c", fmt::format("cd {} && exec {} {}", folder_.path(), MLAC_BINARY, arguments)},
                      {.environment = {"OMP_NUM_THREADS=1"}});
  }

  void Write(const std::string& gates, const std::string& train = "{epochs: 2, lr: 1e-3, batch_size: 8}") {
    folder_.Write(
        "mlac.yaml",
        fmt::format("models:\n  topics:\n    base: {}\n    data: {{train: train.csv, test: test.csv}}\n    train: {}\n    gates: {}\n",
                    FixturePath("models/classifier"), train, gates));
  }

  test::TemporaryFolder folder_;
};

TEST_F(ProjectCommands, PlanApplyPlanPromoteRefuse) {
  Write("[accuracy >= production - 0.5]");
  ProgramResult result = Run("plan --exit-code");
  EXPECT_EQ(result.status, 3);
  EXPECT_THAT(result.out, StartsWith("topics\n  check     run  first time\n"));
  EXPECT_EQ(result.error, "");
  result = Run("apply");
  EXPECT_EQ(result.status, 0) << result.error;
  EXPECT_THAT(result.out, StartsWith("topics@latest is "));
  EXPECT_THAT(result.error, HasSubstr("pass  accuracy >= production - 0.5: "));
  EXPECT_THAT(result.error, HasSubstr("there is no production yet to compare with"));
  EXPECT_THAT(result.error, EndsWith("next: mlac promote topics@latest production\n"));
  result = Run("plan --exit-code");
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.out, StartsWith("topics: nothing to do, latest is "));
  EXPECT_EQ(Run("promote topics@latest production").status, 0);
  Write("[accuracy >= production + 0.01]", "{epochs: 1}");
  result = Run("apply --json");
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.error, HasSubstr("mlac: refused: topics by gate: accuracy >= production + 0.01: "));
  EXPECT_THAT(result.error, HasSubstr("the difference is "));
  const json refused = json::parse(result.out);
  EXPECT_EQ(refused.at("refused"), true);
  EXPECT_EQ(refused.at("models")[0].at("refused").at("by"), "gate");
  EXPECT_EQ(refused.at("models")[0].at("published"), false);
  result = Run("status --json");
  const json status = json::parse(result.out).at("models")[0];
  EXPECT_EQ(status.at("aliases").at("latest"), status.at("aliases").at("production"));
  EXPECT_EQ(status.at("num_pending"), 2);
  EXPECT_THAT(Run("status").out, HasSubstr("topics: 2 steps to run"));
}

TEST_F(ProjectCommands, TrackingThatFailsIsOneWarningAndShowsNoSecret) {
  Write("[accuracy >= 0]");
  ProgramResult result = Run("apply --track ftp://ann:secret@host/runs");
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.error, StartsWith("mlac: --track: expected an http:// or https:// URL, found 'ftp://host/runs'\n"));
  result = Run("apply --track http://ann:secret@127.0.0.1:1");  // nobody listens there
  EXPECT_EQ(result.status, 0) << result.error;
  EXPECT_THAT(result.out, StartsWith("topics@latest is "));
  const std::string warning = "warning: tracking at http://127.0.0.1:1: 127.0.0.1:1: Connection refused; training is not held up by it\n";
  const size_t at = result.error.find(warning);
  EXPECT_NE(at, std::string::npos) << result.error;
  EXPECT_EQ(result.error.find("warning: tracking", at + 1), std::string::npos);
  EXPECT_EQ(result.error.find("secret"), std::string::npos);
  EXPECT_EQ(RunProgram({"grep", "-rq", "secret", folder_ / ".mlac"}).status, 1);
}

TEST_F(ProjectCommands, ACommentRunsNothing) {
  Write("[accuracy >= 0]");
  ASSERT_EQ(Run("apply").status, 0);
  Write("[accuracy >= 0]  # a comment");
  EXPECT_EQ(Run("plan --exit-code").status, 0);
}

TEST_F(ProjectCommands, AnApplyWithoutReportsPromisesNone) {
  Write("[accuracy >= 0]");
  ASSERT_EQ(Run("apply").status, 0);
  folder_.Write(".mlac/reports/topics.owed", "damaged");  // as a kill behind the publication may leave it
  const std::string promise = "was published without its report, which is written now\n", nothing = "topics: nothing to do, latest is ";
  EXPECT_THAT(Run("plan").out, HasSubstr(promise));
  for (const char* arguments : {"apply --no-report", "apply --no-report --dry-run"}) {
    const ProgramResult result = Run(arguments);
    EXPECT_EQ(result.status, 0) << arguments;
    EXPECT_THAT(result.out, StartsWith(nothing)) << arguments;
    EXPECT_EQ(result.error, "") << arguments;
  }
  EXPECT_THAT(Run("apply").error, HasSubstr(promise));
  EXPECT_THAT(Run("apply").out, StartsWith(nothing));
}

TEST_F(ProjectCommands, APlanThatWasReviewedIsDoneOrRefused) {
  Write("[accuracy >= 0]");
  ASSERT_EQ(Run("plan --plan-file plan.json").status, 0);
  folder_.Write("train.csv", LabelledCsv(61, 1));
  ProgramResult result = Run("apply --plan-file plan.json");
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.error, "mlac: plan.json: something moved since it was made: topics: check: first time\nhint: plan and review again\n");
  EXPECT_FALSE(fs::exists(folder_ / ".mlac"));
  ASSERT_EQ(Run("plan --plan-file plan.json").status, 0);
  EXPECT_EQ(Run("apply --plan-file plan.json").status, 0);
  EXPECT_EQ(Run("apply --plan-file plan.json").status, 1);
  EXPECT_EQ(Run("apply --plan-file plan.json --target topics").status, 2);
}

TEST_F(ProjectCommands, DryRunMakesNothing) {
  Write("[accuracy >= 0]");
  const ProgramResult result = Run("apply --dry-run");
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.out, Run("plan").out);
  EXPECT_FALSE(fs::exists(folder_ / ".mlac"));
}

TEST_F(ProjectCommands, WhatIsWrongIsOneLine) {
  EXPECT_EQ(Run("plan").error, "mlac: mlac.yaml: there is no such file\nhint: 'mlac init' writes one; --file names another\n");
  Write("[acuracy >= 0]");
  const ProgramResult result = Run("plan");
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(
      result.error,
      StartsWith(
          "mlac: mlac.yaml line 6: models.topics.gates[0]: column 13: there is no figure 'acuracy'\nhint: did you mean 'accuracy'? "));
}

TEST_F(ProjectCommands, InitWritesWhatPlanReads) {
  ProgramResult result = Run("init --name topics --data train.csv --test test.csv -m " + FixturePath("models/classifier") + " --ci github");
  EXPECT_EQ(result.status, 0) << result.error;
  EXPECT_EQ(result.out,
            "wrote .github/workflows/models.yaml\nwrote mlac.yaml\nwrote tests/topics.yaml\nwrote .gitignore: git leaves .mlac/ alone\n"
            "train.csv: texts in 'text', 3 labels in 'label'\n" +
                FixturePath("models/classifier") + " is outside this folder: a clone on another machine will not find it there\n"
                "CI still needs (look for FILL IN in .github/workflows/models.yaml):\n"
                "  MLAC_DEB: where the .deb of mlac is ('./dev package' makes it)\n"
                "  BASE_MODELS: where an archive with " + FixturePath("models/classifier") + " is, unless git has it\n"
                "  a store that survives: a cache keeps .mlac, 'store:' on a disk that all share is safer\n"
                "  a first promotion, or gates against production compare with nothing: run the workflow by hand\n"
                "next: mlac plan\n");
  result = Run("plan --json");
  EXPECT_EQ(result.status, 0) << result.error;
  EXPECT_EQ(json::parse(result.out).at("num_steps"), 6);
  result = Run("init --data train.csv");
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.error, StartsWith("mlac: mlac.yaml: exists already\n"));
}

TEST_F(ProjectCommands, AModelThatStartsFromAnotherIsMadeBehindIt) {
  Write("[accuracy > 1]");
  const std::string topics = test::ReadWhole(folder_ / "mlac.yaml");
  const auto next = [&](const std::string& base) {
    return fmt::format("  next: {{base: {}, data: {{train: train.csv, test: test.csv}}, train: {{epochs: 1}}}}\n", base);
  };
  folder_.Write("mlac.yaml", topics + next("{model: topics}"));
  ProgramResult result = Run("apply --target next");
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.error, HasSubstr("mlac: topics: refused by gate: accuracy > 1: "));
  EXPECT_THAT(result.error, HasSubstr("; next: failed: not trained, as its base, the model 'topics', was refused by gate: accuracy > 1: "));
  Write("[accuracy >= 0]");
  folder_.Write("mlac.yaml", test::ReadWhole(folder_ / "mlac.yaml") + next("{model: topics}"));
  EXPECT_EQ(Run("apply").status, 0);
  EXPECT_THAT(Run("show next").out, HasSubstr(json::parse(Run("show topics --json").out).at("revision").get<std::string>()));
  EXPECT_THAT(Run("show next --reproduce").out, HasSubstr("the same, bit for bit"));
  EXPECT_EQ(Run("promote topics@latest production").status, 0);
  Write("[accuracy >= 0]");
  folder_.Write("mlac.yaml", test::ReadWhole(folder_ / "mlac.yaml") + next("topics@production"));
  EXPECT_EQ(Run("plan --plan-file plan.json").status, 0);
  Write("[accuracy >= 0]", "{epochs: 1, lr: 1e-3, batch_size: 8}");
  EXPECT_EQ(Run("apply").status, 0);
  EXPECT_EQ(Run("promote topics@latest production").status, 0);
  Write("[accuracy >= 0]");
  folder_.Write("mlac.yaml", test::ReadWhole(folder_ / "mlac.yaml") + next("topics@production"));
  EXPECT_THAT(Run("apply --plan-file plan.json").error, HasSubstr("plan.json: something moved since it was made: topics@"));
}

TEST_F(ProjectCommands, OnlyModelsArePromoted) {
  Write("[accuracy >= 0]");
  ASSERT_EQ(Run("apply").status, 0);
  const ProgramResult result = Run("promote topics.train@" + std::string("$(ls .mlac/records/topics.train | cut -c1-12) production"));
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.error, HasSubstr(" is data, and only models are promoted\nhint: 'mlac show topics.train@"));
}

TEST_F(ProjectCommands, InitSaysWhatItRecognised) {
  folder_.Write("pairs.csv", "premise,hypothesis,label\na cat,red,no\na night,dark,yes\na day,red,no\nnight,dark,yes\n");
  EXPECT_THAT(Run("init --data pairs.csv").out, HasSubstr("pairs.csv: texts in 'premise' and 'hypothesis', 2 labels in 'label'\n"));
  fs::remove(folder_ / "mlac.yaml");
  fs::remove_all(folder_ / "tests");
  folder_.Write("numbers.csv", "text,mark\na cat,0.5\na night,0.25\na day,0.125\n");
  EXPECT_THAT(Run("init --data numbers.csv -m topics@production").out,
              HasSubstr("numbers.csv: texts in 'text', numbers in 'mark'\nnext: mlac plan\n"));
  fs::remove(folder_ / "mlac.yaml");
  fs::remove_all(folder_ / "tests");
  folder_.Write("sets.csv", "text,tags\na cat,\"x,y\"\na night,x\na day,y\nnight,\"x,y\"\n");
  EXPECT_THAT(Run("init --data sets.csv").out, HasSubstr("sets.csv: texts in 'text', 2 labels, several a text, in 'tags'\n"));
}

TEST_F(ProjectCommands, InitAddsAPipelineToAProject) {
  EXPECT_EQ(Run("init").status, 2);
  EXPECT_THAT(Run("init --ci gitlab").error, HasSubstr("which data?"));
  Write("[accuracy >= 0]");
  ProgramResult result = Run("init --ci gitlab");
  EXPECT_EQ(result.status, 0) << result.error;
  EXPECT_THAT(result.out, StartsWith("wrote .gitlab-ci.yml\nCI still needs (look for FILL IN in .gitlab-ci.yml):\n"));
  EXPECT_THAT(test::ReadWhole(folder_ / ".gitlab-ci.yml"), HasSubstr("mlac promote topics@latest production"));
  EXPECT_FALSE(fs::exists(folder_ / ".gitignore"));
  EXPECT_THAT(Run("init --ci gitlab").error, StartsWith("mlac: .gitlab-ci.yml: exists already\n"));
}

TEST_F(ProjectCommands, InitNamesFilesOfTheProjectByRelativePaths) {
  fs::create_directories(folder_ / "data");
  folder_.Write("data/train.csv", LabelledCsv(60, 1));
  fs::create_directory_symlink(FixturePath("models/classifier"), folder_ / "base");
  const ProgramResult result = Run(fmt::format("init --data {0}/data/train.csv --test {0}/data/../test.csv -m {0}/base", folder_.path()));
  EXPECT_EQ(result.status, 0) << result.error;
  EXPECT_EQ(result.out.find("is outside"), std::string::npos) << result.out;
  const std::string written = test::ReadWhole(folder_ / "mlac.yaml");
  for (const char* line : {"train: \"data/train.csv\"", "test: \"test.csv\"", "base: \"base\""}) EXPECT_THAT(written, HasSubstr(line));
}

TEST_F(ProjectCommands, InCiAGateWithoutProductionWarns) {
  Write("[accuracy >= production - 0.5]", "{epochs: 1}");
  const ProgramResult result = RunProgram({"sh", "-c", fmt::format("cd {} && exec {} apply --markdown out.md", folder_.path(), MLAC_BINARY)},
                                          {.environment = {"OMP_NUM_THREADS=1", "CI=true"}});
  EXPECT_EQ(result.status, 0) << result.error;
  EXPECT_THAT(result.error, HasSubstr("warning: topics: gate 'accuracy >= production - 0.5' compared with nothing: the store .mlac has no topics@production"));
  EXPECT_THAT(test::ReadWhole(folder_ / "out.md"), StartsWith("**Warning:** topics: gate "));
}

TEST_F(ProjectCommands, ARefusalIsToldOnce) {
  Write("[accuracy > 1]", "{epochs: 1}");
  const ProgramResult result = Run("apply --no-report");
  EXPECT_EQ(result.status, 1);
  const size_t first = result.error.find("accuracy > 1: ");
  ASSERT_NE(first, std::string::npos) << result.error;
  EXPECT_EQ(result.error.find("accuracy > 1: ", first + 1), std::string::npos) << result.error;
  Write("[accuracy >= 0]", "{epochs: 1}");
  ASSERT_EQ(Run("apply --no-report").status, 0);
  Write("[accuracy > 1]", "{epochs: 2}");
  ASSERT_EQ(Run("apply --no-report").status, 1);
  const ProgramResult diff = Run("diff topics@latest topics@candidate --markdown diff.md");
  EXPECT_EQ(diff.status, 0) << diff.error;
  EXPECT_THAT(diff.out, HasSubstr("  train.epochs: 2, was 1\n"));
  EXPECT_THAT(test::ReadWhole(folder_ / "diff.md"), HasSubstr("topics@candidate instead of topics@"));
  EXPECT_EQ(Run("diff topics@candidate topics@latest").status, 2);
}

TEST_F(ProjectCommands, TestRunsPrintsAndWritesJUnit) {
  Write("[]");
  folder_.Write("mlac.yaml", test::ReadWhole(folder_ / "mlac.yaml") + "    tests: tests.yaml\n");
  folder_.Write("tests.yaml", "slices: [{name: cats, matches: cat, min: 0}]\n");
  ASSERT_EQ(Run("apply").status, 0);
  ProgramResult result = Run("test topics --junit report.xml");
  EXPECT_EQ(result.status, 0) << result.error;
  EXPECT_THAT(result.out, HasSubstr("1 passed, 0 failed\n"));
  EXPECT_THAT(test::ReadWhole(folder_ / "report.xml"), HasSubstr("<testcase classname=\"topics.slices\" name=\"cats\""));
  folder_.Write("tests.yaml", "slices: [{name: zebras, matches: zebra, min: 0}]\n");
  result = Run("test");
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.error, HasSubstr("FAIL  slices: zebras: no row of test.csv is in it\n"));
  EXPECT_THAT(result.error, HasSubstr("mlac: 1 of 1 tests failed\n"));
  EXPECT_EQ(Run("test topics --generate > tests.yaml").status, 0);
  result = Run("test");
  EXPECT_EQ(result.status, 0) << result.error << test::ReadWhole(folder_ / "tests.yaml");
  EXPECT_EQ(Run("test other").status, 1);
}

TEST_F(ProjectCommands, TestsOfSeveralModelsAreOneReport) {
  folder_.Write("tests.yaml", "slices: [{name: cats, matches: cat, min: 0}]\n");
  const std::string model = fmt::format("{{base: {}, data: {{train: train.csv, test: test.csv}}, train: {{epochs: 1}}, tests: tests.yaml}}",
                                        FixturePath("models/classifier"));
  folder_.Write("mlac.yaml", fmt::format("models:\n  a: {0}\n  b: {0}\n", model));
  ASSERT_EQ(Run("apply").status, 0);
  ProgramResult result = Run("test --json --junit report.xml");
  EXPECT_EQ(result.status, 0) << result.error;
  const json report = json::parse(result.out);
  ASSERT_EQ(report.at("models").size(), 2u);
  EXPECT_EQ(report.at("models")[1].at("name"), "b");
  EXPECT_EQ(report.at("models")[1].at("revision"), json::parse(Run("status --json").out).at("models")[1].at("aliases").at("latest"));
  EXPECT_EQ(report.at("models")[1].at("passed"), 1);
  EXPECT_THAT(test::ReadWhole(folder_ / "report.xml"), HasSubstr("<testsuites name=\"a, b\" tests=\"2\""));
  EXPECT_EQ(json::parse(Run("test a --json").out).at("name"), "a");
}

TEST_F(ProjectCommands, AllCommandsMeanTheStoreOfMlacYaml) {
  Write("[accuracy >= 0]");
  folder_.Write("mlac.yaml", "store: shared\n" + test::ReadWhole(folder_ / "mlac.yaml"));
  fs::create_directories(folder_ / "inner");
  ASSERT_EQ(Run("store add train.csv --name other --kind data --store .mlac").status, 0);
  EXPECT_THAT(Run("log").error, StartsWith("mlac: mlac.yaml: its store 'shared' is not there yet\n"));
  ASSERT_EQ(Run("apply").status, 0);
  EXPECT_TRUE(fs::exists(folder_ / "shared/store.json"));
  EXPECT_EQ(Run("promote topics@latest production").status, 0) << "a .mlac that lies beside it is another store";
  EXPECT_THAT(Run("log").out, HasSubstr("topics"));
  const auto run = [&](const std::string& command) {
    return RunProgram({"sh", "-c", fmt::format("cd {}/inner && exec {} {}", folder_.path(), MLAC_BINARY, command)}, {.environment = {}});
  };
  EXPECT_THAT(run("log topics@production").out, HasSubstr("promote"));
  EXPECT_EQ(run("verify").status, 0);
  const ProgramResult elsewhere =
      RunProgram({"sh", "-c", fmt::format("cd {} && MLAC_STORE=third exec {} apply", folder_.path(), MLAC_BINARY)}, {.environment = {}});
  EXPECT_EQ(elsewhere.status, 0) << elsewhere.error;
  EXPECT_TRUE(fs::exists(folder_ / "third/store.json"));
}

TEST_F(ProjectCommands, CollectionWaitsForNoApplyAndRemovesNothingBesideOne) {
  Write("[accuracy >= 0]");
  ASSERT_EQ(Run("apply").status, 0);
  const std::string held = fmt::format("cd {0} && exec flock .mlac/locks/apply {1}", folder_.path(), MLAC_BINARY);
  const ProgramResult result = RunProgram({"sh", "-c", held + " gc --keep 0"}, {.environment = {}});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.error, HasSubstr("in use by "));
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(RunProgram({"sh", "-c", held + " gc --dry-run"}, {.environment = {}}).status, 0);
}

TEST_F(ProjectCommands, DamagedResultsOfStepsAreNamedByVerify) {
  Write("[accuracy >= 0]");
  ASSERT_EQ(Run("apply").status, 0);
  ASSERT_EQ(Run("verify").status, 0);
  for (const auto& entry : fs::recursive_directory_iterator(folder_ / ".mlac/steps"))
    if (entry.path().filename() == "predictions.json") std::ofstream(entry.path(), std::ios::app) << " ";
  const ProgramResult result = Run("verify");
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.out,
              HasSubstr("/output: is not what the step 'evaluate' wrote; it runs again when its result is needed\n  needed by topics\n"));
}

// Killed after a moment that rises from run to run: one more apply gives the same revision as one that nobody disturbed.
TEST_F(ProjectCommands, KilledAtAnyMomentItEndsWithTheSameRevision) {
  Write("[accuracy >= 0]");
  ASSERT_EQ(Run("apply").status, 0);
  const std::string expected = json::parse(Run("status --json").out).at("models")[0].at("aliases").at("latest");
  for (int moment = 1; moment <= 12; ++moment) {
    fs::remove_all(folder_ / ".mlac");
    const ProgramResult killed =
        RunProgram({"sh", "-c", fmt::format("cd {} && exec timeout -s KILL {:.3f} {} apply", folder_.path(), 0.015 * moment, MLAC_BINARY)},
                   {.environment = {"OMP_NUM_THREADS=1"}});
    const ProgramResult result = Run("apply");
    ASSERT_EQ(result.status, 0) << result.error;
    ASSERT_EQ(json::parse(Run("status --json").out).at("models")[0].at("aliases").at("latest"), expected)
        << moment << ", " << killed.status;
    EXPECT_EQ(Run("verify").status, 0);
    EXPECT_TRUE(fs::exists(folder_ / fmt::format(".mlac/reports/topics-{}.html", expected.substr(0, 12)))) << moment;
  }
}

TEST_F(ProjectCommands, AModelIsMadeAgainFromItsRecord) {
  Write("[accuracy >= 0]");
  ASSERT_EQ(Run("apply").status, 0);
  fs::remove(folder_ / "train.csv");
  fs::remove(folder_ / "test.csv");
  const ProgramResult result = Run("show topics --reproduce");
  EXPECT_EQ(result.status, 0) << result.error;
  EXPECT_THAT(result.out, HasSubstr("the same, bit for bit"));
  const json told = json::parse(Run("show topics --reproduce --json").out);
  EXPECT_EQ(told.at("equal"), true);
  EXPECT_EQ(told.at("revision"), told.at("found"));
}

TEST_F(ProjectCommands, ReportsAreWrittenAndGarbageOfStepsGoes) {
  Write("[accuracy >= 0]");
  ASSERT_EQ(Run("apply").status, 0);
  Write("[accuracy >= 0]", "{epochs: 1}");
  ProgramResult result = Run("apply");
  EXPECT_THAT(result.error, HasSubstr("topics: report in "));
  size_t num_pages = 0;
  for (const auto& entry : fs::directory_iterator(folder_ / ".mlac/reports")) num_pages += entry.path().extension() == ".html";
  EXPECT_EQ(num_pages, 2u);
  const json would = json::parse(Run("gc --dry-run --json").out);
  EXPECT_EQ(would.at("removed_steps").size(), 4u);
  EXPECT_GT(would.at("num_step_bytes_freed"), 0);
  result = Run("gc");
  EXPECT_THAT(result.out, HasSubstr("  the step 'train' of topics, ")) << result.error;
  EXPECT_THAT(result.out, HasSubstr("removed 4 results of steps, ")) << result.error;
  EXPECT_EQ(Run("plan --exit-code").status, 0);
  folder_.Write("mlac.yaml", test::ReadWhole(folder_ / "mlac.yaml").replace(0, 18, "models:\n  others:\n"));
  EXPECT_THAT(Run("gc --dry-run").out, HasSubstr("topics is no longer in its mlac.yaml\nwould remove 5 results of steps, "));
  EXPECT_EQ(json::parse(Run("gc --json").out).at("removed_models"), json({"topics"}));
  EXPECT_EQ(Run("diff topics@latest topics@latest --html page.html --markdown page.md").status, 0);
  EXPECT_TRUE(fs::exists(folder_ / "page.html") && fs::exists(folder_ / "page.md"));
}

TEST_F(ProjectCommands, WhatWasPublishedOrRefusedIsWrittenForAPullRequest) {
  Write("[accuracy >= 0]");
  ASSERT_EQ(Run("apply --markdown first.md").status, 0);
  EXPECT_THAT(test::ReadWhole(folder_ / "first.md"), StartsWith("## topics@"));
  EXPECT_EQ(Run("apply --markdown again.md").status, 0);
  EXPECT_EQ(test::ReadWhole(folder_ / "again.md"), "");
  Write("[accuracy >= 0, accuracy > 1]", "{epochs: 1}");
  EXPECT_EQ(Run("apply --markdown refused.md").status, 1);
  EXPECT_THAT(test::ReadWhole(folder_ / "refused.md"), StartsWith("## topics: refused by gate\n\naccuracy \\> 1: "));
  EXPECT_THAT(test::ReadWhole(folder_ / "refused.md"), HasSubstr("## topics: topics@candidate instead of topics@"));
  EXPECT_THAT(test::ReadWhole(folder_ / ".mlac/reports/topics-refused.html"), HasSubstr("Refused by gate: accuracy &gt; 1: "));
  EXPECT_THAT(test::ReadWhole(folder_ / ".mlac/reports/topics-refused.md"), HasSubstr("| train.epochs | 2 | 1 |"));
  EXPECT_THAT(Run("status").out, HasSubstr("refused by gate the last time"));
  EXPECT_EQ(Run("apply --markdown x.md --no-report").status, 2);
}

TEST_F(ProjectCommands, InitLooksForTheTask) {
  folder_.Write("train.conll", "Ann B-PER\nsleeps O\n\nBen B-PER\nruns O\n\n");
  const ProgramResult result = Run("init --name names --data train.conll --test train.conll");
  EXPECT_EQ(result.status, 0) << result.error;
  EXPECT_THAT(result.out, HasSubstr("train.conll: 2 rows for token-classification\n"));
  EXPECT_THAT(Run("init --task dance --data train.conll").error, HasSubstr("--task"));
}

TEST_F(ProjectCommands, TheSecondApplyAtOnceSaysWhoHoldsTheLock) {
  Write("[accuracy >= 0]", "{epochs: 1000000, patience: 0}");
  const ProgramResult result = RunProgram(
      {"sh", "-c",
       fmt::format("cd {0} && ({1} apply 2> first.log & echo $! > pid); until grep -q 'step 1' first.log || grep -q 'epoch 1' first.log; "
                   "do sleep 0.05; done; "
                   "{1} apply; status=$?; kill -TERM $(cat pid); while kill -0 $(cat pid) 2> /dev/null; do sleep 0.05; done; exit $status",
                   folder_.path(), MLAC_BINARY)},
      {.environment = {"OMP_NUM_THREADS=1"}});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.error, HasSubstr("in use by process "));
  EXPECT_THAT(result.error, HasSubstr("(apply)"));
  EXPECT_THAT(test::ReadWhole(folder_ / "first.log"), HasSubstr("hint: go on with: mlac apply"));
}

TEST_F(ProjectCommands, TheReferenceIsPrinted) {
  EXPECT_THAT(Run("help --mlac-yaml").out, StartsWith("# mlac.yaml\n"));
  EXPECT_TRUE(json::parse(Run("help --mlac-yaml-schema").out).at("properties").contains("models"));
  EXPECT_TRUE(json::parse(Run("help --tests-schema").out).at("properties").contains("examples"));
}

}  // namespace
}  // namespace mlac
