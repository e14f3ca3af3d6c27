#include "project/mlflow.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/display.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "http/client.h"

namespace mlac {
namespace {

using Clock = std::chrono::steady_clock;
using nlohmann::json;

// What the server takes in one log-batch, and of a value (mlflow/utils/validation.py).
constexpr size_t kMetricsAtOnce = 1000, kPairsAtOnce = 100, kLongestValue = 500;
constexpr std::chrono::seconds kBetweenFlushes{5};
constexpr size_t kLargestFile = size_t{16} << 20;

int64_t Now() { return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count(); }

// A name as the server takes it.
std::string NameFor(std::string_view name) {
  constexpr std::string_view kPlain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-. /";
  std::string out;
  for (const char c : name.substr(0, 250)) out += kPlain.find(c) == std::string_view::npos ? '_' : c;
  return out;
}

json PairList(const MlflowRun::Pairs& pairs) {
  json list = json::array();
  for (const auto& [name, value] : pairs) list.push_back({{"key", NameFor(name)}, {"value", value.substr(0, kLongestValue)}});
  return list;
}

// A path of the server's, part by part.
std::string EncodedPath(std::string_view path) {
  std::string out;
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    if (begin > 0) out += '/';
    out += PercentEncoded(path.substr(begin, end - begin));
    begin = end + 1;
  }
  return out;
}

}  // namespace

struct MlflowRun::Metric {
  std::string name;
  double value;
  size_t step;
  int64_t time;
};

// What was agreed with the server.
struct MlflowRun::Session {
  HttpClient client;
  std::string experiment, name;
  Pairs parameters, tags;
  int64_t start = Now();
  std::string experiment_id = {}, run_id = {}, artifact_uri = {};

  // Throws kIo for what may go better the next time, kInvalidInput for what the server refuses.
  json Ask(std::string_view method, const std::string& path, const json& body = nullptr, const std::vector<int>& also_good = {}) {
    const HttpAnswer answer =
        client.Send(method, "/api/2.0/mlflow/" + path, body.is_null() ? "" : DumpJson(body), body.is_null() ? "" : "application/json");
    const json parsed = ParseJsonOrDiscard(answer.body);
    if (answer.status / 100 == 2 && (parsed.is_object() || answer.body.empty())) return parsed.is_object() ? parsed : json::object();
    if (std::find(also_good.begin(), also_good.end(), answer.status) != also_good.end()) return nullptr;
    Refuse(answer, path.substr(0, path.find('?')));
  }

  [[noreturn]] void Refuse(const HttpAnswer& answer, const std::string& path) const {
    const json parsed = ParseJsonOrDiscard(answer.body);
    std::string why = answer.status / 100 == 2 ? "an answer that is none of MLflow" : fmt::format("HTTP {}", answer.status);
    if (parsed.is_object() && parsed.contains("message") && parsed["message"].is_string())
      why += ": " + Printable(parsed["message"].get<std::string>(), 200);
    throw Error(answer.status == 429 || answer.status >= 500 ? ErrorCode::kIo : ErrorCode::kInvalidInput, fmt::format("{}: {}", path, why));
  }

  // Makes experiment and run and logs the parameters, once each. What fails here is tried again by whatever is logged next.
  void Begin() {
    if (run_id.empty()) MakeRun();
    if (parameters.empty()) return;
    const Pairs all = std::exchange(parameters, {});
    try {
      LogPairs("params", all);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::kIo) parameters = all;  // what was refused once would be refused again, and all that follows with it
      throw;
    }
  }

  void MakeRun() {
    if (experiment_id.empty()) {
      const json found = Ask("GET", "experiments/get-by-name?experiment_name=" + PercentEncoded(experiment), nullptr, {404});
      experiment_id = found.is_null() ? Ask("POST", "experiments/create", {{"name", experiment}}).value("experiment_id", "")
                                      : found.value("/experiment/experiment_id"_json_pointer, "");
      if (experiment_id.empty()) throw Error(ErrorCode::kInvalidInput, "experiments: the answer names no experiment");
    }
    const json made =
        Ask("POST", "runs/create", {{"experiment_id", experiment_id}, {"start_time", start}, {"run_name", name}, {"tags", PairList(tags)}});
    run_id = made.value("/run/info/run_id"_json_pointer, "");
    artifact_uri = made.value("/run/info/artifact_uri"_json_pointer, "");
    if (run_id.empty()) throw Error(ErrorCode::kInvalidInput, "runs/create: the answer names no run");
  }

  void LogPairs(const char* what, const Pairs& pairs) {
    for (size_t begin = 0; begin < pairs.size(); begin += kPairsAtOnce) {
      const Pairs some(pairs.begin() + static_cast<ptrdiff_t>(begin),
                       pairs.begin() + static_cast<ptrdiff_t>(std::min(pairs.size(), begin + kPairsAtOnce)));
      Ask("POST", "runs/log-batch", {{"run_id", run_id}, {what, PairList(some)}});
    }
  }
};

