#include "optimize/trade_off.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>

#include "base/display.h"
#include "base/error.h"
#include "base/folder_contents.h"
#include "base/json.h"
#include "data/texts.h"
#include "pipelines/text_model.h"
#include "train/fine_tune.h"

namespace mlac {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using nlohmann::ordered_json;

// Sequences of the given lengths, of ids that every vocabulary of that size has; what they say has no bearing on the time.
TokenBatch MakeBatch(size_t count, size_t length, size_t vocab_size) {
  TokenBatch batch;
  for (size_t s = 0; s < count; ++s) {
    for (size_t t = 0; t < length; ++t) batch.token_ids.push_back(static_cast<int32_t>((s * 7919 + t * 104729) % vocab_size));
    batch.token_type_ids.resize(batch.token_ids.size());
    batch.offsets.push_back(batch.token_ids.size());
  }
  return batch;
}

double MillisecondsOf(TextModel& model, const TokenBatch& batch) {
  const auto begin = Clock::now();
  if (model.model().head() == Head::kSequenceClassification) {
    model.Logits(batch);
  } else {
    model.Embed(batch);
  }
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

double Quantile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  return values[std::min(values.size() - 1, static_cast<size_t>(share * static_cast<double>(values.size())))];
}

size_t FolderBytes(const std::string& folder) {
  size_t bytes = 0;
  for (const FolderEntry& entry : EntriesIn(folder)) bytes += entry.size;
  return bytes;
}

// 16 and 128 tokens, or as many as the model takes.
std::vector<size_t> DefaultLengths(size_t max_positions) {
  if (max_positions <= 16) return {max_positions};
  return {16, std::min<size_t>(max_positions, 128)};
}

void MeasureSpeed(TextModel& before, TextModel& after, const std::vector<size_t>& lengths, TradeOff& result) {
  constexpr size_t kWarmups = 3, kRuns = 100, kBatchSize = 32, kBatchRuns = 5;
  const size_t vocab_size = before.model().vocab_size();
  for (const size_t length : lengths) {
    const TokenBatch batch = MakeBatch(1, length, vocab_size);
    std::vector<double> times[2];
    for (size_t i = 0; i < kWarmups + kRuns; ++i) {  // in turns, so that what else the machine does meets both
      const double first = MillisecondsOf(before, batch), second = MillisecondsOf(after, batch);
      if (i < kWarmups) continue;
      times[0].push_back(first);
      times[1].push_back(second);
    }
    result.latency.push_back({length, Quantile(times[0], 0.5), Quantile(times[0], 0.99), Quantile(times[1], 0.5), Quantile(times[1], 0.99)});
  }
  result.batch_size = kBatchSize;
  result.batch_length = lengths.back();
  const TokenBatch batch = MakeBatch(kBatchSize, result.batch_length, vocab_size);
  std::vector<double> times[2];
  for (size_t i = 0; i < kBatchRuns; ++i) {
    times[0].push_back(MillisecondsOf(before, batch));
    times[1].push_back(MillisecondsOf(after, batch));
  }
  result.before_texts_per_second = kBatchSize * 1e3 / Quantile(times[0], 0.5);
  result.after_texts_per_second = kBatchSize * 1e3 / Quantile(times[1], 0.5);
}

std::string NameOf(const std::string& path) {
  const fs::path given(path);
  return (given.has_filename() ? given : given.parent_path()).filename().string();
}

MetricChange CompareMetric(const TradeOffOptions& options) {
  EvaluationOptions evaluation = EvaluationAsTrained(options.before, "", options.data);
  if (!options.text_column.empty()) evaluation.text_column = options.text_column;
  if (!options.target_column.empty()) evaluation.target_column = options.target_column;
  evaluation.max_length = options.max_length;
  evaluation.num_threads = options.num_threads;
  const EvaluationResult before = EvaluateClassifier(evaluation);
  evaluation.model = options.after;
  const EvaluationResult after = EvaluateClassifier(evaluation);
  return {NameOf(options.data), options.metric, before.truth.size(),
          ComparePredictions(before.truth, before.predicted, after.predicted, before.metrics.label_names.size(), options.metric)};
}

// As whoever uses the model has them, with the prompt of its folder.
std::vector<float> VectorsOf(TextModel& model, std::span<const TextInput> texts) {
  const EncodedTexts encoded = model.EncodeWithPrompt(texts, model.prompts().Default());
  return model.Embed(encoded.batch, /*normalize=*/true, encoded.pooled_from);
}

EmbeddingChange CompareEmbeddings(TextModel& before, TextModel& after, const TradeOffOptions& options) {
  const Texts texts = ReadTexts(options.data, options.text_column.empty() ? "text" : options.text_column);
  constexpr size_t kTextsAtOnce = 256;
  EmbeddingChange change = {NameOf(options.data), texts.texts.size(), 0, 1};
  const size_t size = before.embedding_size();
  for (size_t begin = 0; begin < texts.texts.size(); begin += kTextsAtOnce) {
    std::vector<TextInput> part;
    for (size_t i = begin; i < std::min(texts.texts.size(), begin + kTextsAtOnce); ++i) part.push_back({texts.texts[i], std::nullopt});
    const std::vector<float> a = VectorsOf(before, part), b = VectorsOf(after, part);
    for (size_t i = 0; i < part.size(); ++i) {
      const double cosine = Cosine(std::span(a).subspan(i * size, size), std::span(b).subspan(i * size, size));
      change.mean_cosine += cosine / static_cast<double>(texts.texts.size());
      change.lowest_cosine = std::min(change.lowest_cosine, cosine);
    }
  }
  return change;
}

double Points(double share) { return 100 * share; }

}  // namespace

