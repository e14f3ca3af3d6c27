// Models that start from another model of mlac.yaml or from a revision of the store: what runs when, in which order, and what is kept of
// it.
#include "project/model_base.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "hub/collect.h"
#include "models/quantization.h"
#include "project/reproduce.h"
#include "project/status.h"
#include "project/test_model.h"
#include "tests/project/tiny_project.h"

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

constexpr char kFieldData[] = "data: {train: field.txt, test: field-test.txt}";

std::string FieldTexts(size_t count) {
  std::string texts;
  for (size_t i = 0; i < count; ++i) texts += fmt::format("the people open the small red train not this night {}\n", i);
  return texts;
}

// topics is made from field, a model of texts without labels that stands behind it in the file.
struct FieldProject : TinyProject {
  std::string field_train = "{epochs: 1, lr: 1e-3, batch_size: 8}", field_more;

  FieldProject() {
    folder.Write("field.txt", FieldTexts(48));
    folder.Write("field-test.txt", FieldTexts(12));
    lines["base"] = "{model: field}";
    lines["gates"] = "";
    WriteField();
  }
  void WriteField() {
    more = fmt::format("  field:\n    task: fill-mask\n    base: {}\n    {}\n    train: {}\n{}", FixturePath("models/masked_lm"),
                       kFieldData, field_train, field_more);
  }
};

std::vector<std::string> NamesOf(const Plan& plan) {
  std::vector<std::string> names;
  for (const PlannedModel& model : plan.models) names.push_back(model.name);
  return names;
}

// Why the steps that train run, of one model.
std::vector<std::string> ReasonsToTrain(const Plan& plan, const std::string& model) {
  for (const PlannedModel& planned : plan.models)
    for (const PlannedStep& step : planned.steps)
      if (planned.name == model && step.step == "train" && step.runs) return step.reasons;
  return {};
}

TEST(ModelBase, AModelIsMadeBeforeWhatIsMadeFromIt) {
  const FieldProject project;
  const Plan plan = project.MakePlan();
  EXPECT_THAT(NamesOf(plan), ElementsAre("field", "topics"));
  EXPECT_THAT(TinyProject::StepsOf(plan), ElementsAre("check", "train", "evaluate", "publish", "check", "train", "evaluate", "publish"));
  RecordingObserver observer;
  EXPECT_FALSE(project.Apply(observer).refused());
  const Store store = project.OpenStore();
  const Record record = *store.FindRecord("topics", project.Latest());
  EXPECT_EQ(record.base, project.Latest("field")) << "what was published is the base";
  EXPECT_EQ(record.parameters.at("base"), "field");
  const RevisionFolder folder = store.OpenFolder(project.Latest());
  EXPECT_THAT(test::ReadWhole(folder.path() + "/README.md"), HasSubstr("base_model: \"field\"\n"));
  EXPECT_THAT(project.Pending(), IsEmpty());
  EXPECT_THAT(project.MakePlan().Text(), HasSubstr("topics: nothing to do"));
}

TEST(ModelBase, TheWeightsOfTheModelAreWhatIsTrained) {
  const FieldProject project;
  project.Apply();
  FieldProject by_hand;
  {
    const Store store = project.OpenStore();
    store.Export(project.Latest("field"), by_hand.folder / "field", false);
  }
  by_hand.lines["base"] = "field";
  by_hand.more = "";
  by_hand.Apply();
  EXPECT_EQ(by_hand.Latest(), project.Latest()) << "a folder of that name and content gives the same revision";
}

TEST(ModelBase, TestDataOfAModelThatPreparesThemAreFound) {
  FieldProject project;
  project.folder.Write("tests.yaml", "invariances: [{change: case, min: 0}]\n");
  project.lines["data"] = "{train: train.csv, split: {test: 20%}}";
  project.lines["tests"] = "tests.yaml";
  project.Apply();
  std::atomic<bool> stop = false;
  EXPECT_EQ(TestModel(project.Config(), "topics", {}, stop).report.Count(TestCase::Status::kPassed), 1u);
}

