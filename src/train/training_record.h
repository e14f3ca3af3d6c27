#pragma once
// training.json: how a folder was trained. It stands beside the weights and, like them, depends on data, parameters and version alone.
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "train/trainer.h"

namespace mlac {

nlohmann::json EpochJson(const EpochReport& epoch);
EpochReport EpochFromJson(const nlohmann::json& json);  // throws nlohmann's exceptions

// format_version, identity (CheckpointOptions), best_epoch, epochs and the loss of each step.
std::string TrainingRecord(const std::map<std::string, std::string>& identity, const TrainingResult& result);

// What a record in `path` says, if it is one of a run with this identity; else, or if there is none, nothing.
std::optional<TrainingResult> FindTrainingRecord(const std::string& path, const std::map<std::string, std::string>& identity);

}  // namespace mlac
