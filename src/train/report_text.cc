#include "train/report_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <numeric>

#include "base/display.h"
#include "train/interval_note.h"

namespace mlac {
namespace {

constexpr size_t kFigure = 17;     // "0.61 [0.54, 0.68]"
constexpr size_t kRestOfRow = 67;  // three figures and the number of examples, with two spaces before each

std::string PadLeft(std::string_view text, size_t width) {
  const size_t shown = DisplayWidth(text);
  return std::string(shown < width ? width - shown : 0, ' ') + std::string(text);
}

std::string FigureText(double value, const Interval& interval, bool is_known) {
  return is_known ? fmt::format("{:.2f} [{:.2f}, {:.2f}]", value, interval.low, interval.high) : "-";
}

std::string Counted(uint64_t count, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", count, count == 1 ? one : many);
}

}  // namespace

std::string EvaluationReport(const ClassificationMetrics& metrics, std::string_view source, size_t width) {
  width = std::max<size_t>(width, 80);
  std::string out;
  const auto write = std::back_inserter(out);
  fmt::format_to(write, "{}: {}, {}\n\n", Printable(source), Counted(metrics.num_examples, "example", "examples"),
                 Counted(metrics.label_names.size(), "label", "labels"));
  const LargestClass largest = FindLargestClass(metrics);
  const std::string largest_name = Printable(metrics.label_names[largest.label], 24);
  out += "                    95 % interval\n";
  fmt::format_to(write, "accuracy     {:.3f}  {:.3f} to {:.3f}   always '{}': {:.3f}\n", metrics.accuracy, metrics.accuracy_interval.low,
                 metrics.accuracy_interval.high, largest_name, largest.share);
  fmt::format_to(write, "macro F1     {:.3f}  {:.3f} to {:.3f}\nweighted F1  {:.3f}\n", metrics.macro_f1, metrics.macro_f1_interval.low,
                 metrics.macro_f1_interval.high, metrics.weighted_f1);
  if (metrics.loss) fmt::format_to(write, "loss         {:.3f}\n", *metrics.loss);
  out += "\n";
  if (const std::string note = NoteOnIntervals(metrics); !note.empty()) out += note + "\n\n";

  size_t label_width = DisplayWidth("label");
  for (const std::string& name : metrics.label_names)
    label_width = std::max(label_width, DisplayWidth(Printable(name, width - kRestOfRow)));
  fmt::format_to(write, "{}  {}  {}  {}  examples\n", PadRight("label", label_width), PadRight("precision [95 %]", kFigure),
                 PadRight("recall [95 %]", kFigure), PadRight("F1 [95 %]", kFigure));
  for (size_t label = 0; label < metrics.per_class.size(); ++label) {
    const ClassMetrics& c = metrics.per_class[label];
    fmt::format_to(write, "{}  {}  {}  {}  {}\n", PadRight(Printable(metrics.label_names[label], label_width), label_width),
                   PadRight(FigureText(c.precision, c.precision_interval, c.num_predicted > 0), kFigure),
                   PadRight(FigureText(c.recall, c.recall_interval, c.support > 0), kFigure),
                   PadRight(FigureText(c.f1, c.f1_interval, c.support + c.num_predicted > 0), kFigure), PadLeft(std::to_string(c.support), 8));
  }

  const std::vector<ConfusionCell> mix_ups = MixUps(metrics, 5);
  if (!mix_ups.empty()) out += "\nmost frequent mix-ups\n";
  for (const ConfusionCell& cell : mix_ups) {
    const std::string count = PadLeft(std::to_string(cell.count), 8);
    const size_t room = (width - 32) / 2;
    fmt::format_to(write, "{}  '{}' taken for '{}'\n", count, Printable(metrics.label_names[static_cast<size_t>(cell.truth)], room),
                   Printable(metrics.label_names[static_cast<size_t>(cell.predicted)], room));
  }
  return out;
}

std::vector<ConfusionCell> MixUps(const ClassificationMetrics& metrics, size_t num_cells) {
  std::vector<ConfusionCell> cells;
  for (const ConfusionCell& cell : metrics.confusion) {
    if (cell.truth != cell.predicted) cells.push_back(cell);
  }
  std::stable_sort(cells.begin(), cells.end(), [](const ConfusionCell& a, const ConfusionCell& b) { return a.count > b.count; });
  cells.resize(std::min(cells.size(), num_cells));
  return cells;
}

SmallConfusion Condense(const ClassificationMetrics& metrics, size_t num_labels) {
  std::vector<int32_t> order(metrics.per_class.size());
  std::iota(order.begin(), order.end(), 0);
  const auto support = [&](int32_t label) { return metrics.per_class[static_cast<size_t>(label)].support; };
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return support(a) > support(b); });
  SmallConfusion small;
  if (order.size() > num_labels) small.num_others = order.size() - num_labels;
  order.resize(order.size() - small.num_others);
  std::sort(order.begin(), order.end());
  small.labels = order;
  std::vector<size_t> row_of(metrics.per_class.size(), order.size());
  for (size_t row = 0; row < order.size(); ++row) row_of[static_cast<size_t>(order[row])] = row;
  const size_t num_rows = order.size() + (small.num_others > 0 ? 1 : 0);
  small.counts.assign(num_rows, std::vector<uint64_t>(num_rows));
  for (const ConfusionCell& cell : metrics.confusion)
    small.counts[row_of[static_cast<size_t>(cell.truth)]][row_of[static_cast<size_t>(cell.predicted)]] += cell.count;
  return small;
}

}  // namespace mlac
