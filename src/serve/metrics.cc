#include "serve/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <map>
#include <mutex>
#include <utility>

#include "version.h"

namespace mlac {
namespace {

using prometheus::BuildCounter;
using prometheus::BuildGauge;
using prometheus::BuildHistogram;
using prometheus::Counter;
using prometheus::Family;
using prometheus::Gauge;
using prometheus::Histogram;
using Buckets = Histogram::BucketBoundaries;

const Buckets kSeconds = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30};
const Buckets kPowersOfTwo = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048};
const Buckets kTokens = {8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768};

}  // namespace

struct ServeMetrics::Impl {
  std::shared_ptr<prometheus::Registry> registry = std::make_shared<prometheus::Registry>();

  Counter& NewCounter(const char* name, const char* help) { return BuildCounter().Name(name).Help(help).Register(*registry).Add({}); }
  Gauge& NewGauge(const char* name, const char* help) { return BuildGauge().Name(name).Help(help).Register(*registry).Add({}); }
  Histogram& NewHistogram(const char* name, const char* help, const Buckets& buckets) {
    return BuildHistogram().Name(name).Help(help).Register(*registry).Add({}, buckets);
  }

  Family<Gauge>& info = BuildGauge().Name("mlac_info").Help("The version, and the models: 1 if it is served").Register(*registry);
  Family<Gauge>& revisions = BuildGauge().Name("mlac_model_revision").Help("1: the revision of the store that a model is").Register(*registry);
  Family<Counter>& moves =
      BuildCounter().Name("mlac_alias_moves_total").Help("Moves of an alias that is followed, by what came of them").Register(*registry);
  std::mutex mutex;                          // guards what follows
  std::map<std::string, Gauge*> revision_of;  // by model
  Family<Counter>& model_tokens = BuildCounter().Name("mlac_model_tokens_total").Help("Tokens that a model computed").Register(*registry);
  Family<Counter>& model_seconds =
      BuildCounter().Name("mlac_model_compute_seconds_total").Help("Time that a model computed").Register(*registry);
  Family<Counter>& requests = BuildCounter().Name("mlac_http_requests_total").Help("Requests by route and status").Register(*registry);
  Family<Histogram>& durations =
      BuildHistogram().Name("mlac_http_request_duration_seconds").Help("From the whole head to the last byte of the answer").Register(*registry);
  Histogram& queue_time = NewHistogram("mlac_queue_time_seconds", "Time that a request waited for a worker", kSeconds);
  Histogram& compute_time = NewHistogram("mlac_compute_time_seconds", "Time of the batches that a request was part of", kSeconds);
  Histogram& tokenization_time = NewHistogram("mlac_tokenization_time_seconds", "Time to make tokens of a request", kSeconds);
  Histogram& batch_sequences = NewHistogram("mlac_batch_sequences", "Texts computed together", kPowersOfTwo);
  Histogram& batch_tokens = NewHistogram("mlac_batch_tokens", "Tokens computed together", kTokens);
  Counter& tokens = NewCounter("mlac_tokens_total", "Tokens computed");
  Counter& batch_seconds = NewCounter("mlac_batch_compute_seconds_total", "Time that workers computed");
  Gauge& in_flight = NewGauge("mlac_requests_in_flight", "Requests to the model that are not answered yet");
  Gauge& waiting = NewGauge("mlac_sequences_waiting", "Texts that wait for a worker");
  Gauge& spans_sent = NewGauge("mlac_spans_sent", "Spans that the collector took");
  Gauge& spans_lost = NewGauge("mlac_spans_lost", "Spans that the collector did not take, or that came while too many waited");
  Gauge& connections = NewGauge("mlac_connections", "Open connections");

  // The names of text-embeddings-inference.
  Family<Counter>& te_count = BuildCounter().Name("te_request_count").Help("Requests to the model").Register(*registry);
  Family<Counter>& te_success = BuildCounter().Name("te_request_success").Help("Requests that the model answered").Register(*registry);
  Counter& te_single = te_count.Add({{"method", "single"}});
  Counter& te_batch = te_count.Add({{"method", "batch"}});
  Counter& te_single_success = te_success.Add({{"method", "single"}});
  Counter& te_batch_success = te_success.Add({{"method", "batch"}});
  Family<Counter>& te_failure = BuildCounter().Name("te_request_failure").Help("Requests that were refused or failed").Register(*registry);
  Histogram& te_duration = NewHistogram("te_request_duration", "Seconds", kSeconds);
  Histogram& te_tokenization = NewHistogram("te_request_tokenization_duration", "Seconds", kSeconds);
  Histogram& te_queue = NewHistogram("te_request_queue_duration", "Seconds", kSeconds);
  Histogram& te_inference = NewHistogram("te_request_inference_duration", "Seconds", kSeconds);
  Histogram& te_input_length = NewHistogram("te_request_input_length", "Tokens of a text", kTokens);
  Histogram& te_batch_size = NewHistogram("te_batch_next_size", "Texts computed together", kPowersOfTwo);
  Histogram& te_batch_tokens = NewHistogram("te_batch_next_tokens", "Tokens computed together", kTokens);
  Gauge& te_queue_size = NewGauge("te_queue_size", "Texts that wait for a worker");
};