TEST(ModelBase, WhatTrainsAgainIsWhatDependsOnIt) {
  FieldProject project;
  project.Apply();
  const std::string first = project.Latest();
  project.field_more = "    gates: [accuracy >= 0]\n";
  project.WriteField();
  EXPECT_THAT(project.Pending(), ElementsAre("gate", "publish")) << "a gate of the base changes no weight";
  project.Apply();
  EXPECT_EQ(project.Latest(), first);
  project.field_train = "{epochs: 2, lr: 1e-3, batch_size: 8}";
  project.WriteField();
  EXPECT_THAT(ReasonsToTrain(project.MakePlan(), "topics"), ElementsAre("base: the model 'field' is trained anew"));
  EXPECT_THAT(project.Pending(), ElementsAre("train", "evaluate", "gate", "publish", "train", "evaluate", "publish"));
  project.Apply();
  EXPECT_NE(project.Latest(), first);
  const std::string folder = FixturePath("models/classifier");
  project.lines["base"] = folder;
  EXPECT_THAT(ReasonsToTrain(project.MakePlan(), "topics"), ElementsAre("base: the model 'field' -> " + folder));
}

TEST(ModelBase, ATargetTakesInWhatItIsMadeFromAndNothingElse) {
  FieldProject project;
  project.more += "  other: {base: " + FixturePath("models/classifier") + ", data: {train: train.csv, test: test.csv}}\n";
  const ProjectConfig config = project.Config();
  EXPECT_THAT(NamesOf(mlac::MakePlan(config, {.targets = {"topics"}})), ElementsAre("field", "topics"));
  EXPECT_THAT(NamesOf(mlac::MakePlan(config, {.targets = {"field"}})), ElementsAre("field"));
  EXPECT_THAT(NamesOf(mlac::MakePlan(config, {.targets = {"other", "topics"}})), ElementsAre("field", "topics", "other"));
  EXPECT_EQ(StatusOf(config, {"topics"}).models.size(), 2u);
}

TEST(ModelBase, WhatHasARefusedBaseIsNotTrainedAndSaysWhy) {
  FieldProject project;
  project.field_more = "    gates: [accuracy > 1]\n";
  project.WriteField();
  RecordingObserver observer;
  const ApplyResult result = project.ApplyAll(observer);
  EXPECT_THAT(observer.steps, ElementsAre("check", "train", "evaluate", "gate"));
  EXPECT_EQ(result.models[0].refused_by, "gate");
  ASSERT_TRUE(result.models[1].failure);
  EXPECT_THAT(result.models[1].failure->message(),
              HasSubstr("not trained, as its base, the model 'field', was refused by gate: accuracy > 1: "));
  EXPECT_EQ(result.models[1].failure->hint(), "once 'field' is published, 'mlac apply' goes on");
  EXPECT_THAT(observer.failures, ElementsAre(result.models[1].failure->message()));
  EXPECT_EQ(project.Latest(), "");

  // Nor does one go on from what was published before.
  project.field_more = "";
  project.WriteField();
  project.Apply();
  const std::string good = project.Latest(), good_field = project.Latest("field");
  project.field_train = "{epochs: 2, lr: 1e-3, batch_size: 8}";
  project.field_more = "    gates: [accuracy > 1]\n";
  project.WriteField();
  RecordingObserver again;
  EXPECT_TRUE(project.ApplyAll(again).models[1].failure);
  EXPECT_EQ(project.Latest(), good);
  EXPECT_EQ(project.Latest("field"), good_field);
}

TEST(ModelBase, WhatHasABaseThatFailedSaysThatToo) {
  FieldProject project;
  project.folder.Write("broken/config.json", "{}");
  project.more = fmt::format("  field:\n    task: fill-mask\n    base: broken\n    {}\n", kFieldData);
  RecordingObserver observer;
  const ApplyResult result = project.ApplyAll(observer);
  ASSERT_TRUE(result.models[0].failure);
  ASSERT_TRUE(result.models[1].failure);
  EXPECT_EQ(result.models[1].failure->message(),
            "not trained, as its base, the model 'field', failed: " + result.models[0].failure->message());
}

TEST(ModelBase, KilledAtEachStepItEndsAsIfUndisturbed) {
  const FieldProject undisturbed;
  undisturbed.Apply();
  const std::map<std::string, std::string> expected = Artefacts(undisturbed);
  for (const auto& [nth, what] : {std::pair{1, "train"}, {1, "publish"}, {2, "check"}, {2, "train"}, {2, "step 9"}, {2, "publish"}}) {
    const FieldProject project;
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      RecordingObserver observer;
      int num_seen = 0;
      const auto die_at = [&, place = std::string(what), at = nth](const std::string& here) {
        if (here == place && ++num_seen == at) kill(getpid(), SIGKILL);
      };
      observer.on_step = die_at;
      int model = 0;
      observer.on_training_step = [&](size_t step) {
        if (step == 1) ++model;
        if (step == 9 && model == 2 && std::string(what) == "step 9") kill(getpid(), SIGKILL);
      };
      project.Apply(observer);
      _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << nth << " " << what;
    EXPECT_FALSE(project.Apply().refused()) << nth << " " << what;
    EXPECT_EQ(Artefacts(project), expected) << nth << " " << what;
  }
}