MlflowRun::MlflowRun(const MlflowOptions& options, std::string name, Pairs parameters, Pairs tags) : options_(options) {
  HttpUrl url = ParseUrl(options.url, "tracking");
  HttpClientOptions client;
  if (!options.token.empty()) {
    client.fields.push_back({"authorization", "Bearer " + options.token});
  } else if (url.user.empty() && !options.user.empty()) {
    client.fields.push_back({"authorization", BasicAuthorization(options.user, options.password)});
  }
  session_ = std::make_shared<Session>(Session{.client = HttpClient(std::move(url), std::move(client)),
                                               .experiment = options.experiment,
                                               .name = std::move(name),
                                               .parameters = std::move(parameters),
                                               .tags = std::move(tags)});
  outbox_ = std::make_unique<Outbox>(
      OutboxOptions{.what = "tracking at " + ShownUrl(options.url), .on_warning = options.on_warning, .pause = options.pause});
  Post([](Session&) {});  // so that the run is there from the beginning
}

MlflowRun::~MlflowRun() {
  try {
    Finish(Status::kFailed);
  } catch (const std::exception&) {  // no memory to say it with: the server hears no more of the run
  }
}

void MlflowRun::Post(std::function<void(Session&)> work) {
  if (finished_) return;
  outbox_->Post([session = session_, work = std::move(work)] {
    session->Begin();
    work(*session);
  });
}

void MlflowRun::LogMetric(const std::string& name, double value, size_t step) {
  if (!std::isfinite(value)) return;
  metrics_.push_back({NameFor(name), value, step, Now()});
  if (metrics_.size() >= kMetricsAtOnce || Clock::now() - last_flush_ >= kBetweenFlushes) Flush();
}

void MlflowRun::Flush() {
  last_flush_ = Clock::now();
  if (metrics_.empty()) return;
  json list = json::array();
  for (const Metric& metric : metrics_)
    list.push_back({{"key", metric.name}, {"value", metric.value}, {"timestamp", metric.time}, {"step", metric.step}});
  metrics_.clear();
  Post([list = std::move(list)](Session& session) {
    session.Ask("POST", "runs/log-batch", {{"run_id", session.run_id}, {"metrics", list}});
  });
}

void MlflowRun::LogTags(Pairs tags) {
  Post([tags = std::move(tags)](Session& session) { session.LogPairs("tags", tags); });
}

void MlflowRun::LogDataset(const std::string& context, const std::string& name, const std::string& digest) {
  const json dataset = {{"name", name.substr(0, kLongestValue)},
                        {"digest", digest.substr(0, 32)},
                        {"source_type", "local"},
                        {"source", DumpJson(json({{"uri", name}}))}};
  const json tags = json::array({{{"key", "mlflow.data.context"}, {"value", context}}});
  Post([dataset, tags](Session& session) {
    session.Ask("POST", "runs/log-inputs",
                {{"run_id", session.run_id}, {"datasets", json::array({{{"tags", tags}, {"dataset", dataset}}})}});
  });
}

void MlflowRun::LogFile(const std::string& path) {
  std::string content;
  try {
    content = ReadFile(path, kLargestFile);
  } catch (const Error&) {  // too large, or gone: what is tracked is a copy
    return;
  }
  Post([name = std::filesystem::path(path).filename().string(), content = std::move(content)](Session& session) {
    constexpr std::string_view kProxied = "mlflow-artifacts:/";
    std::string_view place = session.artifact_uri;
    if (!place.starts_with(kProxied)) return;
    place.remove_prefix(kProxied.size());
    if (place.starts_with("/")) place = place.substr(std::min(place.find('/', 1), place.size()));  // "mlflow-artifacts://HOST/..."
    while (place.starts_with("/")) place.remove_prefix(1);
    const HttpAnswer answer =
        session.client.Send("PUT", fmt::format("/api/2.0/mlflow-artifacts/artifacts/{}/{}", EncodedPath(place), PercentEncoded(name)),
                            content, "application/octet-stream");
    if (answer.status / 100 != 2) session.Refuse(answer, "artifacts/" + name);
  });
}

void MlflowRun::Finish(Status status) {
  if (finished_) return;
  Flush();
  Post([status, end = Now()](Session& session) {
    constexpr const char* kNames[] = {"FINISHED", "FAILED", "KILLED"};  // by Status
    session.Ask("POST", "runs/update", {{"run_id", session.run_id}, {"status", kNames[static_cast<size_t>(status)]}, {"end_time", end}});
  });
  finished_ = true;
  outbox_->Finish(options_.patience);
}

std::string MlflowRun::Page() const {
  if (!finished_ || outbox_->num_lost() > 0 || session_->run_id.empty()) return "";
  std::string url = ShownUrl(options_.url);
  while (url.ends_with('/')) url.pop_back();
  return fmt::format("{}/#/experiments/{}/runs/{}", url, PercentEncoded(session_->experiment_id), PercentEncoded(session_->run_id));
}

}  // namespace mlac
