#pragma once
// What /metrics shows, in Prometheus' text format: mlac_* by route and status, and the te_* names of text-embeddings-inference, so that
// dashboards made for it go on working.
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "http/server.h"
#include "serve/batch_queue.h"

namespace mlac {

// One request that a model answered.
struct InferenceStats {
  bool is_batch = false;  // several inputs
  size_t num_tokens = 0;
  double total_ms = 0, tokenization_ms = 0, queue_ms = 0, compute_ms = 0;
};

// Safe to use from several threads.
class ServeMetrics {
 public:
  ServeMetrics();
  ~ServeMetrics();

  // Whether a model is served under this name.
  void SetModel(const std::string& model, bool served);
  // Which revision of the store that is, "" for none.
  void SetRevision(const std::string& model, const std::string& revision);
  // An alias that is followed moved: its model took the place of the one before, or was refused and that one stayed.
  void CountMove(const std::string& model, bool refused);
  void CountAccess(const HttpAccess& access);
  void CountBatch(const std::string& model, const BatchStats& stats);
  void CountInference(const InferenceStats& stats);
  void CountInput(size_t num_tokens);  // of one text

  // What a gauge shows is asked when /metrics is.
  struct Gauges {
    size_t requests_in_flight = 0, sequences_waiting = 0, connections = 0;
    uint64_t spans_sent = 0, spans_lost = 0;  // of SpanExporter
  };
  std::string Render(const Gauges& gauges) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mlac
