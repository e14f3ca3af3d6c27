#include "cli/tracking.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "base/error.h"
#include "cli/command.h"
#include "cli/terminal.h"
#include "http/client.h"

namespace mlac {
namespace {

// Of a variable of the environment. Throws kInvalidArgument for one that would end a line of a request; its value may be a secret.
std::string FromEnvironment(const char* name) {
  const char* given = std::getenv(name);
  const std::string value = given == nullptr ? "" : given;
  if (std::any_of(value.begin(), value.end(), [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; }))
    throw Error(ErrorCode::kInvalidArgument, fmt::format("{}: its value holds a control character", name),
                "perhaps a line break at its end");
  return value;
}

void Warn(const std::string& warning) {
  fmt::print(stderr, "{}\n", Colored(Stream::kError, Color::kYellow, fmt::format("warning: {}; training is not held up by it", warning)));
}

}  // namespace

void AddTrackOption(Command command, std::string& url) {
  command.AddOption("--track", url, "Log the run to this MLflow server; else to that of MLFLOW_TRACKING_URI, if it is set").Type("URL");
}

std::optional<MlflowOptions> ReadMlflowOptions(const std::string& given) {
  std::string url = given;
  if (url.empty()) url = FromEnvironment("MLFLOW_TRACKING_URI");
  if (url.empty()) return std::nullopt;
  if (given.empty() && !url.starts_with("http://") && !url.starts_with("https://")) {
    Warn("MLFLOW_TRACKING_URI names no server (http:// or https://), so the run is not tracked");
    return std::nullopt;
  }
  ParseUrl(url, given.empty() ? "MLFLOW_TRACKING_URI" : "--track");
  MlflowOptions options = {.url = url,
                           .token = FromEnvironment("MLFLOW_TRACKING_TOKEN"),
                           .user = FromEnvironment("MLFLOW_TRACKING_USERNAME"),
                           .password = FromEnvironment("MLFLOW_TRACKING_PASSWORD"),
                           .on_warning = Warn};
  if (const std::string experiment = FromEnvironment("MLFLOW_EXPERIMENT_NAME"); !experiment.empty()) options.experiment = experiment;
  return options;
}

std::optional<LineageOptions> ReadLineageOptions() {
  const std::string url = FromEnvironment("OPENLINEAGE_URL");
  if (url.empty()) return std::nullopt;
  ParseUrl(url, "OPENLINEAGE_URL");
  LineageOptions options = {.url = url, .token = FromEnvironment("OPENLINEAGE_API_KEY"), .on_warning = Warn};
  if (const std::string endpoint = FromEnvironment("OPENLINEAGE_ENDPOINT"); !endpoint.empty())
    options.endpoint = endpoint.substr(std::min(endpoint.find_first_not_of('/'), endpoint.size()));
  if (const std::string space = FromEnvironment("OPENLINEAGE_NAMESPACE"); !space.empty()) options.job_namespace = space;
  return options;
}

}  // namespace mlac
