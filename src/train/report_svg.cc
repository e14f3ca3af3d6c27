#include "train/report_svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <span>
#include <string_view>
#include <vector>

#include "base/display.h"
#include "train/figures.h"
#include "train/report_escape.h"
#include "train/report_text.h"

namespace mlac {
namespace {

// Tones that stand out from white and from black alike (contrast to both at least 3.5).
constexpr std::string_view kGrey = "#747c86", kBlue = "#3b82f6", kOrange = "#e8590c";
constexpr double kLetter = 6.8;  // pixels of a column of text at 12 pixels, a little more than sans-serif faces take

struct Point {
  double x = 0, y = 0;
};

struct Line {
  std::string name;
  std::string_view colour;
  std::vector<Point> points;
  bool faint = false, dots = false;
};

struct Range {
  double low = 0, high = 1;
};

// One set of axes with its lines.
struct Panel {
  std::string_view title;
  double left = 0, top = 0, width = 0, height = 0;  // of the area of the plot
  Range x, y;
  double x_tick = 1, y_tick = 0.2;
  std::vector<Line> lines;
};

// The smallest of 1, 2, 5, 10, 20, ... and their tenths that cuts `length` into at most `parts` parts.
double TickFor(double length, double parts) {
  double power = 1;
  while (power > length / parts && power > 1e-12) power /= 10;
  while (power * 10 <= length / parts) power *= 10;
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (power * factor * parts >= length) return power * factor;
  }
  return power * 10;
}

// Of numbers on a shade of blue: where the page behind it is light, and where it is dark.
constexpr std::string_view kCountStyle =
    "<style>.count { fill: #1c2330 } @media (prefers-color-scheme: dark) { .count { fill: #f1f4f8 } }</style>\n";

std::string Open(double width, double height, std::string_view title) {
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" viewBox=\"0 0 {0:.0f} {1:.0f}\" "
      "font-family=\"system-ui, sans-serif\" font-size=\"12\" fill=\"{2}\" role=\"img\">\n<title>{3}</title>\n",
      width, height, kGrey, title);
}

std::string Text(double x, double y, std::string_view anchor, std::string_view text, std::string_view more = "") {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\"{}>{}</text>\n", x, y, anchor, more, EscapeXml(text));
}

std::string Draw(const Panel& panel, double marked_x) {
  std::string out;
  const auto write = std::back_inserter(out);
  const double right = panel.left + panel.width, bottom = panel.top + panel.height;
  const auto at_x = [&](double x) { return panel.left + (x - panel.x.low) / (panel.x.high - panel.x.low) * panel.width; };
  const auto at_y = [&](double y) { return bottom - (y - panel.y.low) / (panel.y.high - panel.y.low) * panel.height; };
  out += Text(panel.left, panel.top - 30, "start", panel.title, " font-size=\"14\" font-weight=\"600\"");
  for (int i = 0; i * panel.y_tick <= panel.y.high * (1 + 1e-9); ++i) {
    const double value = i * panel.y_tick;
    fmt::format_to(write, "<path d=\"M{:.1f} {:.1f}H{:.1f}\" stroke=\"{}\" stroke-opacity=\"{}\"/>\n", panel.left, at_y(value), right,
                   kGrey, i == 0 ? "0.9" : "0.25");
    out += Text(panel.left - 8, at_y(value) + 4, "end", fmt::format("{:g}", value));
  }
  for (int i = 0; i * panel.x_tick <= panel.x.high * (1 + 1e-9); ++i)
    out += Text(at_x(i * panel.x_tick), bottom + 18, "middle", fmt::format("{:g}", i * panel.x_tick));
  out += Text((panel.left + right) / 2, bottom + 36, "middle",
              marked_x > 0 ? fmt::format("epoch (dashed: {:g}, whose weights were kept)", marked_x) : "epoch");
  if (marked_x > 0)
    fmt::format_to(write, "<path d=\"M{:.1f} {:.1f}V{:.1f}\" stroke=\"{}\" stroke-dasharray=\"3 4\"/>\n", at_x(marked_x), panel.top, bottom,
                   kGrey);

  double legend_x = panel.left;
  for (const Line& line : panel.lines) {
    if (line.points.empty()) continue;
    std::string path;
    for (const Point& point : line.points) path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", at_x(point.x), at_y(point.y));
    fmt::format_to(write,
                   "<path d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{}\" stroke-opacity=\"{}\" stroke-linejoin=\"round\"/>\n",
                   path, line.colour, line.faint ? "1" : "2", line.faint ? "0.55" : "1");
    if (line.dots) {
      for (const Point& point : line.points)
        fmt::format_to(write, "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.5\" fill=\"{}\"/>\n", at_x(point.x), at_y(point.y), line.colour);
    }
    const double y = panel.top - 12;
    fmt::format_to(write, "<path d=\"M{:.1f} {:.1f}h16\" stroke=\"{}\" stroke-width=\"{}\" stroke-opacity=\"{}\"/>\n", legend_x, y - 4,
                   line.colour, line.faint ? "1" : "2", line.faint ? "0.55" : "1");
    out += Text(legend_x + 21, y, "start", line.name);
    legend_x += 21 + kLetter * static_cast<double>(DisplayWidth(line.name)) + 14;
  }
  return out;
}

