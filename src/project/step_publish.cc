// publish: the model becomes a revision of the store, with the record of what made it, and NAME@latest stands for it.
#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/folder_contents.h"
#include "base/json.h"
#include "hub/aliases.h"
#include "project/model_tests.h"
#include "project/predictions.h"
#include "project/published_folder.h"
#include "project/recorded_answers.h"
#include "project/step.h"

namespace mlac {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

StepDescription DescribePublish(const StepScope& scope) {
  StepDescription step = {{scope.Model(), scope.Step("evaluate"), scope.Step("check")}, {}};
  for (const char* optional : {"test", "gate"})
    if (scope.Has(optional)) step.inputs.push_back(scope.Step(optional));
  step.inputs.push_back(scope.Parameter("name", scope.model.name));
  return step;
}

std::vector<Finding> FindingsOf(const std::string& result) {
  const json parsed = ParseJson(result, "result");  // by name: a range-for over a part of a temporary outlives it
  std::vector<Finding> findings;
  for (const json& finding : parsed.at("findings"))
    findings.push_back({.code = finding.at("code"),
                        .severity = finding.at("severity") == json("warning") ? Severity::kWarning : Severity::kNote,
                        .count = finding.at("count"),
                        .message = finding.at("message"),
                        .examples = finding.at("examples")});
  return findings;
}

std::string BareName(const std::string& path) {
  const fs::path normal = fs::path(path).lexically_normal();
  return (normal.has_filename() ? normal : normal.parent_path()).filename().string();
}

// The inputs of examples and rankings.
std::vector<TextInput> InputsOf(const ModelTests& tests) {
  std::vector<TextInput> inputs;
  for (const ExampleTest& test : tests.examples)
    for (TextInput& input : test.beside.InputsOf(test.texts)) inputs.push_back(std::move(input));
  for (const RankingTest& test : tests.rankings) inputs.push_back({test.query, test.best.front()});
  return inputs;
}

// What it answers to the examples of its tests, or to the first test texts, for those who load it later. "" if that is nothing.
std::string AddAnswers(const StepRun& run, const ModelData& data) {
  constexpr size_t kTestTexts = 8;
  const ModelTask& task = TaskOf(run.model);
  std::vector<TextInput> inputs;
  if (!run.model.tests.empty()) inputs = InputsOf(ReadModelTests(run.project.Path(run.model.tests), run.model.tests));
  if (inputs.empty())
    for (TestRow& row : task.rows(data, kTestTexts)) inputs.push_back(std::move(row.input));
  if (inputs.empty()) return "";
  const std::unique_ptr<TaskModel> model = task.open(run.ModelFolder(), data, run.num_threads);
  for (TextInput& input : inputs) input = model->Prepared(input);
  const std::string recorded_as(task.recorded_as.empty() ? task.name : task.recorded_as);
  const RecordedAnswers answers = RecordAnswers(run.ModelFolder(), recorded_as, inputs, run.num_threads);
  if (answers.answers.empty()) return "";
  const std::string path = run.output + "/" + kAnswersFile;
  WriteRecordedAnswers(path, answers);
  const std::string revision =
      run.steps.store().Add(path, {.name = run.model.name + ".answers", .revision = {}, .kind = ArtefactKind::kData, .made_by = "publish"});
  fs::remove(path);  // the store has it
  return revision;
}

// Base and data as revisions of the store: what the model can be made from again.
Record RecordOf(StepRun& run, const ModelData& data) {
  const Store& store = run.steps.store();
  const std::optional<StepRecord> training = run.steps.Find(run.keys.at("train"));
  Record record = {
      .name = run.model.name, .revision = {}, .kind = ArtefactKind::kModel, .made_by = run.model.optimize.int8 ? "optimize" : "train"};
  for (const auto& [name, value] : TrainParameters(run.model)) record.parameters[name] = value;
  record.parameters["base"] = run.base.name.empty() ? BareName(run.model.base) : run.base.name;
  record.parameters["data.text"] = data.text_column;
  record.parameters["data.target"] = data.target_column;
  if (!data.text_pair_column.empty()) record.parameters["data.text_pair"] = data.text_pair_column;
  if (TaskOf(run.model).several_labels()) record.parameters["data.label_separator"] = data.label_separator;
  if (run.model.optimize.int8) record.parameters["optimize.int8"] = "true";
  record.seed = run.model.train.training.seed;
  const GitState git = GitStateOf(run.project.folder);
  record.git_commit = git.commit;
  record.git_dirty = git.dirty;
  record.duration_seconds = training ? training->seconds : 0;
  const auto add = [&](const std::string& role, const std::string& path, ArtefactKind kind) {
    return store.Add(path, {.name = run.model.name + "." + role, .revision = {}, .kind = kind, .made_by = "add"});
  };
  record.base = run.base.revision.empty() ? add("base", run.project.Path(run.model.base), ArtefactKind::kModel) : run.base.revision;
  for (const auto& [role, path] : {std::pair{"train", data.train}, {"validation", data.validation}, {"test", data.test}})
    if (!path.empty()) {
      record.data[role] = add(role, path, ArtefactKind::kData);
      record.parameters[std::string("data.") + role] = BareName(path);  // stands in the card
    }
  record.answers = AddAnswers(run, data);
  return record;
}

void ExecutePublish(StepRun& run) {
  std::string revision = run.steps.PublishedRevision(run.key);  // of an earlier time that comes back
  if (revision.empty()) {
    const ModelData data = run.Data();
    const std::string folder = run.output + "/model";
    fs::create_directories(folder);
    WritePublishedFolder({.config = run.model,
                          .data = data,
                          .trained = run.OutputOf("train") + "/model",
                          .model = run.ModelFolder(),
                          .evaluation = ReadPredictions(run.OutputOf("evaluate") + "/" + kPredictionsFile),
                          .test_source = BareName(data.test),
                          .findings = FindingsOf(run.ResultOf("check"))},
                         folder);
    revision = run.steps.store().Add(folder, RecordOf(run, data));
    RemoveAll(folder);  // the store has it
  }
  const bool moved = Aliases(run.steps.store()).Publish(run.model.name, revision);
  run.result = DumpJson(json({{"revision", revision}}));
  run.summary = fmt::format("{}@{} {} {}", run.model.name, revision.substr(0, 10), moved ? "is now" : "was already", kLatest);
}

}  // namespace

const StepKind kPublishStep = {
    "publish", "puts the model into the store as NAME@latest", false, [](const ModelConfig&) { return true; }, DescribePublish, ExecutePublish};

}  // namespace mlac
