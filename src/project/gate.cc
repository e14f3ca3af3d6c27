#include "project/gate.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>

#include "base/display.h"
#include "project/model_task.h"
#include "project/yaml_keys.h"

namespace mlac {
namespace {

using FigureKind = GateFigure::Kind;
using GateComparison = Gate::Comparison;

// Differences of figures that are equal in decimals are not always so in binary fractions: 0.91 - 0.005 is not 0.905.
constexpr double kRounding = 1e-9;

constexpr std::string_view kLoss = "loss";
constexpr std::array<std::string_view, 4> kClassFields = {"precision", "recall", "f1", "support"};
constexpr std::array<std::string_view, 2> kLatencies = {"latency_p50", "latency_p99"};

std::string_view Symbol(GateComparison comparison) {
  switch (comparison) {
    case GateComparison::kAtLeast:
      return ">=";
    case GateComparison::kAtMost:
      return "<=";
    case GateComparison::kAbove:
      return ">";
    case GateComparison::kBelow:
      return "<";
  }
  return "";
}

bool Holds(std::span<const std::string_view> names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsWord(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || static_cast<unsigned char>(c) >= 0x80; }

class Parser {
 public:
  Parser(std::string_view text, const GateFigures& known) : text_(text), known_(known) {}

  Gate Run(bool confident) {
    Gate gate;
    gate.figure = ReadFigure();
    gate.comparison = ReadComparison();
    ReadBound(gate);
    SkipBlanks();
    if (at_ < text_.size()) throw GateSyntaxError(at_, fmt::format("{} is more than a gate has", Quoted(text_.substr(at_))), kForm);
    gate.confident = confident;
    return gate;
  }

 private:
  static constexpr char kForm[] = "a gate is a figure, >= <= > or <, and a number or 'production - 0.005'";

  void SkipBlanks() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }
  bool Take(std::string_view symbol) {
    SkipBlanks();
    if (!text_.substr(at_).starts_with(symbol)) return false;
    at_ += symbol.size();
    return true;
  }
  void Expect(std::string_view symbol, std::string_view why) {
    if (!Take(symbol)) throw GateSyntaxError(at_, fmt::format("expected '{}' {}, found {}", symbol, why, Rest()));
  }
  std::string Rest() const { return at_ >= text_.size() ? "the end" : fmt::format("{}", Quoted(text_.substr(at_, 20))); }

  std::string_view Word() {
    SkipBlanks();
    const size_t begin = at_;
    while (at_ < text_.size() && IsWord(text_[at_])) ++at_;
    return text_.substr(begin, at_ - begin);
  }

  std::string Label() {
    SkipBlanks();
    if (!Take("\"")) return std::string(Word());
    const size_t end = text_.find('"', at_);
    if (end == std::string_view::npos) throw GateSyntaxError(at_ - 1, "the quotation mark has no second one");
    const std::string label(text_.substr(at_, end - at_));
    at_ = end + 1;
    return label;
  }

  GateFigure ReadFigure() {
    SkipBlanks();
    const size_t begin = at_;
    const std::string name(Word());
    if (Holds(known_.metrics, name)) return {.kind = FigureKind::kMetric, .name = name, .label = {}};
    if (name == "num_examples") return {.kind = FigureKind::kCount, .name = name, .label = {}};
    if (name == "size") return {.kind = FigureKind::kSize, .name = name, .label = {}};
    if (known_.has_classes && name == "per_class") return ReadClassFigure();
    if (Holds(kLatencies, name)) {
      Expect("(", fmt::format("behind {}, as in {}(32 tokens)", name, name));
      SkipBlanks();
      const size_t number_at = at_;
      const std::optional<double> tokens = ParseNumber(Digits());
      if (!tokens || *tokens < 1 || *tokens > 1e6 || *tokens != static_cast<double>(static_cast<size_t>(*tokens)))
        throw GateSyntaxError(number_at, "expected a number of tokens", fmt::format("as in {}(32 tokens)", name));
      Expect("tokens", "behind the number");
      Expect(")", "behind tokens");
      return {.kind = FigureKind::kLatency, .name = name, .label = {}, .num_tokens = static_cast<size_t>(*tokens)};
    }
    if (name.empty()) throw GateSyntaxError(begin, fmt::format("expected a figure, found {}", Rest()), KnownNames("", GateNames(known_)));
    throw GateSyntaxError(begin, fmt::format("there is no figure {}", Quoted(name)), KnownNames(name, GateNames(known_)));
  }

  GateFigure ReadClassFigure() {
    Expect(".", "and a label behind per_class, as in per_class.sports.f1");
    const std::string label = Label();
    if (label.empty())
      throw GateSyntaxError(at_, fmt::format("expected a label, found {}", Rest()),
                            "other than letters, digits and _ stand in quotation marks");
    Expect(".", "and precision, recall, f1 or support behind the label");
    SkipBlanks();
    const size_t begin = at_;
    const std::string field(Word());
    if (std::find(kClassFields.begin(), kClassFields.end(), field) == kClassFields.end())
      throw GateSyntaxError(begin, fmt::format("a label has no figure {}", Quoted(field)),
                            KnownNames(field, std::vector<std::string>(kClassFields.begin(), kClassFields.end())));
    return {.kind = field == "support" ? FigureKind::kCount : FigureKind::kClassMetric, .name = field, .label = label};
  }

  GateComparison ReadComparison() {
    for (const GateComparison comparison : {GateComparison::kAtLeast, GateComparison::kAtMost, GateComparison::kAbove, GateComparison::kBelow})
      if (Take(Symbol(comparison))) return comparison;
    throw GateSyntaxError(at_, fmt::format("expected >=, <=, > or <, found {}", Rest()), kForm);
  }

  // A number as it stands in an expression, its sign excepted.
  std::string_view Digits() {
    SkipBlanks();
    const size_t begin = at_;
    while (at_ < text_.size()) {
      const char c = text_[at_], before = at_ > begin ? text_[at_ - 1] : ' ', after = at_ + 1 < text_.size() ? text_[at_ + 1] : ' ';
      const bool begins_exponent = (c == 'e' || c == 'E') && at_ > begin && (IsDigit(after) || after == '-' || after == '+');
      const bool is_part = IsDigit(c) || c == '.' || begins_exponent || ((c == '-' || c == '+') && (before == 'e' || before == 'E'));
      if (!is_part) break;
      ++at_;
    }
    return text_.substr(begin, at_ - begin);
  }

  double ReadNumber() {
    SkipBlanks();
    const size_t begin = at_;
    const std::optional<double> number = ParseNumber(Digits());
    if (!number) {
      at_ = begin;
      throw GateSyntaxError(begin, fmt::format("expected a number, found {}", Rest()), kForm);
    }
    return *number;
  }

  // With the unit that the figure has: bytes and milliseconds must say so, a share may be written in percent.
  double ReadQuantity(FigureKind kind) {
    SkipBlanks();
    const size_t begin = at_;
    const double number = ReadNumber();
    if (kind == FigureKind::kMetric || kind == FigureKind::kClassMetric) return Take("%") ? number / 100 : number;
    if (kind == FigureKind::kCount) return number;
    const size_t unit_at = at_;
    Word();
    const std::string_view text = text_.substr(begin, at_ - begin);
    const std::optional<double> value = kind == FigureKind::kSize ? ParseBytes(text) : ParseMilliseconds(text);
    if (!value || !std::isfinite(*value))
      throw GateSyntaxError(unit_at,
                            fmt::format("expected a unit behind the number, found {}", Quoted(text_.substr(unit_at, at_ - unit_at))),
                            kind == FigureKind::kSize ? "B, KB, MB, GB, KiB, MiB, GiB" : "ms, s, us");
    return *value;
  }

  void ReadBound(Gate& gate) {
    SkipBlanks();
    const size_t begin = at_;
    if (at_ < text_.size() && std::isalpha(static_cast<unsigned char>(text_[at_])) != 0) {
      const std::string name(Word());
      if (name != "production") {
        const std::vector<std::string> known = {"production"};
        throw GateSyntaxError(begin, fmt::format("there is nothing {} to compare with", Quoted(name)), KnownNames(name, known));
      }
      gate.against_production = true;
      if (Take("*")) gate.factor = ReadNumber();
      if (Take("+")) {
        gate.offset = ReadQuantity(gate.figure.kind);
      } else if (Take("-")) {
        gate.offset = -ReadQuantity(gate.figure.kind);
      }
      return;
    }
    const bool negative = Take("-");
    gate.offset = ReadQuantity(gate.figure.kind) * (negative ? -1 : 1);
    const bool is_share =
        gate.figure.kind == FigureKind::kClassMetric || (gate.figure.kind == FigureKind::kMetric && !LessIsBetter(gate.figure.name));
    if (is_share && gate.offset > 1)
      throw GateSyntaxError(begin,
                            fmt::format("{} is at most 1, which is 100 %; found {}", gate.figure.Text(), Quoted(text_.substr(begin))));
  }

  std::string_view text_;
  const GateFigures& known_;
  size_t at_ = 0;
};

bool HasInterval(const Gate& gate, const GateFigures& known) {
  if (gate.against_production) return gate.figure.kind == FigureKind::kMetric && gate.figure.name != kLoss && gate.factor == 1;
  return Holds(known.with_interval, gate.figure.name) || gate.figure.kind == FigureKind::kClassMetric;
}

bool Holds(GateComparison comparison, double value, double bound) {
  switch (comparison) {
    case GateComparison::kAtLeast:
      return value >= bound - kRounding;
    case GateComparison::kAtMost:
      return value <= bound + kRounding;
    case GateComparison::kAbove:
      return value > bound + kRounding;
    case GateComparison::kBelow:
      return value < bound - kRounding;
  }
  return false;
}

bool WantsMore(GateComparison comparison) { return comparison == GateComparison::kAtLeast || comparison == GateComparison::kAbove; }

std::string Shown(FigureKind kind, double value) {
  switch (kind) {
    case FigureKind::kMetric:
    case FigureKind::kClassMetric:
      return fmt::format("{:.4f}", value);
    case FigureKind::kCount:
      return fmt::format("{:.0f}", value);
    case FigureKind::kSize:
      return fmt::format("{:.1f} MB", value / 1e6);
    case FigureKind::kLatency:
      return fmt::format("{:.2f} ms", value);
  }
  return "";
}

}  // namespace

std::string GateFigure::Text() const {
  if (kind == FigureKind::kLatency) return fmt::format("{}({} tokens)", name, num_tokens);
  if (label.empty()) return name;
  return std::all_of(label.begin(), label.end(), IsWord) ? fmt::format("per_class.{}.{}", label, name)
                                                         : fmt::format("per_class.\"{}\".{}", label, name);
}

std::string Gate::Text() const {
  const auto quantity = [&](double value) {
    switch (figure.kind) {
      case FigureKind::kSize:
        return value >= 1e6 && std::fmod(value, 1e6) == 0 ? fmt::format("{} MB", value / 1e6) : fmt::format("{} B", value);
      case FigureKind::kLatency:
        return fmt::format("{} ms", value);
      default:
        return fmt::format("{}", value);
    }
  };
  std::string bound = quantity(offset);
  if (against_production) {
    bound = "production";
    if (factor != 1) bound += fmt::format(" * {}", factor);
    if (offset != 0) bound += fmt::format(" {} {}", offset < 0 ? '-' : '+', quantity(offset < 0 ? -offset : offset));
  }
  return fmt::format("{} {} {}{}", figure.Text(), Symbol(comparison), bound, confident ? " (confident)" : "");
}

std::vector<std::string> GateNames(const GateFigures& known) {
  std::vector<std::string> names(known.metrics.begin(), known.metrics.end());
  names.emplace_back("num_examples");
  if (known.has_classes) names.emplace_back("per_class");
  names.emplace_back("size");
  names.insert(names.end(), kLatencies.begin(), kLatencies.end());
  return names;
}

Gate ParseGate(std::string_view text, bool confident, const GateFigures& known) {
  Gate gate = Parser(text, known).Run(confident);
  if (confident && !HasInterval(gate, known))
    throw GateSyntaxError(
        0, fmt::format("there is no interval that '{}' could be decided by", gate.figure.Text()),
        fmt::format("confident is for {}{}, and metrics against 'production + or - a number'", fmt::join(known.with_interval, " and "),
                    known.has_classes ? ", the figures of a label against a number" : ""));
  return gate;
}

GateOutcome Decide(const Gate& gate, const GateMeasurement& measured) {
  GateOutcome outcome = {.gate = gate.Text(), .passed = true, .bound = 0, .measured = measured, .line = {}};
  const FigureKind kind = gate.figure.kind;
  const std::string where = measured.processor.empty() ? "" : fmt::format(" on {}", measured.processor);
  if (gate.against_production && !measured.production) {
    outcome.line = fmt::format("{}{}; there is no production yet to compare with",
                               std::isnan(measured.value) ? "these test data do not give it" : Shown(kind, measured.value), where);
    return outcome;
  }
  outcome.bound = gate.offset + (gate.against_production ? gate.factor * *measured.production : 0);
  const std::optional<Interval>& interval = gate.against_production ? measured.difference_interval : measured.value_interval;
  double decided_by = measured.value;
  if (gate.confident) {
    if (!interval) throw Error(ErrorCode::kInternal, fmt::format("the gate '{}' has no interval", outcome.gate));
    decided_by = WantsMore(gate.comparison) ? interval->low : interval->high;
    if (gate.against_production) decided_by += *measured.production;
  }
  outcome.passed = Holds(gate.comparison, decided_by, outcome.bound);
  outcome.line = Shown(kind, measured.value);
  if (gate.against_production)
    outcome.line += fmt::format(", production {}, bound {}", Shown(kind, *measured.production), Shown(kind, outcome.bound));
  if (interval)
    outcome.line += gate.against_production ? fmt::format("; the difference is {:+.4f} (95 %: {:+.4f} to {:+.4f})",
                                                          measured.value - *measured.production, interval->low, interval->high)
                                            : fmt::format(" (95 %: {:.4f} to {:.4f})", interval->low, interval->high);
  outcome.line += where;
  return outcome;
}

}  // namespace mlac
