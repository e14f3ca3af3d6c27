#pragma once
// Sends a span for each request to a collector, as OpenTelemetry's protocol over HTTP in JSON (OTLP 1.x,
// https://opentelemetry.io/docs/specs/otlp/, section "OTLP/HTTP"; fields of opentelemetry/proto/trace/v1/trace.proto).
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "http/client.h"
#include "http/server.h"

namespace mlac {

// Requests never wait for it: a span is put into a queue that holds kMaxWaiting and is lost where that is full, or the collector does not
// take it within 5 s. Safe to use from several threads.
class SpanExporter {
 public:
  static constexpr size_t kMaxWaiting = 4096, kMaxBatch = 512;

  // endpoint: "http://HOST:PORT" or https, whose path becomes /v1/traces, or with a path of its own. Throws kInvalidArgument for anything
  // else.
  explicit SpanExporter(const std::string& endpoint);
  ~SpanExporter();  // tries once to send what waits
  SpanExporter(const SpanExporter&) = delete;
  SpanExporter& operator=(const SpanExporter&) = delete;

  // A request whose client does not record its trace is left out.
  void Add(const HttpAccess& access) noexcept;

  uint64_t num_sent() const { return num_sent_; }
  uint64_t num_lost() const { return num_lost_; }

 private:
  void Work();
  bool Post(const std::string& body) const;

  const HttpClient client_;
  const std::string path_;  // behind the client's
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<HttpAccess> waiting_;
  bool stopping_ = false;
  std::atomic<uint64_t> num_sent_ = 0, num_lost_ = 0;
  std::thread thread_;
};

// The body of one request to the collector: a trace id is the client's, or made from nothing; every span has an id of its own.
std::string FormatSpans(const std::vector<HttpAccess>& accesses);

}  // namespace mlac
