// What apply makes, what it never publishes, and that it goes on where it was stopped with the same bits.
#include "project/apply.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "models/model_folder.h"
#include "pipelines/text_model.h"
#include "project/candidate.h"
#include "project/key_names.h"
#include "project/test_model.h"
#include "tests/project/tiny_project.h"
#include "tests/support/system_faults.h"
#include "train/report_escape.h"

namespace mlac {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::Artefacts;
using test::ExpectError;
using test::FixturePath;
using test::LabelledCsv;
using test::RecordingObserver;
using test::TinyProject;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

TEST(Apply, PublishesAFolderWithTheFiguresOfItsTestData) {
  const TinyProject project;
  RecordingObserver observer;
  const ApplyResult result = project.Apply(observer);
  EXPECT_THAT(observer.steps, ElementsAre("check", "train", "evaluate", "gate", "publish"));
  ASSERT_EQ(result.models.size(), 1u);
  EXPECT_TRUE(result.models[0].published);
  EXPECT_FALSE(result.refused());
  const Store store = project.OpenStore();
  EXPECT_EQ(result.models[0].revision, project.Latest());
  const RevisionFolder folder = store.OpenFolder(project.Latest());
  EXPECT_EQ(LabelNamesOf(folder.path()), (std::vector<std::string>{"animal", "colour", "time"}));
  const json metrics = ReadJsonFile(folder.path() + "/metrics.json");
  EXPECT_EQ(metrics.at("num_examples"), 30);
  const std::string card = test::ReadWhole(folder.path() + "/README.md");
  EXPECT_NE(card.find("test.csv"), std::string::npos);
  EXPECT_EQ(card.find(project.folder.path()), std::string::npos) << "a path of this machine";
  const Record record = store.RecordsOf(project.Latest()).front();
  EXPECT_EQ(record.parameters.at("train.epochs"), "2");
  EXPECT_TRUE(store.Has(record.base));
  EXPECT_TRUE(store.Has(record.data.at("train")));
  EXPECT_TRUE(store.Has(record.data.at("test")));
  EXPECT_EQ(record.made_by, "train");
}

TEST(Apply, GivesTheSameRevisionInAnotherFolderWithOtherThreads) {
  const TinyProject first, second;
  first.Apply();
  RecordingObserver observer;
  const ProjectConfig config = second.Config();
  Apply(config, MakePlan(config), second.OpenStore(), {.num_threads = 3}, observer, observer.stop);
  EXPECT_EQ(first.Latest(), second.Latest());
}

TEST(Apply, NeverPublishesWhatAGateRefuses) {
  TinyProject project;
  project.Apply();
  const std::string good = project.Latest();
  project.Promote();
  project.lines["gates"] = "[accuracy >= production + 1%, loss < 1000]";
  RecordingObserver observer;
  const ApplyResult result = project.Apply(observer);
  EXPECT_TRUE(result.refused());
  EXPECT_EQ(result.models[0].refused_by, "gate");
  EXPECT_FALSE(result.models[0].published);
  EXPECT_THAT(result.models[0].refusal, HasSubstr("accuracy >= production + 0.01: "));
  EXPECT_THAT(result.models[0].refusal, HasSubstr("the difference is +0.0000 (95 %: +0.0000 to +0.0000)"));
  EXPECT_EQ(project.Latest(), good);
  EXPECT_THAT(project.Pending(), ElementsAre("gate", "publish")) << "it is asked again the next time";
}

TEST(Apply, AGateAgainstProductionIsDecidedAgainIfProductionMovedBeforePublishing) {
  TinyProject project;
  project.Apply();
  project.lines["train"] = "{epochs: 1}";
  RecordingObserver observer;
  observer.on_step = [&](const std::string& step) {
    if (step == "gate") observer.stop = true;  // it ends behind the gate, and before anything is published
  };
  ExpectError(ErrorCode::kCancelled, "interrupted", [&] { project.Apply(observer); });
  EXPECT_THAT(project.Pending(), ElementsAre("publish"));
  project.Promote();
  EXPECT_THAT(project.Pending(), ElementsAre("gate", "publish"));
}

TEST(Apply, OtherModelsGoOnBehindARefusal) {
  TinyProject project;
  project.lines["gates"] = "[accuracy > 1]";
  project.more =
      "  other: {base: " + FixturePath("models/classifier") + ", data: {train: train.csv, test: test.csv}, train: {epochs: 1}}\n";
  const ApplyResult result = project.Apply();
  EXPECT_TRUE(result.refused());
  EXPECT_EQ(project.Latest(), "");
  EXPECT_NE(project.Latest("other"), "");
}

TEST(Apply, ARefusalStandsOnceInTheMarkdownOfARunAndInThatOfItsReport) {
  TinyProject project;
  project.lines["gates"] = "[accuracy > 1]";
  RecordingObserver observer;
  const ApplyResult result = project.ApplyAll(observer, /*reports=*/true);
  ASSERT_EQ(result.models[0].refused_by, "gate");
  const std::string refusal = EscapeMarkdown(result.models[0].refusal);
  for (const std::string& markdown : {result.Markdown(), test::ReadWhole(result.models[0].report + ".md")}) {
    const size_t first = markdown.find(refusal);
    ASSERT_NE(first, std::string::npos) << markdown;
    EXPECT_EQ(markdown.find(refusal, first + 1), std::string::npos) << markdown;
  }
}

TEST(Apply, MessagesOfTrainingNameKeysAndNoOptions) {
  TinyProject project;
  project.lines["train"] = "{epochs: 1, max_length: 2}";
  RecordingObserver observer;
  EXPECT_EQ(project.ApplyAll(observer).models[0].failure->message(),
            "train.max_length 2: expected more than the 2 special tokens around each text");
  project.lines["train"] = "{epochs: 1, max_length: 65}";
  EXPECT_EQ(project.ApplyAll(observer).models[0].failure->message(), "train.max_length 65 is above the model's max_position_embeddings 64");
  project.lines["train"] = "{epochs: 1}";
  project.folder.Write("train.csv", LabelledCsv(60, 1) + "the small cat,\n");
  const ApplyResult result = project.ApplyAll(observer);
  ASSERT_TRUE(result.models[0].failure);
  EXPECT_EQ(result.models[0].failure->hint(), "give the row a label, or leave it out with not_empty: true of data.filter");
}

TEST(Apply, OptionsWithoutAKeyStayAsTheyAre) {
  EXPECT_EQ(WithKeyNames("--text-column, --text-pair-column and --target-column"), "data.text, data.text_pair and data.target");
  EXPECT_EQ(WithKeyNames("--lora-alpha"), "train.lora_alpha");
  EXPECT_EQ(WithKeyNames("'--epochs'"), "'train.epochs'");
  for (const char* text : {"--overwrite begins anew", "a--epochs", "---", "--", "", "x --", "--epoch"}) EXPECT_EQ(WithKeyNames(text), text);
}

TEST(Apply, AnErrorOfOneModelIsToldAndTheOthersGoOn) {
  TinyProject project;
  project.folder.Write("broken/config.json", "{}");
  project.lines["base"] = "broken";
  project.lines["gates"] = "";
  project.more =
      "  other: {base: " + FixturePath("models/classifier") + ", data: {train: train.csv, test: test.csv}, train: {epochs: 1}}\n";
  RecordingObserver observer;
  const ApplyResult result = project.ApplyAll(observer, /*reports=*/true);
  ASSERT_EQ(result.models.size(), 2u);
  EXPECT_TRUE(result.failed());
  EXPECT_FALSE(result.refused());
  ASSERT_TRUE(result.models[0].failure);
  EXPECT_THAT(observer.failures, ElementsAre(result.models[0].failure->message()));
  EXPECT_FALSE(result.models[0].published);
  EXPECT_TRUE(result.models[1].published);
  EXPECT_TRUE(fs::exists(result.models[1].report + ".html"));
  EXPECT_THAT(result.Markdown(), HasSubstr("## topics: failed\n"));
  EXPECT_THAT(result.Markdown(), HasSubstr("## other@"));
  const json told = json::parse(result.Json());
  EXPECT_EQ(told.at("failed"), true);
  EXPECT_EQ(told.at("models")[0].at("failed").at("message"), result.models[0].failure->message());
  EXPECT_FALSE(told.at("models")[1].contains("failed"));
  EXPECT_THAT(project.Pending(), ElementsAre("train", "evaluate", "publish")) << "of topics alone";
}

TEST(Apply, WhatWasPublishedBeforeItsReportGetsItTheNextTime) {
  TinyProject project;
  RecordingObserver first;
  project.ApplyAll(first, /*reports=*/true);
  const std::string before = project.Latest();
  project.lines["train"] = "{epochs: 1, lr: 1e-3, batch_size: 8}";
  RecordingObserver stopped;
  stopped.on_step = [&](const std::string& step) { stopped.stop = step == "publish"; };
  ExpectError(ErrorCode::kCancelled, "interrupted", [&] { project.ApplyAll(stopped, /*reports=*/true); });
  const std::string after = project.Latest();
  ASSERT_NE(after, before);
  const Plan plan = project.MakePlan();
  EXPECT_TRUE(plan.changes());
  EXPECT_EQ(plan.num_steps(), 0u);
  EXPECT_THAT(plan.Text(), HasSubstr("topics: latest, " + after.substr(0, 10) + ", was published without its report"));
  EXPECT_TRUE(ParsePlan(plan.Json(), "plan.json").models[0].owes_report);
  RecordingObserver next;
  const ApplyResult result = project.ApplyAll(next, /*reports=*/true);
  EXPECT_THAT(next.steps, IsEmpty());
  EXPECT_FALSE(result.models[0].published);
  EXPECT_THAT(test::ReadWhole(result.models[0].report + ".md"), HasSubstr("topics@" + before.substr(0, 10)));
  EXPECT_THAT(result.models[0].report, HasSubstr(after.substr(0, 12)));
  EXPECT_FALSE(project.MakePlan().changes());
}

TEST(Apply, WhereReportsCannotBeWrittenTheModelFailsAndTheNextApplyEndsAsUsual) {
  const TinyProject project;
  project.OpenStore();
  project.folder.Write(".mlac/reports/keep", "");
  RecordingObserver observer;
  observer.on_step = [&](const std::string& step) {
    if (step != "publish") return;
    fs::remove_all(project.folder / ".mlac/reports");
    project.folder.Write(".mlac/reports", "a file where a folder was");
  };
  const ApplyResult result = project.ApplyAll(observer, /*reports=*/true);
  ASSERT_TRUE(result.models[0].failure);
  fs::remove(project.folder / ".mlac/reports");
  RecordingObserver again;
  EXPECT_FALSE(project.ApplyAll(again, /*reports=*/true).failed());
  EXPECT_NE(project.Latest(), "");
}

TEST(Apply, WhatTwoModelsHaveInCommonIsDoneOnce) {
  TinyProject project;
  project.lines["gates"] = "";
  project.more =
      fmt::format("  other: {{base: {}, data: {{train: train.csv, test: test.csv}}, train: {{epochs: 2, lr: 1e-3, batch_size: 8}}}}\n",
                  FixturePath("models/classifier"));
  RecordingObserver observer;
  size_t num_steps = 0;
  observer.on_training_step = [&](size_t) { ++num_steps; };
  project.Apply(observer);
  EXPECT_EQ(num_steps, 14u);
  EXPECT_EQ(project.Latest(), project.Latest("other"));
  EXPECT_THAT(project.Pending(), IsEmpty());
}

TEST(Apply, AModelThatFailsATestIsNotPublished) {
  TinyProject project;
  project.lines["tests"] = "tests.yaml";
  project.folder.Write("tests.yaml", "examples:\n  - {text: a cat, expect: animal, min_probability: 1}\n");
  const ApplyResult result = project.Apply();
  EXPECT_EQ(result.models[0].refused_by, "test");
  EXPECT_THAT(result.models[0].refusal, HasSubstr("1 of 1 tests failed; examples: 'a cat' is animal"));
  EXPECT_EQ(project.Latest(), "");
}

TEST(Apply, Int8IsRefusedAboveItsDropAndPublishedWithin) {
  TinyProject project;
  project.lines["optimize"] = "{int8: true, max_drop: 100%}";
  EXPECT_FALSE(project.Apply().refused());
  const RevisionFolder folder = project.OpenStore().OpenFolder(project.Latest());
  EXPECT_NE(test::ReadWhole(folder.path() + "/config.json").find("int-quantized"), std::string::npos);
  EXPECT_TRUE(fs::exists(folder.path() + "/learning-curves.svg"));
}

TEST(Apply, PreparesDataInTheOrderJoinFilterDedupeSplit) {
  TinyProject project;
  project.folder.Write("a.csv", LabelledCsv(30, 1));
  project.folder.Write("b.csv", LabelledCsv(30, 1) + "x,animal\n");  // the same rows again, and one that is too short
  project.lines["data"] = "{train: [a.csv, b.csv], filter: [{min_length: 3}], dedupe: true, split: {test: 20%}}";
  RecordingObserver observer;
  project.Apply(observer);
  EXPECT_THAT(observer.steps, ElementsAre("join", "filter", "dedupe", "split", "check", "train", "evaluate", "gate", "publish"));
  const Store store = project.OpenStore();
  const StepStore steps(store);
  const std::map<std::string, std::string> keys = project.MakePlan().models[0].keys();
  const auto rows = [&](const std::string& step, const char* name) {
    return ParseJson(steps.Find(keys.at(step))->result, "result").at(name);
  };
  EXPECT_EQ(rows("join", "num_rows"), 61);
  EXPECT_EQ(rows("filter", "num_rows"), 60);
  EXPECT_EQ(rows("dedupe", "num_rows"), 30);
  EXPECT_EQ(rows("split", "num_test"), 6);
  EXPECT_THAT(project.Pending(), IsEmpty());
  project.folder.Write("b.csv", LabelledCsv(30, 1) + "y,animal\n");
  EXPECT_THAT(project.Pending(), ElementsAre("join", "filter", "dedupe", "split", "check", "train", "evaluate", "gate", "publish"));
}

TEST(Apply, AFilterLeavesOutRowsWithoutALabelAndLabelsLoseTheirBlanks) {
  TinyProject project;
  project.folder.Write("train.csv", LabelledCsv(60, 1) + ",\na text,\nanother,  \n");
  project.folder.Write("test.csv", LabelledCsv(30, 2));
  project.lines["data"] = "{train: train.csv, test: test.csv, filter: [{column: label, not_empty: true}]}";
  project.Apply();
  const std::string filter = project.MakePlan().models[0].keys().at("filter");
  const Store store = project.OpenStore();
  EXPECT_EQ(ParseJson(StepStore(store).Find(filter)->result, "result").at("num_rows"), 60);
  // The same labels with blanks behind them make the same model.
  TinyProject plain;
  plain.lines["gates"] = project.lines["gates"] = "[accuracy >= 0]";
  project.lines["data"] = plain.lines["data"];
  std::string rows = LabelledCsv(60, 1);
  for (size_t at = rows.find('\n'); (at = rows.find('\n', at + 1)) != std::string::npos; at += 2) rows.insert(at, "  ");  // behind each label
  project.folder.Write("train.csv", rows);
  RecordingObserver observer;
  project.Apply(observer);
  plain.Apply();
  EXPECT_THAT(observer.notes, Contains(HasSubstr("in 'label' had blanks at an end and ")));
  const auto weights = [](const TinyProject& made) {
    const Store of = made.OpenStore();
    return of.ReadManifest(made.Latest()).Find("model.safetensors")->sha256;
  };
  EXPECT_EQ(weights(project), weights(plain));
}

TEST(Apply, InCiAGateThatComparesWithNothingIsWarnedOf) {
  TinyProject project;
  const ProjectConfig config = project.Config();
  const Store store = project.OpenStore();
  const auto apply = [&](bool in_ci) {
    RecordingObserver observer;
    const ApplyResult result = mlac::Apply(config, mlac::MakePlan(config), store, {.in_ci = in_ci}, observer, observer.stop);
    EXPECT_TRUE(result.models[0].published);
    return std::pair(result, observer.findings);
  };
  const std::string warning =
      "topics: gate 'accuracy >= production - 0.5' compared with nothing: the store .mlac has no topics@production. Does it survive from run to run?";
  const auto [result, findings] = apply(true);
  EXPECT_THAT(findings, Contains("warning: " + warning));
  EXPECT_THAT(result.Markdown(), StartsWith("**Warning:** topics: gate "));
  EXPECT_EQ(ParseJson(result.Json(), "result").at("models")[0].at("warnings")[0], warning);
  // Not where there is a production, nor outside CI.
  project.Promote();
  project.folder.Write("train.csv", LabelledCsv(61, 1));
  const auto [compared, none] = apply(true);
  EXPECT_TRUE(compared.models[0].warnings.empty());
  EXPECT_EQ(compared.Markdown().find("Warning"), std::string::npos);
  const TinyProject elsewhere;
  EXPECT_TRUE(elsewhere.Apply().models[0].warnings.empty());
}

TEST(Apply, ACandidateIsComparedWithProduction) {
  TinyProject project;
  std::atomic<bool> stop = false;
  project.Apply();
  project.Promote();
  project.lines["gates"] = "[accuracy > 1]";
  project.lines["train"] = "{epochs: 1, lr: 1e-3, batch_size: 8}";
  project.folder.Write("train.csv", LabelledCsv(61, 1));
  EXPECT_EQ(project.Apply().models[0].refused_by, "gate");
  const Store store = project.OpenStore();
  EXPECT_TRUE(NamesCandidate(store, "topics@candidate"));
  EXPECT_FALSE(NamesCandidate(store, "topics@production"));
  EXPECT_FALSE(NamesCandidate(store, "candidate"));
  const ResolvedReference production = Resolve(store, "topics@production");
  const RevisionDiff diff = DiffCandidate(project.Config(), store, production, "topics");
  EXPECT_EQ(diff.before, production.revision);
  EXPECT_EQ(diff.after, "candidate");
  const auto epochs = std::find_if(diff.parameters.begin(), diff.parameters.end(), [](const ValueChange& value) { return value.name == "train.epochs"; });
  ASSERT_NE(epochs, diff.parameters.end());
  EXPECT_EQ(epochs->before + " " + epochs->after, "2 1");
  EXPECT_EQ(diff.data.at(0).num_rows_added, 1u);
  const auto has = [](const auto& list, const std::string& name, auto member) {
    return std::any_of(list.begin(), list.end(), [&](const auto& each) { return each.*member == name; });
  };
  EXPECT_TRUE(has(diff.files, "model.safetensors", &FileChange::path));
  const auto accuracy = std::find_if(diff.figures.begin(), diff.figures.end(), [](const FigureChange& figure) { return figure.name == "accuracy"; });
  ASSERT_NE(accuracy, diff.figures.end());
  EXPECT_TRUE(accuracy->before && accuracy->after);
  const Comparison comparison = CompareWithCandidate(project.Config(), store, production, "topics", 1, stop);
  EXPECT_EQ(comparison.after.title, "topics@candidate");
}

TEST(Apply, GoesOnFromTheCheckpointAfterAnInterruption) {
  TinyProject undisturbed, project;
  undisturbed.Apply();
  RecordingObserver observer;
  observer.on_training_step = [&](size_t step) {
    if (step == 5) observer.stop = true;
  };
  const Error error = ExpectError(ErrorCode::kCancelled, "interrupted after step 5 of 14", [&] { project.Apply(observer); });
  EXPECT_EQ(error.hint(), "go on with: mlac apply");
  EXPECT_THAT(project.Pending(), ElementsAre("train", "evaluate", "gate", "publish"));
  EXPECT_THAT(MakePlan(project.Config()).Text(), HasSubstr("goes on from step 5 of 14\n"));
  RecordingObserver second;
  project.Apply(second);
  EXPECT_EQ(second.resumed, 5u);
  EXPECT_EQ(Artefacts(project), Artefacts(undisturbed));
  EXPECT_THAT(fs::exists(project.folder / ".mlac/work") ? NamesIn(project.folder / ".mlac/work") : std::vector<std::string>(), IsEmpty());
}

// Killed at the start of each step and in training, in a process of its own: one more apply gives what an undisturbed one gives.
TEST(Apply, KilledAtEachStepItEndsAsIfUndisturbed) {
  const TinyProject undisturbed;
  undisturbed.Apply();
  const std::map<std::string, std::string> expected = Artefacts(undisturbed);
  for (const std::string where : {"check", "train", "step 1", "step 9", "evaluate", "gate", "publish"}) {
    const TinyProject project;
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      RecordingObserver observer;
      observer.on_step = [&](const std::string& step) {
        if (step == where) kill(getpid(), SIGKILL);
      };
      observer.on_training_step = [&](size_t step) {
        if (where == fmt::format("step {}", step)) kill(getpid(), SIGKILL);
      };
      project.Apply(observer);
      _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << where;
    EXPECT_FALSE(project.Apply().refused()) << where;
    EXPECT_EQ(Artefacts(project), expected) << where;
  }
}

TEST(Apply, AFullOrBrokenDiskIsOneErrorAndTheNextApplyEndsAsIfUndisturbed) {
  const TinyProject undisturbed;
  undisturbed.Apply();
  const std::map<std::string, std::string> expected = Artefacts(undisturbed);
  for (const auto& [function, error] : {std::pair{"write", ENOSPC}, {"fsync", EIO}, {"rename", ENOSPC}, {"open", EMFILE}}) {
    for (const size_t nth : {1, 12, 45}) {
      const TinyProject project;
      try {
        const test::SystemFault fault(function, nth, error);
        project.Apply();
      } catch (const Error& thrown) {
        EXPECT_TRUE(thrown.code() == ErrorCode::kIo || thrown.code() == ErrorCode::kResourceExhausted)
            << function << " " << nth << ": " << thrown.what();
      }
      EXPECT_FALSE(project.Apply().refused()) << function << " " << nth;
      EXPECT_EQ(Artefacts(project), expected) << function << " " << nth;
    }
  }
}

TEST(Apply, AFileThatChangesWhileAStepReadsItIsSeen) {
  TinyProject project;
  RecordingObserver observer;
  observer.on_training_step = [&](size_t step) {
    if (step == 3) project.folder.Write("train.csv", LabelledCsv(60, 7));
  };
  ExpectError(ErrorCode::kInvalidInput, "topics: what the step 'train' reads has changed since it was planned",
              [&] { project.Apply(observer); });
  EXPECT_EQ(project.Latest(), "");
  EXPECT_FALSE(project.Apply().refused());
}

TEST(Apply, ACheckpointThatIsDamagedBeginsAnew) {
  TinyProject undisturbed, project;
  undisturbed.Apply();
  RecordingObserver observer;
  observer.on_training_step = [&](size_t step) { observer.stop = step == 5; };
  ExpectError(ErrorCode::kCancelled, "interrupted after step 5 of 14", [&] { project.Apply(observer); });
  for (const auto& entry : fs::recursive_directory_iterator(project.folder / ".mlac/work"))
    if (entry.path().filename() == "state.json") std::ofstream(entry.path()) << "{";
  RecordingObserver second;
  EXPECT_FALSE(project.Apply(second).refused());
  EXPECT_THAT(second.notes, Contains(HasSubstr(": it begins anew")));
  EXPECT_EQ(Artefacts(project), Artefacts(undisturbed));
}

TEST(Apply, TheSecondAtOnceSaysWhoHoldsTheLock) {
  const TinyProject project;
  const Store store = project.OpenStore();
  const ApplyLock lock(store);
  try {
    const ApplyLock second(store);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kResourceExhausted);
    EXPECT_THAT(error.message(), HasSubstr(fmt::format("in use by process {} of ", getpid())));
    EXPECT_THAT(error.message(), HasSubstr("(apply)"));
  }
}