ServeMetrics::ServeMetrics() : impl_(std::make_unique<Impl>()) {}

ServeMetrics::~ServeMetrics() = default;

void ServeMetrics::SetModel(const std::string& model, bool served) {
  impl_->info.Add({{"version", kMlacVersion}, {"model", model}}).Set(served ? 1 : 0);
}

void ServeMetrics::SetRevision(const std::string& model, const std::string& revision) {
  const std::lock_guard lock(impl_->mutex);
  Gauge*& gauge = impl_->revision_of[model];
  if (gauge != nullptr) impl_->revisions.Remove(std::exchange(gauge, nullptr));  // a series a revision for ever would be too many
  if (!revision.empty()) gauge = &impl_->revisions.Add({{"model", model}, {"revision", revision}}, 1);
}

void ServeMetrics::CountMove(const std::string& model, bool refused) {
  impl_->moves.Add({{"model", model}, {"outcome", refused ? "refused" : "swapped"}}).Increment();
}

void ServeMetrics::CountAccess(const HttpAccess& access) {
  impl_->requests.Add({{"method", access.method}, {"route", access.route}, {"status", std::to_string(access.status)}}).Increment();
  impl_->durations.Add({{"route", access.route}}, kSeconds).Observe(access.duration_ms / 1000);
  if (access.status < 400) return;
  const char* kind = access.status == 429 ? "overloaded" : access.status == 499 ? "cancelled" : access.status >= 500 ? "backend" : "validation";
  impl_->te_failure.Add({{"err", kind}}).Increment();
}

void ServeMetrics::CountBatch(const std::string& model, const BatchStats& stats) {
  impl_->model_tokens.Add({{"model", model}}).Increment(static_cast<double>(stats.num_tokens));
  impl_->model_seconds.Add({{"model", model}}).Increment(stats.compute_ms / 1000);
  impl_->batch_sequences.Observe(static_cast<double>(stats.num_sequences));
  impl_->batch_tokens.Observe(static_cast<double>(stats.num_tokens));
  impl_->te_batch_size.Observe(static_cast<double>(stats.num_sequences));
  impl_->te_batch_tokens.Observe(static_cast<double>(stats.num_tokens));
  impl_->tokens.Increment(static_cast<double>(stats.num_tokens));
  impl_->batch_seconds.Increment(stats.compute_ms / 1000);
}

void ServeMetrics::CountInference(const InferenceStats& stats) {
  impl_->queue_time.Observe(stats.queue_ms / 1000);
  impl_->compute_time.Observe(stats.compute_ms / 1000);
  impl_->tokenization_time.Observe(stats.tokenization_ms / 1000);
  (stats.is_batch ? impl_->te_batch : impl_->te_single).Increment();
  (stats.is_batch ? impl_->te_batch_success : impl_->te_single_success).Increment();
  impl_->te_duration.Observe(stats.total_ms / 1000);
  impl_->te_tokenization.Observe(stats.tokenization_ms / 1000);
  impl_->te_queue.Observe(stats.queue_ms / 1000);
  impl_->te_inference.Observe(stats.compute_ms / 1000);
}

void ServeMetrics::CountInput(size_t num_tokens) { impl_->te_input_length.Observe(static_cast<double>(num_tokens)); }

std::string ServeMetrics::Render(const Gauges& gauges) const {
  impl_->in_flight.Set(static_cast<double>(gauges.requests_in_flight));
  impl_->waiting.Set(static_cast<double>(gauges.sequences_waiting));
  impl_->te_queue_size.Set(static_cast<double>(gauges.sequences_waiting));
  impl_->spans_sent.Set(static_cast<double>(gauges.spans_sent));
  impl_->spans_lost.Set(static_cast<double>(gauges.spans_lost));
  impl_->connections.Set(static_cast<double>(gauges.connections));
  return prometheus::TextSerializer().Serialize(impl_->registry->Collect());
}

}  // namespace mlac