// topics published twice, production is the first; `next` starts from NAME@ALIAS of it.
struct NextProject : TinyProject {
  std::string first, second;

  NextProject() {
    lines["gates"] = "";
    Apply();
    first = Latest();
    Promote();
    lines["train"] = "{epochs: 1, lr: 1e-3, batch_size: 8}";
    Apply();
    second = Latest();
    StartFrom("topics@production");
  }
  void StartFrom(const std::string& base) {
    more = fmt::format("  next: {{base: {}, data: {{train: train.csv, test: test.csv}}, train: {{epochs: 1, lr: 1e-4}}}}\n", base);
  }
};

TEST(ModelBase, ARevisionOfTheStoreIsABaseUnderItsName) {
  NextProject project;
  EXPECT_THAT(NamesOf(project.MakePlan()), ElementsAre("topics", "next"));
  EXPECT_FALSE(project.Apply().refused());
  const Store store = project.OpenStore();
  const Record record = *store.FindRecord("next", project.Latest("next"));
  EXPECT_EQ(record.base, project.first);
  EXPECT_EQ(record.parameters.at("base"), "topics");
  EXPECT_FALSE(fs::exists(project.folder / ".mlac/records/next.base")) << "the store has it already";
  EXPECT_THAT(project.Pending(), IsEmpty());
  project.StartFrom("topics@" + project.first.substr(0, 12));
  EXPECT_THAT(project.Pending(), IsEmpty()) << "the same revision, named otherwise";
  RecordingObserver observer;
  const Reproduction made = Reproduce(store, Resolve(store, "next"), 1, observer, observer.stop);
  EXPECT_TRUE(made.equal()) << (made.different.empty() ? "" : made.different.front());
}

TEST(ModelBase, ARevisionWithAFlippedBitIsNotTrainedFrom) {
  NextProject project;
  const Store store = project.OpenStore();
  const Manifest manifest = store.ReadManifest(project.first);
  const std::string path = store.BlobPath(manifest.Find("model.safetensors")->sha256);
  std::string content = test::ReadWhole(path);
  content.back() = static_cast<char>(content.back() ^ 1);
  WriteFileAtomically(path, content);
  RecordingObserver observer;
  const ApplyResult result = project.ApplyAll(observer);
  ASSERT_TRUE(result.models[1].failure);
  EXPECT_EQ(result.models[1].failure->message(),
            fmt::format("{}: the base, topics@{}, is damaged", store.folder(), project.first.substr(0, 12)));
  EXPECT_EQ(project.Latest("next"), "");
}

TEST(ModelBase, AnAliasThatMovedTrainsAgainAndIsSaid) {
  NextProject project;
  project.Apply();
  const std::string next = project.Latest("next");
  project.StartFrom("topics@" + project.second);
  EXPECT_THAT(ReasonsToTrain(project.MakePlan(), "next"),
              ElementsAre(fmt::format("base: topics@production ({}) -> topics@{} ({})", project.first.substr(0, 10), project.second,
                                      project.second.substr(0, 10))));
  project.StartFrom("topics@production");
  project.Promote();  // to the second
  const Plan plan = project.MakePlan();
  EXPECT_THAT(ReasonsToTrain(plan, "next"), ElementsAre(fmt::format("base: topics@production moved from {} to {}",
                                                                    project.first.substr(0, 10), project.second.substr(0, 10))));
  project.Apply();
  EXPECT_NE(project.Latest("next"), next);
  project.StartFrom("topics@" + project.first);
  EXPECT_THAT(ReasonsToTrain(project.MakePlan(), "next"), IsEmpty()) << "what was trained from the first is there";
}

