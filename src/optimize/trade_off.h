#pragma once
// What an optimised model costs and gains beside the one it was made from: measured on this machine, in turns.
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "train/metrics.h"

namespace mlac {

struct LatencyRow {
  size_t num_tokens = 0;
  double before_p50_ms = 0, before_p99_ms = 0, after_p50_ms = 0, after_p99_ms = 0;
};

struct MetricChange {
  std::string data, metric;  // the file's own name; "accuracy", "macro_f1" or "weighted_f1"
  size_t num_examples = 0;
  PairedDifference difference;
};

struct EmbeddingChange {
  std::string data;
  size_t num_texts = 0;
  double mean_cosine = 0, lowest_cosine = 0;  // of each text's vector before and after
};

struct TradeOff {
  size_t bytes_before = 0, bytes_after = 0;  // of the folders
  std::vector<LatencyRow> latency;           // one sequence at a time
  size_t batch_size = 0, batch_length = 0;   // of throughput
  double before_texts_per_second = 0, after_texts_per_second = 0;
  std::optional<MetricChange> metric;        // of a classifier with labelled data
  std::optional<EmbeddingChange> embedding;  // of an encoder with texts
};

struct TradeOffOptions {
  std::string before, after;  // folders
  std::vector<size_t> lengths = {};  // tokens; none: 16 and 128, or as many as the model takes
  std::string data, text_column = {}, target_column = {};  // data: "" for none; columns: "" for those that the model was trained with
  std::string metric = "accuracy";
  std::optional<size_t> max_length;
  size_t num_threads = 1;
  std::function<void(const std::string& stage)> on_stage = nullptr;
};

// Throws what reading and evaluating throw; kInvalidArgument for a length that the model does not take and a metric that is not known.
TradeOff MeasureTradeOff(const TradeOffOptions& options);

// The table that `mlac optimize` prints, and optimization.json.
std::string TradeOffTable(const TradeOff& trade_off);
std::string TradeOffJson(const TradeOff& trade_off);

}  // namespace mlac