TEST(Apply, ACandidateThatWasRefusedIsTestedAndTestsAreProposedForIt) {
  TinyProject project;
  project.lines["tests"] = "tests.yaml";
  project.folder.Write("tests.yaml", "# nothing yet\n");
  project.lines["gates"] = "[accuracy > 1]";
  std::atomic<bool> stop = false;
  project.OpenStore();
  ExpectError(ErrorCode::kNotFound, project.OpenStore().folder() + ": there is no model 'topics' yet, published or not",
              [&] { TestModel(project.Config(), "topics", {}, stop); });
  EXPECT_EQ(project.Apply().models[0].refused_by, "gate");
  EXPECT_EQ(project.Latest(), "");
  const TestedModel empty = TestModel(project.Config(), "topics", {}, stop);
  EXPECT_EQ(empty.revision, "");
  EXPECT_THAT(empty.report.cases, IsEmpty());
  project.folder.Write("tests.yaml", ProposeTests(project.Config(), "topics", 1, stop));
  const TestedModel tested = TestModel(project.Config(), "topics@candidate", {}, stop);
  EXPECT_FALSE(tested.report.cases.empty());
  EXPECT_FALSE(tested.report.failed());
}

TEST(Apply, MemoryOfAModelIsMeasured) {
  if (access("/proc/self/clear_refs", W_OK) != 0) GTEST_SKIP() << "the kernel does not say";
  TinyProject project;
  project.lines["tests"] = "tests.yaml";
  project.folder.Write("tests.yaml", "memory: 1 KB\n");
  EXPECT_THAT(project.Apply().models[0].refusal, HasSubstr("1 of 1 tests failed; memory: of a process: "));
  project.folder.Write("tests.yaml", "memory: 10 GB\n");
  EXPECT_TRUE(project.Apply().models[0].published);
  std::atomic<bool> stop = false;
  EXPECT_EQ(TestModel(project.Config(), "topics", {}, stop).report.Count(TestCase::Status::kPassed), 1u);
}