TEST(ModelBase, AReviewedPlanDoesNotStandOnceTheAliasHasMoved) {
  NextProject project;
  const Plan plan = project.MakePlan();
  const Plan reviewed = ParsePlan(plan.Json(), "plan.json");
  EXPECT_EQ(reviewed.Json(), plan.Json());
  EXPECT_EQ(json::parse(plan.Json()).at("models")[1].at("base"), json({{"name", "topics"}, {"revision", project.first}}));
  CheckPlanStands(reviewed, project.MakePlan(), "plan.json");
  {
    const Store store = project.OpenStore();
    Aliases(store).Promote("topics", project.first, "staging");
  }
  project.StartFrom("topics@staging");
  const Plan staged = project.MakePlan();
  {
    const Store store = project.OpenStore();
    Aliases(store).Promote("topics", project.second, "staging");
  }
  ExpectError(ErrorCode::kInvalidInput,
              fmt::format("plan.json: something moved since it was made: next starts from topics@{}, not topics@{}",
                          project.second.substr(0, 10), project.first.substr(0, 10)),
              [&] { CheckPlanStands(ParsePlan(staged.Json(), "plan.json"), project.MakePlan(), "plan.json"); });
}

TEST(ModelBase, WhatTheStoreDoesNotHaveOrCannotBeTrainedIsRefusedWithItsLine) {
  NextProject project;
  const auto refused = [&](ErrorCode code, const std::string& base, const std::string& message) {
    project.StartFrom(base);
    return ExpectError(code, message, [&] { project.MakePlan(); }).hint();
  };
  const std::string place = "mlac.yaml line 6: models.next.base: ", store = fs::canonical(project.folder / ".mlac").string();
  EXPECT_EQ(refused(ErrorCode::kNotFound, "topics@produktion", place + store + ": 'topics' has no alias 'produktion'"),
            "{model: topics} is what this file makes of 'topics'");
  EXPECT_EQ(refused(ErrorCode::kNotFound, "topic@production", place + store + ": nothing is called 'topic'"), "did you mean 'topics'?");
  EXPECT_EQ(refused(ErrorCode::kNotFound, "next@production", place + store + ": nothing is called 'next'"), "'mlac log' lists the names");
  {
    const Store opened = project.OpenStore();
    Aliases(opened).Publish("topics.train", opened.RevisionsOf("topics.train").front());
  }
  refused(ErrorCode::kInvalidInput, "topics.train@latest", place + "topics.train@latest: expected a model, found data 'topics.train'");
  project.lines["optimize"] = "{int8: true}";
  project.StartFrom("topics@production");
  project.Apply();
  EXPECT_EQ(refused(ErrorCode::kInvalidInput, "topics@latest",
                    "mlac.yaml line 7: models.next.base: topics@latest is int8, which cannot be trained"),
            "name the model that it was made from");
}

TEST(ModelBase, WithoutAStoreThereIsNoRevisionAndAFolderOfThatNameComesFirst) {
  TinyProject project;
  project.lines["base"] = "general@production";
  EXPECT_EQ(ExpectError(ErrorCode::kNotFound,
                        "mlac.yaml line 3: models.topics.base: 'general@production': there is no folder of that name, and no store yet",
                        [&] { project.MakePlan(); })
                .hint(),
            "");
  fs::copy(FixturePath("models/classifier"), project.folder / "general@production", fs::copy_options::recursive);
  EXPECT_EQ(project.MakePlan().models[0].base.revision, "");
  project.Apply();
}

TEST(ModelBase, CollectionKeepsWhatAModelWasMadeFrom) {
  NextProject project;
  project.Apply();
  project.Promote();  // to the second
  project.more = "";
  project.lines["train"] = "{epochs: 1, lr: 2e-3, batch_size: 8}";
  project.Apply();
  project.Promote();  // to a third: nothing but the record of `next` needs the first
  const Store store = project.OpenStore();
  CollectGarbage(store, {.keep_last = 0});
  EXPECT_TRUE(store.Has(project.first));
  project.StartFrom("topics@" + project.first);
  EXPECT_THAT(BaseRevisions(project.Config(), store), ElementsAre(project.first));
  project.StartFrom("topics@nowhere");
  EXPECT_THAT(BaseRevisions(project.Config(), store), IsEmpty());
}

TEST(ModelBase, ALatencyIsBoundedByWhatTheFirstBaseTakes) {
  FieldProject project;
  project.lines["gates"] = "[latency_p99(100000 tokens) <= 1 s]";
  ExpectError(ErrorCode::kInvalidInput,
              "mlac.yaml line 5: models.topics.gates[0]: latency_p99(100000 tokens): the base model takes 64 tokens at most",
              [&] { project.MakePlan(); });
}