// The losses of the steps as at most 200 points, each the mean of as many neighbours, so that the file stays small.
std::vector<Point> StepPoints(std::span<const double> losses, double steps_per_epoch) {
  constexpr size_t kMostPoints = 200;
  const size_t bucket = (losses.size() + kMostPoints - 1) / kMostPoints;
  std::vector<Point> points;
  for (size_t begin = 0; begin < losses.size(); begin += bucket) {
    const size_t end = std::min(begin + bucket, losses.size());
    double sum = 0;
    for (size_t i = begin; i < end; ++i) sum += losses[i];
    const double mean = sum / static_cast<double>(end - begin);
    if (std::isfinite(mean)) points.push_back({static_cast<double>(begin + end + 1) / 2 / steps_per_epoch, mean});
  }
  return points;
}

template <typename Value>
std::vector<Point> EpochPoints(const TrainingResult& result, Value value) {
  std::vector<Point> points;
  for (const EpochReport& epoch : result.epochs) {
    const double y = value(epoch);
    if (std::isfinite(y)) points.push_back({static_cast<double>(epoch.epoch), y});
  }
  return points;
}

// The first two figures of validation that go from 0 to 1.
std::vector<Line> ScoreLines(const TrainingResult& result) {
  std::vector<Line> lines;
  const auto reports = [&](size_t k, auto&& use) {
    for (const EpochReport& epoch : result.epochs)
      if (k < epoch.validation.figures.size()) use(epoch, epoch.validation.figures[k]);
  };
  const auto first = std::find_if(result.epochs.begin(), result.epochs.end(), [](const EpochReport& epoch) { return epoch.has_validation; });
  for (size_t k = 0; first != result.epochs.end() && k < first->validation.figures.size() && lines.size() < 2; ++k) {
    Line line{.name = FigureTitle(first->validation.figures[k].first), .colour = lines.empty() ? kBlue : kOrange, .points = {}, .dots = true};
    bool inside = true;
    reports(k, [&](const EpochReport& epoch, const std::pair<std::string, double>& figure) {
      inside = inside && !(figure.second < 0) && !(figure.second > 1);
      if (std::isfinite(figure.second)) line.points.push_back({static_cast<double>(epoch.epoch), figure.second});
    });
    if (inside) lines.push_back(std::move(line));
  }
  std::reverse(lines.begin(), lines.end());
  return lines;
}

}  // namespace

std::string LearningCurvesSvg(const TrainingResult& result) {
  constexpr double kPlotWidth = 300, kPlotHeight = 220, kTop = 66, kLeft = 58, kGap = 62, kBelow = 50;
  const bool has_validation =
      std::any_of(result.epochs.begin(), result.epochs.end(), [](const EpochReport& epoch) { return epoch.has_validation; });
  const double num_epochs = std::max<double>(1, result.epochs.empty() ? 1 : static_cast<double>(result.epochs.back().epoch));
  const double steps_per_epoch = result.epochs.empty() ? std::max<double>(1, static_cast<double>(result.step_losses.size()))
                                                       : std::max<double>(1, static_cast<double>(result.epochs.back().step) / num_epochs);
  const auto nan_without_validation = [](const EpochReport& epoch, double value) { return epoch.has_validation ? value : std::nan(""); };
  const double marked = has_validation ? static_cast<double>(result.best_epoch) : 0;

  Panel loss{.title = "Loss", .left = kLeft, .top = kTop, .width = kPlotWidth, .height = kPlotHeight, .x = {}, .y = {}, .lines = {}};
  loss.x = {0, num_epochs};
  loss.x_tick = std::max(1.0, TickFor(num_epochs, 8));
  loss.lines = {
      {.name = "steps", .colour = kBlue, .points = StepPoints(result.step_losses, steps_per_epoch), .faint = true},
      {.name = "training", .colour = kBlue, .points = EpochPoints(result, [](const EpochReport& e) { return e.train_loss; }), .dots = true},
      {.name = "validation",
       .colour = kOrange,
       .points = EpochPoints(result, [&](const EpochReport& e) { return nan_without_validation(e, e.validation.loss); }),
       .dots = true},
  };
  double highest = 0;
  for (const Line& line : loss.lines) {
    for (const Point& point : line.points) highest = std::max(highest, point.y);
  }
  if (!(highest > 0)) highest = 1;
  loss.y_tick = TickFor(highest, 5);
  loss.y = {0, loss.y_tick * std::ceil(highest / loss.y_tick)};

  const double width = kLeft + kPlotWidth + (has_validation ? kGap + kPlotWidth : 0) + 24;
  std::string out = Open(width, kTop + kPlotHeight + kBelow, "Learning curves") + Draw(loss, marked);
  if (has_validation) {
    Panel score{.title = "Validation",
                .left = kLeft + kPlotWidth + kGap,
                .top = kTop,
                .width = kPlotWidth,
                .height = kPlotHeight,
                .x = loss.x,
                .y = {},
                .lines = {}};
    score.x_tick = loss.x_tick;
    score.lines = ScoreLines(result);
    out += Draw(score, marked);
  }
  return out + "</svg>\n";
}

