#include "serve/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>
#include <tuple>
#include <utility>

#include "serve/process_metrics.h"
#include "serve/served_model.h"
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
const Buckets kScores = {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99};
constexpr size_t kMaxCountedLabels = 256;
const Buckets kTokens = {8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768};

// The names of the labels that are counted by name, and behind them that of all others.
std::vector<std::string> CountedLabels(const ServedModel& model) {
  std::vector<std::string> labels = model.label_names();
  if (labels.size() <= kMaxCountedLabels) return labels;
  labels.resize(kMaxCountedLabels);
  labels.emplace_back("(other)");
  return labels;
}

class LabelCounters : public AnswerMetrics {
 public:
  LabelCounters(Counter& texts, Counter& truncated, ProblemType problem_type)
      : texts_(texts), truncated_(truncated), problem_type_(problem_type) {}
  // Of all labels at the start: a counter that is there from the beginning shows its first answer as a rise.
  void AddLabel(Counter& counter) { labels_.push_back(&counter); }
  void SetScores(size_t num_labels, Histogram& best_scores) {
    num_labels_ = num_labels;
    best_scores_ = &best_scores;
  }

  void CountTexts(size_t num_texts, size_t num_truncated) override {
    texts_.Increment(static_cast<double>(num_texts));
    if (num_truncated > 0) truncated_.Increment(static_cast<double>(num_truncated));
  }

  void CountLabels(std::span<const float> logits) override {
    if (best_scores_ == nullptr) return;
    for (; logits.size() >= num_labels_; logits = logits.subspan(num_labels_)) {
      const std::span<const float> row = logits.first(num_labels_);
      const size_t best = static_cast<size_t>(std::max_element(row.begin(), row.end()) - row.begin());
      best_scores_->Observe(BestScore(row, row[best]));
      if (problem_type_ != ProblemType::kMultiLabel) {
        Count(best);
        continue;
      }
      for (size_t i = 0; i < row.size(); ++i)
        if (row[i] >= 0) Count(i);  // the sigmoid of 0 is 0.5
    }
  }

 private:
  // The softmax or sigmoid of the largest logit.
  double BestScore(std::span<const float> row, float largest) const {
    if (problem_type_ == ProblemType::kMultiLabel) return 1 / (1 + std::exp(-static_cast<double>(largest)));
    double sum = 0;
    for (const float logit : row) sum += std::exp(static_cast<double>(logit - largest));
    return 1 / sum;
  }
  void Count(size_t label) { labels_[std::min(label, labels_.size() - 1)]->Increment(); }

  Counter &texts_, &truncated_;
  const ProblemType problem_type_;
  std::vector<Counter*> labels_;
  size_t num_labels_ = 0;
  Histogram* best_scores_ = nullptr;  // null: of a model that gives no labels
};

// The series that a request adds to, kept once they are found: to look them up makes a map of labels each time, which a refusal under overload would pay for.
struct AccessSeries {
  Histogram* duration;
  Counter* requests;
  Counter* failures;  // null where the status is none of an error
};

}  // namespace

struct ServeMetrics::Impl {
  std::shared_ptr<prometheus::Registry> registry = std::make_shared<prometheus::Registry>();

  Counter& NewCounter(const char* name, const char* help) { return BuildCounter().Name(name).Help(help).Register(*registry).Add({}); }
  Gauge& NewGauge(const char* name, const char* help) { return BuildGauge().Name(name).Help(help).Register(*registry).Add({}); }
  Histogram& NewHistogram(const char* name, const char* help, const Buckets& buckets) {
    return BuildHistogram().Name(name).Help(help).Register(*registry).Add({}, buckets);
  }

  AccessSeries SeriesOf(const HttpAccess& access);