// A folder of sentence-transformers whose encoder lies in a folder of its own, as those of its first versions do.
std::string WriteInnerEncoder(const TinyProject& project, const std::string& name) {
  const fs::path folder = project.folder / name, inner = folder / "0_Transformer";
  fs::copy(FixturePath("models/st_version_two"), folder, fs::copy_options::recursive);
  fs::create_directory(inner);
  for (const char* file : {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt",
                           "sentence_bert_config.json"})
    fs::rename(folder / file, inner / file);
  json modules = json::parse(test::ReadWhole((folder / "modules.json").string()));
  modules[0]["path"] = "0_Transformer";
  project.folder.Write(name + "/modules.json", modules.dump());
  return name;
}

TEST(ModelBase, AnEncoderInAFolderOfItsOwnIsABaseAsAFolderAndAsARevision) {
  TinyProject project;
  const std::string base = WriteInnerEncoder(project, "encoder");
  const auto expect_bound = [&] {
    project.lines["gates"] = "[latency_p99(100000 tokens) <= 1 s]";
    try {
      project.MakePlan();
      FAIL();
    } catch (const Error& error) {
      EXPECT_THAT(error.message(), HasSubstr("the base model takes 64 tokens at most"));
    }
    project.lines["gates"] = "";
  };
  project.lines["base"] = base;
  expect_bound();
  project.Apply();
  EXPECT_NE(project.Latest(), "");
  {
    const Store store = project.OpenStore();
    Aliases(store).Publish("encoder", store.Add(project.folder / base, {.name = "encoder", .revision = {}, .made_by = "add"}));
  }
  project.lines["base"] = "encoder@latest";
  expect_bound();
  const std::string before = project.Latest();
  project.Apply();
  EXPECT_EQ(project.Latest(), before) << "the same base under the same name";
  fs::remove(project.folder / (base + "/0_Transformer/config.json"));
  project.lines["base"] = base;
  ExpectError(ErrorCode::kInvalidInput, "mlac.yaml line 3: models.topics.base: encoder is no model: there is no config.json in it",
              [&] { project.MakePlan(); });
}

TEST(ModelBase, ALatencyIsBoundedByThePositionsThatTokensHave) {
  TinyProject project;
  project.lines["base"] = "base";
  const auto plan = [&](const std::string& config, size_t num_tokens) {
    project.folder.Write("base/config.json", config);
    project.lines["gates"] = fmt::format("[latency_p99({} tokens) <= 1 s]", num_tokens);
    project.MakePlan();
  };
  const std::string place = "mlac.yaml line 5: models.topics.gates[0]: ";
  plan(R"({"model_type": "mpnet", "max_position_embeddings": 514})", 512);
  ExpectError(ErrorCode::kInvalidInput, place + "latency_p99(513 tokens): the base model takes 512 tokens at most",
              [&] { plan(R"({"model_type": "mpnet", "max_position_embeddings": 514})", 513); });
  ExpectError(ErrorCode::kInvalidInput, place + "latency_p99(515 tokens): the base model takes 514 tokens at most",
              [&] { plan(R"({"model_type": "bert", "max_position_embeddings": 514})", 515); });
  ExpectError(ErrorCode::kInvalidInput, place + "latency_p99(513 tokens): the base model takes 512 tokens at most",
              [&] { plan(R"({"model_type": "distilbert"})", 513); });
}

TEST(ModelBase, AnAdapterIsNoBase) {
  TinyProject project;
  project.folder.Write("lora/adapter_config.json", "{}");
  project.lines["base"] = "lora";
  EXPECT_EQ(ExpectError(ErrorCode::kInvalidArgument, "mlac.yaml line 3: models.topics.base: lora is an adapter, not a model",
                        [&] { project.MakePlan(); })
                .hint(),
            "name the model that it was made for, or what 'mlac merge' makes of both");
}

TEST(ModelBase, AFolderOfInt8IsNoBase) {
  TinyProject project;
  project.folder.Write("small/config.json", json{{"model_type", "bert"}, {"quantization_config", Int8QuantizationConfig({})}}.dump());
  project.lines["base"] = "small";
  EXPECT_EQ(ExpectError(ErrorCode::kInvalidInput, "mlac.yaml line 3: models.topics.base: small is int8, which cannot be trained",
                        [&] { project.MakePlan(); })
                .hint(),
            "name the model that it was made from");
}

}  // namespace
}  // namespace mlac
