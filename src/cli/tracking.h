#pragma once
// Where training is tracked: --track, and what MLflow's and OpenLineage's own clients read from the environment.
#include <optional>
#include <string>

#include "project/mlflow.h"
#include "project/openlineage.h"

namespace mlac {

class Command;

// --track URL.
void AddTrackOption(Command command, std::string& url);

// given, else MLFLOW_TRACKING_URI where that is a server's; with MLFLOW_TRACKING_TOKEN, MLFLOW_TRACKING_USERNAME and _PASSWORD and
// MLFLOW_EXPERIMENT_NAME. Nothing where nobody asked for it. Throws kInvalidArgument for a --track that is no URL and for a variable with a
// control character.
std::optional<MlflowOptions> ReadMlflowOptions(const std::string& given);
// OPENLINEAGE_URL, with OPENLINEAGE_ENDPOINT, OPENLINEAGE_API_KEY and OPENLINEAGE_NAMESPACE. Throws likewise.
std::optional<LineageOptions> ReadLineageOptions();

}  // namespace mlac
