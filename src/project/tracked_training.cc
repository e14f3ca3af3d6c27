#include "project/tracked_training.h"

#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/build_info.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "hub/record.h"
#include "train/report_card.h"

namespace mlac {
namespace {

std::string NameOfFile(const std::string& path) {
  const std::filesystem::path normal = std::filesystem::path(path).lexically_normal();
  return (normal.has_filename() ? normal : normal.parent_path()).filename().string();
}

// Those of training.json.
void LogDatasets(MlflowRun& run, const std::string& folder) {
  if (!FileExists(folder + "/" + kTrainingFile)) return;
  const nlohmann::json training = ReadJsonFile(folder + "/" + kTrainingFile);
  for (const nlohmann::json& part : training.at("data")) {
    const std::string name = part.at("name");
    run.LogDataset(name == "train" ? "training" : name == "test" ? "testing" : name, part.at("source"), part.value("sha256", ""));
  }
}

}  // namespace

MlflowRun::Pairs ParametersOfRun(const std::string& task, const FineTuneOptions& options) {
  const TrainingOptions& t = options.training;
  MlflowRun::Pairs parameters = {{"task", task},
                                 {"base", NameOfFile(options.model)},
                                 {"data.train", NameOfFile(options.data)},
                                 {"epochs", fmt::format("{}", t.num_epochs)},
                                 {"lr", fmt::format("{}", t.learning_rate)},
                                 {"batch_size", fmt::format("{}", t.batch_size)},
                                 {"warmup", fmt::format("{}", t.warmup)},
                                 {"weight_decay", fmt::format("{}", t.weight_decay)},
                                 {"max_grad_norm", fmt::format("{}", t.max_grad_norm)},
                                 {"patience", fmt::format("{}", t.patience)},
                                 {"seed", fmt::format("{}", t.seed)},
                                 {"freeze", fmt::format("{}", t.freeze)},
                                 {"max_length", options.max_length ? fmt::format("{}", *options.max_length) : "of the model"},
                                 {"validation_split", options.validation.empty() ? fmt::format("{}", options.validation_split) : "a file"}};
  if (options.sequence.problem_type != ProblemType::kSingleLabel)
    parameters.emplace_back("problem_type",
                            options.sequence.problem_type == ProblemType::kMultiLabel ? "multi_label_classification" : "regression");
  if (options.lora.rank > 0) parameters.emplace_back("lora.rank", fmt::format("{}", options.lora.rank));
  if (t.dtype == DType::kBF16) parameters.emplace_back("dtype", "bf16");
  return parameters;
}

MlflowRun::Pairs TagsOfRun(const std::string& source, const std::string& folder) {
  const std::string who = Who();
  MlflowRun::Pairs tags = {{"mlflow.source.name", source},
                           {"mlflow.source.type", "LOCAL"},
                           {"mlflow.user", who.substr(0, who.find('@'))},
                           {"mlac.version", std::string(GetBuildInfo().version)}};
  if (const GitState git = GitStateOf(folder); !git.commit.empty()) {
    tags.emplace_back("mlflow.source.git.commit", git.commit);
    tags.emplace_back("mlac.git_dirty", git.dirty ? "true" : "false");
  }
  return tags;
}

void LogReports(MlflowRun& run, const std::string& folder) {
  for (const char* name : {kModelCardFile, kMetricsFile, kTrainingFile, kLearningCurvesFile, kConfusionMatrixFile})
    if (FileExists(folder + "/" + name)) run.LogFile(folder + "/" + name);
}

void LogResult(MlflowRun& run, const FineTuneResult& result, const std::string& folder, size_t last_step) {
  for (const Figure& figure : result.figures.figures) run.LogMetric(result.evaluated_on + "_" + figure.name, figure.value, last_step);
  if (result.figures.loss) run.LogMetric(result.evaluated_on + "_loss", *result.figures.loss, last_step);
  try {
    LogDatasets(run, folder);
  } catch (const Error&) {  // gone, or no JSON
  } catch (const nlohmann::json::exception&) {
  }
  LogReports(run, folder);
}

}  // namespace mlac