std::string ConfusionMatrixSvg(const ClassificationMetrics& metrics) {
  constexpr size_t kMostLabels = 20, kWidestLabel = 24;
  constexpr double kCell = 34, kMargin = 16, kTitle = 58;
  const SmallConfusion small = Condense(metrics, kMostLabels);
  std::vector<std::string> names;
  for (const int32_t label : small.labels) names.push_back(Printable(metrics.label_names[static_cast<size_t>(label)], kWidestLabel));
  if (small.num_others > 0) names.push_back(fmt::format("others ({})", small.num_others));
  size_t widest = 0;
  for (const std::string& name : names) widest = std::max(widest, DisplayWidth(name));

  const double label_length = kLetter * static_cast<double>(widest), side = kCell * static_cast<double>(names.size());
  const double slant = label_length * 0.7071067811865476 + 12;  // what a label turned by 45 degrees takes, up and to the right
  const double left = std::max(kMargin + 20 + label_length + 8, 130.0), top = kTitle + slant;
  const double width = std::max(left + side + slant + kMargin, 330.0), height = top + side + kMargin + 8;
  std::string out = Open(width, height, "Confusion matrix");
  const auto write = std::back_inserter(out);
  out += Text(kMargin, 22, "start", "Confusion matrix", " font-size=\"14\" font-weight=\"600\"");
  out += Text(kMargin, 39, "start", "shade: share of the examples of the row");
  out +=
      Text(0, 0, "middle", "true label", fmt::format(" transform=\"translate({:.1f} {:.1f}) rotate(-90)\"", kMargin + 4, top + side / 2));
  out += Text(left - 8, top - 10, "end", "predicted label");
  out += kCountStyle;
  for (size_t row = 0; row < names.size(); ++row) {
    const double y = top + kCell * static_cast<double>(row);
    out += Text(left - 8, y + kCell / 2 + 4, "end", names[row]);
    out +=
        Text(0, 0, "start", names[row],
             fmt::format(" transform=\"translate({:.1f} {:.1f}) rotate(-45)\"", left + kCell * (static_cast<double>(row) + 0.5), top - 8));
    uint64_t row_total = 0;
    for (const uint64_t count : small.counts[row]) row_total += count;
    for (size_t column = 0; column < names.size(); ++column) {
      const uint64_t count = small.counts[row][column];
      const double share = row_total == 0 ? 0 : static_cast<double>(count) / static_cast<double>(row_total);
      const double x = left + kCell * static_cast<double>(column);
      fmt::format_to(write, "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" fill=\"{}\" fill-opacity=\"{:.2f}\"", x + 1,
                     y + 1, kCell - 2, kCell - 2, kBlue, count == 0 ? 0.05 : 0.1 + 0.9 * share);
      if (count == 0) {
        out += "/>\n";
        continue;
      }
      fmt::format_to(write, "><title>{} → {}: {} ({:.1f} %)</title></rect>\n", EscapeXml(names[row]), EscapeXml(names[column]), count,
                     100 * share);
      const std::string digits = std::to_string(count);
      const std::string_view size = digits.size() <= 3 ? "12" : digits.size() <= 4 ? "10" : digits.size() <= 5 ? "9" : "7";
      out += Text(x + kCell / 2, y + kCell / 2 + 4, "middle", digits,
                  fmt::format(" class=\"count\" font-size=\"{}\"{}", size, share > 0.4 ? " font-weight=\"600\"" : ""));
    }
  }
  return out + "</svg>\n";
}

}  // namespace mlac
