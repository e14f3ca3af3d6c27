#include "project/predictions.h"

#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"

namespace mlac {

using nlohmann::json;

namespace {

constexpr size_t kMostBytes = size_t{1} << 30;

}  // namespace

void WritePredictions(const std::string& path, const TaskEvaluation& evaluation) {
  const json out = {{"format_version", 1},
                    {"labels", evaluation.metrics.label_names},
                    {"num_unknown", evaluation.num_unknown},
                    {"loss", evaluation.metrics.loss ? json(*evaluation.metrics.loss) : json(nullptr)},
                    {"truth", evaluation.truth},
                    {"predicted", evaluation.predicted}};
  WriteFileAtomically(path, out.dump() + "\n");
}

TaskEvaluation ReadPredictions(const std::string& path) {
  try {
    const json value = ReadJsonFile(path, kMostBytes);
    TaskEvaluation evaluation;
    evaluation.truth = value.at("truth").get<std::vector<int32_t>>();
    evaluation.predicted = value.at("predicted").get<std::vector<int32_t>>();
    evaluation.num_unknown = value.at("num_unknown");
    evaluation.metrics = ComputeMetrics(evaluation.truth, evaluation.predicted, {}, value.at("labels").get<std::vector<std::string>>());
    if (value.at("loss").is_number()) evaluation.metrics.loss = value.at("loss").get<double>();
    return evaluation;
  } catch (const json::exception& error) {
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: is no file of predictions", path), error.what());
  }
}

PairedPredictions Pair(const TaskEvaluation& before, const TaskEvaluation& after) {
  if (before.truth.size() != after.truth.size())
    throw Error(ErrorCode::kInternal, fmt::format("{} predictions are compared with {}", before.truth.size(), after.truth.size()));
  PairedPredictions pair = {after.metrics.label_names, after.truth, {}, after.predicted};
  std::map<std::string, int32_t> ids;
  for (size_t i = 0; i < pair.labels.size(); ++i) ids.emplace(pair.labels[i], static_cast<int32_t>(i));
  for (const int32_t label : before.predicted) {
    const std::string& name = before.metrics.label_names[static_cast<size_t>(label)];
    const auto [entry, is_new] = ids.emplace(name, static_cast<int32_t>(pair.labels.size()));
    if (is_new) pair.labels.push_back(name);
    pair.before.push_back(entry->second);
  }
  return pair;
}

}  // namespace mlac
