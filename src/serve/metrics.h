#pragma once
// What /metrics shows, in Prometheus' text format: mlac_* by route, status and model, process_* of the process, and the te_* names of
// text-embeddings-inference, so that dashboards made for it go on working.
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "http/server.h"
#include "serve/batch_queue.h"

namespace mlac {

class ServedModel;

// One request that a model answered.
struct InferenceStats {
  bool is_batch = false;  // several inputs
  size_t num_tokens = 0;
  double total_ms = 0, tokenization_ms = 0, queue_ms = 0, compute_ms = 0;
};

// What the answers of one model are like, which shows that the texts of today are not those that it learnt from. Counts without a look-up,
// since each request does. Safe to use from several threads; not after its ServeMetrics.
class AnswerMetrics {
 public:
  virtual ~AnswerMetrics() = default;
  // Texts of a request, and how many of them were cut.
  virtual void CountTexts(size_t num_texts, size_t num_truncated) = 0;
  // logits: [texts, labels] of a classifier. Of each text the label with the best score is counted, or where a text may have several labels
  // each one with a score of 0.5 or more, and the best score. Nothing is counted of models that give a number or one score to rank by.
  virtual void CountLabels(std::span<const float> logits) = 0;
};

// Safe to use from several threads.
class ServeMetrics {
 public:
  ServeMetrics();
  ~ServeMetrics();

  // Whether a model is served under this name.
  void SetModel(const std::string& model, bool served);
  // What counts the answers of a model that is served under this name. Of a model with more than 256 labels those behind count as
  // "(other)".
  std::unique_ptr<AnswerMetrics> OfAnswers(const std::string& model, const ServedModel& served);
  // Which revision of the store that is, "" for none.
  void SetRevision(const std::string& model, const std::string& revision);
  // An alias that is followed moved: its model took the place of the one before, or was refused and that one stayed.
  void CountMove(const std::string& model, bool refused);
  void CountAccess(const HttpAccess& access);  // its note "model" says which one
  void CountTlsFailure(TlsFailure failure);
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