TradeOff MeasureTradeOff(const TradeOffOptions& options) {
  const TextModelOptions model_options = {.num_threads = options.num_threads, .max_length = options.max_length, .truncate = true};
  TextModel before(options.before, model_options), after(options.after, model_options);
  const std::vector<size_t> lengths = options.lengths.empty() ? DefaultLengths(before.model().max_positions()) : options.lengths;
  for (const size_t length : lengths)
    if (length == 0 || length > before.model().max_positions())
      throw Error(ErrorCode::kInvalidArgument, fmt::format("a length of {} tokens; the model takes 1 to {}", length, before.model().max_positions()));
  const auto stage = [&](const char* name) {
    if (options.on_stage) options.on_stage(name);
  };
  TradeOff result;
  result.bytes_before = FolderBytes(options.before);
  result.bytes_after = FolderBytes(options.after);
  if (!options.data.empty()) {  // what can refuse comes first
    stage("comparing the answers");
    if (before.model().head() == Head::kSequenceClassification) {
      result.metric = CompareMetric(options);
    } else {
      result.embedding = CompareEmbeddings(before, after, options);
    }
  }
  stage("measuring the speed");
  MeasureSpeed(before, after, lengths, result);
  return result;
}

std::string TradeOffTable(const TradeOff& t) {
  std::string out = fmt::format("{:<32}{:>12}{:>12}\n", "", "before", "after");
  const auto line = [&](const std::string& name, const std::string& before, const std::string& after, const std::string& ratio) {
    out += fmt::format("{:<32}{:>12}{:>12}{}\n", name, before, after, ratio.empty() ? "" : fmt::format("{:>10}", ratio));
  };
  const auto ratio = [](double whole, double part) { return fmt::format("{:.2f} x", whole / part); };
  line("size of the folder", fmt::format("{:.1f} MB", static_cast<double>(t.bytes_before) / 1e6),
       fmt::format("{:.1f} MB", static_cast<double>(t.bytes_after) / 1e6), ratio(static_cast<double>(t.bytes_before), static_cast<double>(t.bytes_after)));
  for (const LatencyRow& row : t.latency) {
    line(fmt::format("{} tokens, p50", row.num_tokens), fmt::format("{:.2f} ms", row.before_p50_ms), fmt::format("{:.2f} ms", row.after_p50_ms),
         ratio(row.before_p50_ms, row.after_p50_ms));
    line(fmt::format("{} tokens, p99", row.num_tokens), fmt::format("{:.2f} ms", row.before_p99_ms), fmt::format("{:.2f} ms", row.after_p99_ms),
         ratio(row.before_p99_ms, row.after_p99_ms));
  }
  line(fmt::format("texts/s, {} of {} tokens", t.batch_size, t.batch_length), fmt::format("{:.0f}", t.before_texts_per_second),
       fmt::format("{:.0f}", t.after_texts_per_second), ratio(t.after_texts_per_second, t.before_texts_per_second));
  if (t.metric) {
    const PairedDifference& d = t.metric->difference;
    line(fmt::format("{} on {}", t.metric->metric, t.metric->data), fmt::format("{:.4f}", d.before), fmt::format("{:.4f}", d.after), "");
    out += fmt::format("{} changes by {:+.2f} percentage points (95 %: {:+.2f} to {:+.2f}) on {} texts\n", t.metric->metric, Points(d.after - d.before),
                       Points(d.interval.low), Points(d.interval.high), t.metric->num_examples);
  }
  if (t.embedding)
    out += fmt::format("cosine of each text's vector before and after, {} texts of {}: mean {:.5f}, lowest {:.5f}\n", t.embedding->num_texts,
                       t.embedding->data, t.embedding->mean_cosine, t.embedding->lowest_cosine);
  return out;
}

std::string TradeOffJson(const TradeOff& t) {
  ordered_json latency = ordered_json::array();
  for (const LatencyRow& row : t.latency)
    latency.push_back({{"tokens", row.num_tokens},
                       {"before_ms", {{"p50", row.before_p50_ms}, {"p99", row.before_p99_ms}}},
                       {"after_ms", {{"p50", row.after_p50_ms}, {"p99", row.after_p99_ms}}}});
  ordered_json out = {{"format_version", 1},
                      {"bytes", {{"before", t.bytes_before}, {"after", t.bytes_after}}},
                      {"latency", latency},
                      {"throughput",
                       {{"batch_size", t.batch_size},
                        {"tokens", t.batch_length},
                        {"before_texts_per_second", t.before_texts_per_second},
                        {"after_texts_per_second", t.after_texts_per_second}}}};
  if (t.metric) {
    const PairedDifference& d = t.metric->difference;
    out["metric"] = {{"name", t.metric->metric}, {"data", t.metric->data}, {"num_examples", t.metric->num_examples}, {"before", d.before},
                     {"after", d.after}, {"difference", d.after - d.before}, {"difference_interval", {d.interval.low, d.interval.high}}};
  }
  if (t.embedding)
    out["embedding"] = {{"data", t.embedding->data}, {"num_texts", t.embedding->num_texts}, {"mean_cosine", t.embedding->mean_cosine},
                        {"lowest_cosine", t.embedding->lowest_cosine}};
  return DumpJson(out, 2) + "\n";
}

}  // namespace mlac