TEST(Apply, AGateAgainstProductionPassesWhileThereIsNoneWhateverTheDataGive) {
  TinyProject project;
  // A document a query: nothing to rank, so no nDCG.
  const std::string rows = "query,document,label\ncat,a cat,1\nred,a night,0\nwater,the water,1\nnight,the cat,0\n";
  project.folder.Write("train.csv", rows);
  project.folder.Write("test.csv", rows);
  project.lines["task"] = "text-ranking";
  project.lines["train"] = "{epochs: 1, validation_split: 0}";
  project.lines["gates"] = "[ndcg_at_10 >= production - 1]";
  RecordingObserver observer;
  EXPECT_FALSE(project.Apply(observer).refused());
  EXPECT_THAT(observer.notes, Contains(HasSubstr("these test data do not give it; there is no production yet to compare with")));
  project.lines["gates"] = "[ndcg_at_10 >= 0]";
  EXPECT_THROW(project.Apply(), Error);
}

TEST(Apply, TestsOfARevisionShowWhatChangedAgainstProduction) {
  TinyProject project;
  project.lines["tests"] = "tests.yaml";
  project.folder.Write("tests.yaml", "slices:\n  - {name: cats, matches: '^cat', min: 0}\n  - {name: none, matches: zebra, min: 0}\n");
  project.lines["gates"] = "";
  EXPECT_TRUE(project.Apply().refused()) << "a slice without a row fails";
  project.folder.Write("tests.yaml", "slices:\n  - {name: cats, matches: '^cat', min: 0}\n");
  project.Apply();
  project.Promote();
  project.lines["train"] = "{epochs: 1, lr: 0}";
  project.Apply();
  std::atomic<bool> stop = false;
  const TestedModel tested = TestModel(project.Config(), "topics", {}, stop);
  EXPECT_EQ(tested.revision, project.Latest());
  EXPECT_TRUE(tested.report.compared);
  EXPECT_FALSE(tested.report.changed.empty());
  EXPECT_FALSE(TestModel(project.Config(), "topics@production", {}, stop).report.compared);
  const std::string proposed = ProposeTests(project.Config(), "topics@production", 1, stop);
  project.folder.Write("tests.yaml", proposed);
  EXPECT_FALSE(TestModel(project.Config(), "topics@production", {}, stop).report.failed()) << proposed;
}

}  // namespace
}  // namespace mlac
