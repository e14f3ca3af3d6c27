#pragma once
// Tells a collector of lineage what was made from what, as events of OpenLineage (https://openlineage.io/docs/spec/object-model). What is
// sent never holds up or fails who sends: it waits in an Outbox.
#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "http/client.h"
#include "http/outbox.h"

namespace mlac {

struct LineageOptions {
  std::string url;                          // of the collector
  std::string endpoint = "api/v1/lineage";  // behind it
  std::string token = {};                   // sent as a Bearer token
  std::string job_namespace = "default";    // of the jobs
  std::function<void(const std::string& warning)> on_warning = [](const std::string&) {};
  std::chrono::milliseconds pause{500};
};

struct LineageDataset {
  std::string space, name;  // "file" and "data/train.csv"
  std::string version;      // of its content, "" if that is not known
  bool operator==(const LineageDataset&) const = default;
};

struct LineageEvent {
  enum class Type { kStart, kComplete, kFail, kAbort };
  Type type = Type::kStart;
  std::string run;  // NewLineageRun(), the same for all events of a run
  std::string job;  // "topics.train"
  std::vector<LineageDataset> inputs, outputs;
  std::string message = {};  // of kFail
};

class LineageEvents {
 public:
  // Throws kInvalidArgument for a URL that is none.
  explicit LineageEvents(LineageOptions options);
  void Send(const LineageEvent& event);
  // Waits for the collector, at most patience and one request.
  void Finish(std::chrono::milliseconds patience) { outbox_.Finish(patience); }

 private:
  const LineageOptions options_;
  HttpClient client_;
  Outbox outbox_;
};

// A UUID of version 4.
std::string NewLineageRun();
// The event as JSON; time: as TimeNow() gives it.
std::string LineageJson(const LineageEvent& event, const std::string& job_namespace, const std::string& time);

}  // namespace mlac
