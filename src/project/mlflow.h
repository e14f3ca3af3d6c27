#pragma once
// A run on an MLflow server, through its REST API 2.0 (https://mlflow.org/docs/latest/rest-api.html). What is logged never holds up or
// fails who logs: it waits in an Outbox.
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "http/outbox.h"

namespace mlac {

struct MlflowOptions {
  std::string url;                       // "https://USER:PASSWORD@HOST/PATH"
  std::string token = {};                // sent as a Bearer token, before user and password
  std::string user = {}, password = {};  // where the URL has none
  std::string experiment = "mlac";       // made if it is not there
  std::function<void(const std::string& warning)> on_warning = [](const std::string&) {};  // once a run, from another thread
  std::chrono::milliseconds pause{500};                                                    // behind a first try, as in OutboxOptions
  std::chrono::milliseconds patience{10'000};                                              // at the end
};

// For one thread.
class MlflowRun {
 public:
  using Pairs = std::vector<std::pair<std::string, std::string>>;
  enum class Status { kFinished, kFailed, kKilled };

  // Throws kInvalidArgument for a URL that is none; what the server says becomes a warning.
  MlflowRun(const MlflowOptions& options, std::string name, Pairs parameters, Pairs tags);
  ~MlflowRun();  // kFailed, unless it was finished
  MlflowRun(const MlflowRun&) = delete;
  MlflowRun& operator=(const MlflowRun&) = delete;

  // Sent together with others, after some seconds or by Flush. One that is not finite is left out.
  void LogMetric(const std::string& name, double value, size_t step);
  void Flush();
  void LogTags(Pairs tags);
  // A data set that went in. context: "training", "validation", "testing". digest: of its content, the first 32 characters are sent.
  void LogDataset(const std::string& context, const std::string& name, const std::string& digest);
  // A file of some kilobytes, under its own name. Where the server keeps artefacts elsewhere and takes none itself, it is left out.
  void LogFile(const std::string& path);
  // Nothing is logged behind it. Waits for the server, at most patience and one request.
  void Finish(Status status);

  // Where to look at it: "http://127.0.0.1:5000/#/experiments/1/runs/0123"; "" unless it was made and all that was logged was taken.
  std::string Page() const;

 private:
  struct Metric;
  struct Session;

  void Post(std::function<void(Session&)> work);

  const MlflowOptions options_;
  std::shared_ptr<Session> session_;  // of the outbox's thread until Finish
  std::vector<Metric> metrics_;
  std::chrono::steady_clock::time_point last_flush_ = std::chrono::steady_clock::now();
  bool finished_ = false;
  std::unique_ptr<Outbox> outbox_;
};

}  // namespace mlac
