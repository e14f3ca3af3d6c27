#pragma once
// Gates: conditions that a model must meet before it is published. "macro_f1 >= 0.43", "accuracy >= production - 0.005",
// "latency_p99(32 tokens) <= 10 ms", "size <= 100 MB".
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "train/metrics.h"

namespace mlac {

// What the gates of a task may look at beside size and latency.
struct GateFigures {
  std::span<const std::string_view> metrics;        // by the names of metrics.json, the most telling first
  std::span<const std::string_view> with_interval;  // those of them that have one
  bool has_classes = false;                         // per_class.LABEL.f1 and so on
};
inline constexpr std::string_view kClassifierMetrics[] = {"accuracy", "macro_f1", "weighted_f1", "loss"};
inline constexpr std::string_view kClassifierIntervals[] = {"accuracy", "macro_f1"};
// Of text-classification.
inline constexpr GateFigures kClassifierFigures = {
    .metrics = kClassifierMetrics, .with_interval = kClassifierIntervals, .has_classes = true};

// What a gate looks at: a figure of metrics.json, the size of the folder, or a latency.
struct GateFigure {
  enum class Kind { kMetric, kClassMetric, kCount, kSize, kLatency };
  Kind kind = Kind::kMetric;
  std::string name;          // "accuracy", "f1" of a label, "latency_p99"
  std::string label;         // of kClassMetric: per_class.LABEL.f1
  size_t num_tokens = 0;     // of kLatency
  std::string Text() const;  // as in an expression, one spelling for each figure
  bool operator==(const GateFigure&) const = default;
};

struct Gate {
  enum class Comparison { kAtLeast, kAtMost, kAbove, kBelow };
  GateFigure figure;
  Comparison comparison = Comparison::kAtLeast;
  bool against_production = false;
  double factor = 1, offset = 0;  // the bound is offset, or production's figure * factor + offset; bytes and ms
  bool confident = false;         // decided by the end of the interval that is against it
  std::string Text() const;       // one spelling for each gate
};

// An expression that cannot be read. position: from 0, in bytes of the expression.
class GateSyntaxError : public Error {
 public:
  GateSyntaxError(size_t position, std::string message, std::string hint = "")
      : Error(ErrorCode::kInvalidInput, std::move(message), std::move(hint)), position_(position) {}
  size_t position() const { return position_; }

 private:
  size_t position_;
};

// known: the figures of the model's task. Throws GateSyntaxError with the known names, and for confident where there is no interval to
// decide by.
//   gate    = figure (">=" | "<=" | ">" | "<") bound
//   figure  = "accuracy" | ... | "per_class." label "." field | "size" | "latency_p99" "(" number "tokens" ")"
//   bound   = number [unit] | "production" ["*" number] [("+" | "-") number [unit]]
Gate ParseGate(std::string_view text, bool confident = false, const GateFigures& known = kClassifierFigures);

// The names that an expression may begin with.
std::vector<std::string> GateNames(const GateFigures& known = kClassifierFigures);

// What was measured for a gate: the candidate, and production if the gate is against it and there is one.
struct GateMeasurement {
  double value = 0;  // NaN: these test data do not give it, and there is no production
  std::optional<double> production = std::nullopt;
  std::optional<Interval> value_interval = std::nullopt;       // of value
  std::optional<Interval> difference_interval = std::nullopt;  // of value - production
  std::string processor = {};                                  // of a latency
};

struct GateOutcome {
  std::string gate;  // Gate::Text()
  bool passed = false;
  double bound = 0;  // 0 without production
  GateMeasurement measured;
  std::string line;  // one sentence with both figures and the interval, without the verdict
};

// A gate against production passes, and says so, while there is none. Throws kInternal for a confident gate without its interval.
GateOutcome Decide(const Gate& gate, const GateMeasurement& measured);

}  // namespace mlac
