#include "project/step.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "base/build_info.h"
#include "base/error.h"
#include "base/file.h"
#include "base/folder_contents.h"
#include "base/json.h"
#include "models/registry.h"
#include "project/train_keys.h"
#include "train/report_card.h"

namespace mlac {
namespace {

namespace fs = std::filesystem;

// The one line that a new kind needs.
constexpr std::array<const StepKind*, 11> kKinds = {&kJoinStep,     &kFilterStep,   &kDedupeStep, &kSplitStep, &kCheckStep,  &kTrainStep,
                                                    &kOptimizeStep, &kEvaluateStep, &kTestStep,   &kGateStep,  &kPublishStep};

// The steps that change train, in the order in which they run.
constexpr std::string_view kDataSteps[] = {"join", "filter", "dedupe", "split"};

std::string OwnName(const std::string& path) {
  const fs::path normal = fs::path(path).lexically_normal();
  return (normal.has_filename() ? normal : normal.parent_path()).filename().string();
}

}  // namespace

std::span<const StepKind* const> AllStepKinds() { return kKinds; }

const std::string& Contents::Hash(const std::string& path) {
  const auto [entry, is_new] = hashes_.try_emplace(path);
  if (!is_new) return entry->second;
  try {
    const Manifest manifest = store_ != nullptr ? store_->ScanSource(path) : Scan(path);
    entry->second = FolderExists(path) ? manifest.Revision() : manifest.entries().front().sha256;
  } catch (...) {
    hashes_.erase(entry);
    throw;
  }
  return entry->second;
}

void StepScope::Refuse(const Error& error, const std::string& key) const {
  throw Error(error.code(),
              fmt::format("{} line {}: models.{}.{}: {}", OwnName(project.file), model.LineOf(key), model.name, key, error.message()),
              error.hint());
}

StepInput StepScope::Step(std::string_view step) const {
  return {std::string(step), StepInput::Kind::kStep, keys.at(std::string(step)), std::string(step)};
}

StepInput StepScope::File(const std::string& key, const std::string& path) const {
  try {
    // The own name of a file stands in the card, the folder above it nowhere.
    return {key, StepInput::Kind::kFile, contents.Hash(project.Path(path)) + " " + OwnName(path), path};
  } catch (const Error& error) {
    Refuse(error, key);
  }
}

StepInput StepScope::Base() const {
  if (!base.model.empty()) return {"base", StepInput::Kind::kModel, base.key + " " + base.name, base.model};
  if (!base.revision.empty()) return {"base", StepInput::Kind::kRevision, base.revision + " " + base.name, model.base};
  StepInput input = File("base", model.base);
  if (!FileExists(base.config_file))
    Refuse(Error(ErrorCode::kInvalidInput, fmt::format("{} is no model: there is no config.json in it", model.base),
                 "a folder in the Hugging Face layout"),
           "base");
  return input;
}

std::vector<StepInput> StepScope::TrainData() const {
  std::string_view last;
  for (const std::string_view step : kDataSteps)
    if (Has(step)) last = step;
  if (!last.empty()) return {Step(last)};
  std::vector<StepInput> inputs;
  for (size_t i = 0; i < model.data.train.size(); ++i)
    inputs.push_back(File(model.data.train.size() == 1 ? "data.train" : fmt::format("data.train[{}]", i), model.data.train[i]));
  return inputs;
}

std::vector<StepInput> StepScope::TestData() const {
  if (Has("split")) return {Step("split")};
  return {File("data.test", model.data.test)};
}

std::vector<StepInput> StepScope::Columns() const {
  std::vector<StepInput> columns = {Parameter("data.text", model.data.text_column), Parameter("data.target", model.data.target_column)};
  if (!model.data.text_pair_column.empty()) columns.push_back(Parameter("data.text_pair", model.data.text_pair_column));
  if (TaskOf(model).several_labels()) columns.push_back(Parameter("data.label_separator", model.data.label_separator));
  return columns;
}

size_t StepScope::MaxTokens() const {
  if (!FileExists(base.config_file)) return 0;
  try {
    return mlac::MaxTokens(ReadJsonFile(base.config_file), base.config_file);
  } catch (const Error& error) {
    Refuse(error, "base");
  }
}

StepInput StepScope::Model() const { return Step(Has("optimize") ? "optimize" : "train"); }

std::string StepRun::OutputOf(std::string_view step) const { return steps.OutputFolder(keys.at(std::string(step))); }

std::string StepRun::ResultOf(std::string_view step) const {
  const std::optional<StepRecord> record = steps.Find(keys.at(std::string(step)));
  if (!record) throw Error(ErrorCode::kInternal, fmt::format("the step '{}' of {} has no result", step, model.name));
  return record->result;
}

ModelData StepRun::Data() const {
  ModelData data = DataOf(project, model);
  for (const std::string_view step : kDataSteps)
    if (Has(step)) data.train = OutputOf(step) + "/" + PreparedFile(model, "train");
  if (Has("split")) data.test = OutputOf("split") + "/" + PreparedFile(model, "test");
  return data;
}

ModelData ColumnsOf(const ModelConfig& model) {
  return {.train = {},
          .validation = {},
          .test = {},
          .text_column = model.data.text_column,
          .target_column = model.data.target_column,
          .text_pair_column = model.data.text_pair_column,
          .label_separator = model.data.label_separator};
}

ModelData DataOf(const ProjectConfig& project, const ModelConfig& model) {
  ModelData data = ColumnsOf(model);
  data.train = project.Path(model.data.train.front());
  if (!model.data.validation.empty()) data.validation = project.Path(model.data.validation);
  if (!model.data.test.empty()) data.test = project.Path(model.data.test);
  return data;
}

std::string PreparedFile(const ModelConfig& model, std::string_view part) { return fmt::format("{}{}", part, TaskOf(model).extension); }

std::string StepRun::ModelFolder() const { return OutputOf(Has("optimize") ? "optimize" : "train") + "/model"; }

std::vector<std::pair<std::string, std::string>> TrainParameters(const ModelConfig& model) {
  std::vector<std::pair<std::string, std::string>> parameters = {{"task", model.task}};
  for (auto& [name, value] : TrainKeyValues(model.train))
    if (name != "validation_split" || model.data.validation.empty()) parameters.emplace_back("train." + name, std::move(value));
  return parameters;
}

std::string HeadlineJson(const Figures& figures, const std::string& evaluated_on) {
  nlohmann::json out = {{"num_examples", figures.num_examples}};
  for (size_t i = 0; i < std::min<size_t>(figures.figures.size(), 2); ++i) out[figures.figures[i].name] = figures.figures[i].value;
  if (!evaluated_on.empty()) out["evaluated_on"] = evaluated_on;
  return DumpJson(out);
}

uint64_t ModelBytes(const std::string& folder) {
  static const std::set<std::string> kReports = {kModelCardFile,       kMetricsFile,  kLearningCurvesFile,
                                                 kConfusionMatrixFile, kTrainingFile, "optimization.json"};
  uint64_t bytes = 0;
  for (const FolderEntry& entry : EntriesIn(folder))
    if (!kReports.contains(OwnName(entry.path))) bytes += entry.size;
  return bytes;
}

}  // namespace mlac
