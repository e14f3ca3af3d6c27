// Which steps run after which change, what is said of it, and that nothing else runs.
#include "project/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/project/tiny_project.h"

namespace mlac {
namespace {

namespace fs = std::filesystem;
using test::ExpectError;
using test::FixturePath;
using test::LabelledCsv;
using test::TinyProject;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// What the plan says of a step.
std::vector<std::string> Reasons(const Plan& plan, const std::string& step) {
  for (const PlannedModel& model : plan.models)
    for (const PlannedStep& each : model.steps)
      if (each.step == step && each.runs) return each.reasons;
  return {};
}

TEST(Plan, TheFirstTimeEverythingRunsAndNoStoreIsMade) {
  const TinyProject project;
  const Plan plan = project.MakePlan();
  EXPECT_THAT(TinyProject::StepsOf(plan), ElementsAre("check", "train", "evaluate", "gate", "publish"));
  EXPECT_THAT(Reasons(plan, "train"), ElementsAre("first time"));
  EXPECT_TRUE(plan.changes());
  EXPECT_FALSE(fs::exists(project.folder / ".mlac"));
  EXPECT_EQ(plan.Text(),
            "topics\n  check     run  first time\n  train     run  first time\n  evaluate  run  first time\n  gate      run  first time\n"
            "  publish   run  first time\n5 steps to run in 1 model\n");
}

TEST(Plan, AfterApplyNothingRuns) {
  const TinyProject project;
  project.Apply();
  const Plan plan = project.MakePlan();
  EXPECT_THAT(TinyProject::StepsOf(plan), IsEmpty());
  EXPECT_FALSE(plan.changes());
  EXPECT_EQ(plan.Text(), fmt::format("topics: nothing to do, latest is {}\n0 steps to run in 0 models\n", project.Latest().substr(0, 10)));
}

// Each change of what is given, and exactly the steps that it runs.
TEST(Plan, AChangeRunsWhatDependsOnItAndNothingElse) {
  TinyProject project;
  project.lines["tests"] = "tests.yaml";
  project.lines["optimize"] = "{int8: true, max_drop: 100%}";
  project.folder.Write("tests.yaml", "invariances: [{change: case, min: 0}]\n");
  project.more =
      "  other: {base: " + FixturePath("models/classifier") + ", data: {train: train2.csv, test: test2.csv}, train: {epochs: 1}}\n";
  project.folder.Write("train2.csv", LabelledCsv(30, 5));
  project.folder.Write("test2.csv", LabelledCsv(9, 6));
  project.Apply();
  ASSERT_THAT(project.Pending(), IsEmpty());
  const std::vector<std::string> from_train = {"train", "optimize", "evaluate", "test", "gate", "publish"},
                                 all = {"check", "train", "optimize", "evaluate", "test", "gate", "publish"};
  struct Change {
    std::string what;
    std::function<void(TinyProject&)> make;
    std::vector<std::string> expected;
    std::string step, reason;
  };
  const auto set = [](const std::string& key, const std::string& value) { return [=](TinyProject& p) { p.lines[key] = value; }; };
  const std::map<std::string, std::string> lines = project.lines;
  const std::string more = project.more, train = test::ReadWhole(project.folder / "train.csv"),
                    test = test::ReadWhole(project.folder / "test.csv"), tests = test::ReadWhole(project.folder / "tests.yaml");
  for (const Change& change : std::vector<Change>{
           {"a comment", set("gates", "[accuracy >= production - 0.5]  # no worse"), {}, "", ""},
           {"blanks in a gate", set("gates", "[ 'accuracy   >= production  - 0.50' ]"), {}, "", ""},
           {"another spelling of a number", set("train", "{batch_size: 8, lr: 0.001, epochs: 2}"), {}, "", ""},
           {"a comment in the tests",
            [](TinyProject& p) { p.folder.Write("tests.yaml", "# all\ninvariances: [{change: case, min: 0}]\n"); },
            {},
            "",
            ""},
           {"epochs", set("train", "{epochs: 3, lr: 1e-3, batch_size: 8}"), from_train, "train", "train.epochs: 2 -> 3"},
           {"seed", set("train", "{epochs: 2, lr: 1e-3, batch_size: 8, seed: 5}"), from_train, "train", "train.seed: 0 -> 5"},
           {"the validation split", set("train", "{epochs: 2, lr: 1e-3, batch_size: 8, validation_split: 0.2}"), from_train, "train",
            "train.validation_split: 0.1 -> 0.2"},
           {"max_drop",
            set("optimize", "{int8: true, max_drop: 99%}"),
            {"optimize", "evaluate", "test", "gate", "publish"},
            "optimize",
            "optimize.max_drop: 100 -> 99"},
           {"a gate",
            set("gates", "[accuracy >= production - 0.5, loss < 100]"),
            {"gate", "publish"},
            "gate",
            "gates: 'loss < 100' is new"},
           {"another gate",
            set("gates", "[accuracy >= production - 0.6]"),
            {"gate", "publish"},
            "gate",
            "gates: accuracy >= production - 0.5 -> accuracy >= production - 0.6"},
           {"the tests",
            [](TinyProject& p) { p.folder.Write("tests.yaml", "invariances: [{change: case, min: 1%}]\n"); },
            {"test", "publish"},
            "test",
            "tests.yaml: changed"},
           {"rows of train",
            [&](TinyProject& p) { p.folder.Write("train.csv", train + "a new cat,animal\nwet water,fish\nmore water,fish\n"); }, all,
            "train", "train.csv: 3 rows added, 1 label new: 'fish'"},
           {"rows of test",
            [&](TinyProject& p) { p.folder.Write("test.csv", test + "a new cat,animal\n"); },
            {"check", "optimize", "evaluate", "test", "gate", "publish"},
            "evaluate",
            "test.csv: 1 row added"},
           {"the name of a file of data, which stands in the card",
            [&](TinyProject& p) {
              p.folder.Write("texts.csv", train);
              p.lines["data"] = "{train: texts.csv, test: test.csv}";
            },
            all, "train", "texts.csv: was train.csv"},
           {"the folder that it lies in",
            [&](TinyProject& p) {
              p.folder.Write("data/train.csv", train);
              p.lines["data"] = "{train: data/train.csv, test: test.csv}";
            },
            {},
            "",
            ""},
           {"the name of the base's folder",
            [](TinyProject& p) {
              fs::copy(FixturePath("models/classifier"), p.folder / "renamed", fs::copy_options::recursive);
              p.lines["base"] = "renamed";
            },
            from_train, "train", "renamed: was " + FixturePath("models/classifier")},
           {"the other model",
            [&](TinyProject& p) { p.more = more.substr(0, more.find("epochs")) + "epochs: 2}}\n"; },
            {"train", "evaluate", "publish"},
            "train",
            "train.epochs: 1 -> 2"},
           {"the base",
            [](TinyProject& p) {
              fs::copy(FixturePath("models/classifier"), p.folder / "classifier", fs::copy_options::recursive);
              p.folder.Write("classifier/note.txt", "new");
              p.lines["base"] = "classifier";
            },
            from_train, "train", "classifier: changed"},
       }) {
    change.make(project);
    const Plan plan = project.MakePlan();
    EXPECT_EQ(TinyProject::StepsOf(plan), change.expected) << change.what;
    if (!change.step.empty()) {
      EXPECT_THAT(Reasons(plan, change.step), Contains(change.reason)) << change.what;
    }
    project.lines = lines;
    project.more = more;
    project.folder.Write("train.csv", train);
    project.folder.Write("test.csv", test);
    project.folder.Write("tests.yaml", tests);
    EXPECT_THAT(project.Pending(), IsEmpty()) << "back from: " << change.what;
  }
}

TEST(Plan, ChangesOfDataAreToldByRows) {
  TinyProject project;
  project.folder.Write("train.csv", "text,label\na cat,x\na dog,x\nred,y\nblue,y\n");
  project.folder.Write("test.csv", "text,label\na cat,x\n");
  project.lines["train"] = "{epochs: 1, validation_split: 0}";
  project.Apply();
  for (const auto& [content, expected] : std::vector<std::pair<std::string, std::string>>{
           {"text,label\na cat,x\na dog,x\nred,y\nblue,y\ngreen,y\n", "1 row added"},
           {"text,label\na cat,x\na dog,x\nred,y\n", "1 row removed"},
           {"text,label\na cat,x\na dog,x\nred,y\ngreen,y\n", "1 row added, 1 removed"},
           {"text,label\na cat,x\na dog,x\nred,y\nblue,z\n", "1 row added, 1 removed, 1 label new: 'z'"},
           {"text,label\na cat,x\na dog,x\nred,x\nblue,x\n", "2 rows added, 2 removed, 1 label gone: 'y'"},
           {"text,label\na dog,x\na cat,x\nred,y\nblue,y\n", "the same rows in another order"},
           {"text,label\n\"a cat\",x\na dog,x\nred,y\nblue,y\n", "the same rows, written otherwise"},
           {"text,label\n\"a cat,x\n", "changed"}}) {
    project.folder.Write("train.csv", content);
    EXPECT_THAT(Reasons(project.MakePlan(), "train"), ElementsAre("train.csv: " + expected));
  }
}

TEST(Plan, PromotingWhatIsPublishedRunsNothing) {
  const TinyProject project;
  project.Apply();
  project.Promote();
  EXPECT_THAT(project.Pending(), IsEmpty());
}

TEST(Plan, AnOlderStateOfTheFileOnlyMovesLatest) {
  TinyProject project;
  project.Apply();
  const std::string first = project.Latest();
  const std::string train = project.lines["train"];
  project.lines["train"] = "{epochs: 2, lr: 1e-3, batch_size: 8, seed: 9}";
  project.Apply();
  EXPECT_NE(project.Latest(), first);
  project.lines["train"] = train;
  EXPECT_THAT(project.Pending(), ElementsAre("publish"));
  project.Apply();
  EXPECT_EQ(project.Latest(), first);
}

TEST(Plan, AResultThatIsDamagedRunsAgain) {
  TinyProject project;
  project.Apply();
  const Plan plan = mlac::MakePlan(project.Config());
  const std::string key = plan.models[0].keys().at("evaluate");
  project.folder.Write(".mlac/steps/" + key + "/step.json", "{\"format_version\": 1");
  EXPECT_THAT(project.Pending(), IsEmpty()) << "what is published needs it no more";
  project.lines["gates"] = "[accuracy >= 0]";
  EXPECT_THAT(project.Pending(), ElementsAre("evaluate", "gate", "publish"));
}

TEST(Plan, AFileThatIsMissingIsNamedWithItsKey) {
  TinyProject project;
  fs::remove(project.folder / "test.csv");
  try {
    project.MakePlan();
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.message(), HasSubstr("mlac.yaml line 4: models.topics.data.test: "));
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
  }
}

TEST(Plan, WhatCannotBeDoneIsSaidBeforeAnythingRuns) {
  TinyProject project;
  project.lines["gates"] = "";
  const auto refused = [&](const std::string& key, const std::string& value, const std::string& message) {
    const std::string before = project.lines[key];
    project.lines[key] = value;
    const Error error = ExpectError(ErrorCode::kInvalidInput, message, [&] { project.MakePlan(); });
    project.lines[key] = before;
    return error.hint();
  };
  EXPECT_EQ(refused("data", "{train: train.csv, test: test.csv, target: labl}",
                    "mlac.yaml line 4: models.topics.data.target: train.csv has no column 'labl'"),
            "did you mean 'label'? there are: text, label");
  refused("data", "{train: train.csv, test: test.csv, text: words}",
          "mlac.yaml line 4: models.topics.data.text: train.csv has no column 'words'");
  refused("data", "{train: train.csv, test: test.csv, filter: [{column: lang, equals: de}]}",
          "mlac.yaml line 4: models.topics.data.filter: train.csv has no column 'lang'");
  project.folder.Write("empty/README.md", "no model\n");
  refused("base", "empty", "mlac.yaml line 3: models.topics.base: empty is no model: there is no config.json in it");
  refused("gates", "[latency_p99(100000 tokens) <= 1 s]",
          "mlac.yaml line 5: models.topics.gates[0]: latency_p99(100000 tokens): the base model takes 64 tokens at most");
  project.lines["gates"] = "[per_class.anmal.f1 >= 0]";
  project.MakePlan();  // nobody has looked at the data yet
  project.lines["gates"] = "";
  project.Apply();
  EXPECT_EQ(refused("gates", "[per_class.anmal.f1 >= 0]", "mlac.yaml line 5: models.topics.gates[0]: the data have no label 'anmal'"),
            "did you mean 'animal'? there are: animal, colour, time");
  project.folder.Write("tests/t.yaml", "latency: [{tokens: 100000, p99: 1 s}]\n");
  refused("tests", "tests/t.yaml", "tests/t.yaml: latency: 100000 tokens; the base model takes 64 at most");
}

TEST(Plan, TargetsAreModels) {
  TinyProject project;
  project.more = "  other: {base: " + FixturePath("models/classifier") + ", data: {train: train.csv, test: test.csv}}\n";
  const ProjectConfig config = project.Config();
  EXPECT_EQ(mlac::MakePlan(config).models.size(), 2u);
  EXPECT_EQ(mlac::MakePlan(config, {.targets = {"other"}}).models.front().name, "other");
  ExpectError(ErrorCode::kNotFound, project.folder / "mlac.yaml: there is no model 'othre'",
              [&] { mlac::MakePlan(config, {.targets = {"othre"}}); });
}

TEST(Plan, ReadsItsJsonBack) {
  TinyProject project;
  project.Apply();
  project.Promote();
  project.lines["train"] = "{epochs: 1}";
  const Plan plan = project.MakePlan();
  const Plan again = ParsePlan(plan.Json(), "plan.json");
  EXPECT_EQ(again.Json(), plan.Json());
  CheckPlanStands(again, plan, "plan.json");
  ExpectError(ErrorCode::kInvalidInput, "plan.json: is no plan", [] { ParsePlan("{\"a\": 1}", "plan.json"); });
  ExpectError(ErrorCode::kInvalidInput, "plan.json: is no plan",
              [] { ParsePlan("{\"format_version\": 1, \"models\": 3, \"file\": \"\", \"store\": \"\"}", "plan.json"); });
  ExpectError(ErrorCode::kInvalidInput, "plan.json: is a plan of another version of mlac",
              [] { ParsePlan("{\"format_version\": 2}", "plan.json"); });
}

TEST(Plan, DoesNotStandOnceAnythingHasMoved) {
  TinyProject project;
  project.Apply();
  project.lines["train"] = "{epochs: 1}";
  const Plan plan = project.MakePlan();
  const auto moved = [&](const std::string& what) {
    ExpectError(ErrorCode::kInvalidInput, "plan.json: something moved since it was made: " + what,
                [&] { CheckPlanStands(plan, project.MakePlan(), "plan.json"); });
  };
  project.lines["train"] = "{epochs: 4}";
  moved("topics: train: train.epochs: 2 -> 4");
  project.lines["train"] = "{epochs: 1}";
  CheckPlanStands(plan, project.MakePlan(), "plan.json");
  project.Promote();
  moved("topics@production stands for another revision");
  const Plan second = project.MakePlan();
  project.Apply();
  ExpectError(ErrorCode::kInvalidInput, "plan.json: something moved since it was made: topics@latest stands for another revision",
              [&] { CheckPlanStands(second, project.MakePlan(), "plan.json"); });
}

}  // namespace
}  // namespace mlac