  Family<Gauge>& info = BuildGauge().Name("mlac_info").Help("The version, and the models: 1 if it is served").Register(*registry);
  Family<Gauge>& revisions = BuildGauge().Name("mlac_model_revision").Help("1: the revision of the store that a model is").Register(*registry);
  Family<Counter>& moves =
      BuildCounter().Name("mlac_alias_moves_total").Help("Moves of an alias that is followed, by what came of them").Register(*registry);
  std::mutex mutex;                          // guards what follows
  std::map<std::string, Gauge*> revision_of;  // by model
  std::map<std::tuple<std::string, std::string, std::string, int>, AccessSeries, std::less<>> access_series;  // by route, model, method, status
  Family<Counter>& model_tokens = BuildCounter().Name("mlac_model_tokens_total").Help("Tokens that a model computed").Register(*registry);
  Family<Counter>& model_seconds =
      BuildCounter().Name("mlac_model_compute_seconds_total").Help("Time that a model computed, of all threads").Register(*registry);
  Family<Counter>& requests =
      BuildCounter().Name("mlac_http_requests_total").Help("Requests by route, status and model").Register(*registry);
  Family<Counter>& tls_failures = BuildCounter()
                                      .Name("mlac_tls_failures_total")
                                      .Help("Connections that did not come to a request, by what was wrong")
                                      .Register(*registry);
  Family<Counter>& texts = BuildCounter().Name("mlac_texts_total").Help("Texts that a model answered").Register(*registry);
  Family<Counter>& truncated = BuildCounter().Name("mlac_truncated_texts_total").Help("Texts of those that were cut").Register(*registry);
  Family<Counter>& predictions =
      BuildCounter().Name("mlac_predictions_total").Help("Texts that a model gave this label").Register(*registry);
  Family<Histogram>& best_scores = BuildHistogram().Name("mlac_prediction_score").Help("The best score of a text").Register(*registry);
  Family<Histogram>& durations =
      BuildHistogram().Name("mlac_http_request_duration_seconds").Help("From the whole head to the last byte of the answer").Register(*registry);
  Histogram& queue_time = NewHistogram("mlac_queue_time_seconds", "Time that a request waited for a worker", kSeconds);
  Histogram& compute_time = NewHistogram("mlac_compute_time_seconds", "Time of the batches that a request was part of", kSeconds);
  Histogram& tokenization_time = NewHistogram("mlac_tokenization_time_seconds", "Time to make tokens of a request", kSeconds);
  Histogram& batch_sequences = NewHistogram("mlac_batch_sequences", "Texts computed together", kPowersOfTwo);
  Histogram& batch_tokens = NewHistogram("mlac_batch_tokens", "Tokens computed together", kTokens);
  Counter& tokens = NewCounter("mlac_tokens_total", "Tokens computed");
  Counter& batch_seconds = NewCounter("mlac_batch_compute_seconds_total", "Time that was computed, of all threads");
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

std::unique_ptr<AnswerMetrics> ServeMetrics::OfAnswers(const std::string& model, const ServedModel& served) {
  const prometheus::Labels of_model = {{"model", model}};
  const bool gives_labels = served.is_classifier() && served.output_size() > 0 && served.problem_type() != ProblemType::kRegression &&
                            !Does(served, "text-ranking");
  auto counters = std::make_unique<LabelCounters>(impl_->texts.Add(of_model), impl_->truncated.Add(of_model), served.problem_type());
  if (!gives_labels) return counters;
  for (const std::string& label : CountedLabels(served)) counters->AddLabel(impl_->predictions.Add({{"model", model}, {"label", label}}));
  counters->SetScores(served.output_size(), impl_->best_scores.Add(of_model, kScores));
  return counters;
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

AccessSeries ServeMetrics::Impl::SeriesOf(const HttpAccess& access) {
  std::string_view model;
  for (const HttpField& note : access.notes)
    if (note.name == "model") model = note.value;  // at most one: the field x-model of the answer
  const std::lock_guard lock(mutex);
  if (const auto found = access_series.find(std::tuple(std::string_view(access.route), model, std::string_view(access.method), access.status));
      found != access_series.end())
    return found->second;

  prometheus::Labels labels = {{"route", access.route}};
  if (!model.empty()) labels.emplace("model", model);
  AccessSeries series = {.duration = &durations.Add(labels, kSeconds), .requests = nullptr, .failures = nullptr};
  labels.emplace("method", access.method);
  labels.emplace("status", std::to_string(access.status));
  series.requests = &requests.Add(labels);
  if (access.status >= 400)
    series.failures = &te_failure.Add({{"err", access.status == 429   ? "overloaded"
                                              : access.status == 499 ? "cancelled"
                                              : access.status >= 500 ? "backend"
                                                                     : "validation"}});
  access_series.emplace(std::tuple(access.route, std::string(model), access.method, access.status), series);
  return series;
}

void ServeMetrics::CountAccess(const HttpAccess& access) {
  const AccessSeries series = impl_->SeriesOf(access);
  series.duration->Observe(access.duration_ms / 1000);
  series.requests->Increment();
  if (series.failures != nullptr) series.failures->Increment();
}

void ServeMetrics::CountTlsFailure(TlsFailure failure) { impl_->tls_failures.Add({{"reason", std::string(Name(failure))}}).Increment(); }

void ServeMetrics::CountBatch(const std::string& model, const BatchStats& stats) {
  impl_->model_tokens.Add({{"model", model}}).Increment(static_cast<double>(stats.num_tokens));
  impl_->model_seconds.Add({{"model", model}}).Increment(stats.busy_ms / 1000);
  impl_->batch_sequences.Observe(static_cast<double>(stats.num_sequences));
  impl_->batch_tokens.Observe(static_cast<double>(stats.num_tokens));
  impl_->te_batch_size.Observe(static_cast<double>(stats.num_sequences));
  impl_->te_batch_tokens.Observe(static_cast<double>(stats.num_tokens));
  impl_->tokens.Increment(static_cast<double>(stats.num_tokens));
  impl_->batch_seconds.Increment(stats.busy_ms / 1000);
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
  std::vector<prometheus::MetricFamily> families = impl_->registry->Collect();
  for (const ProcessMetric& metric : CollectProcessMetrics()) {
    prometheus::ClientMetric value;
    (metric.is_counter ? value.counter.value : value.gauge.value) = metric.value;
    families.push_back({.name = metric.name,
                        .help = metric.help,
                        .type = metric.is_counter ? prometheus::MetricType::Counter : prometheus::MetricType::Gauge,
                        .metric = {std::move(value)}});
  }
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace mlac
