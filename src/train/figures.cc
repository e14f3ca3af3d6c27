#include "train/figures.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <string_view>

#include "base/display.h"
#include "train/interval_note.h"

namespace mlac {

std::string FigureTitle(std::string name) {
  if (const size_t at = name.find("_at_"); at != std::string::npos) name = name.substr(0, at) + '@' + name.substr(at + 4);
  std::replace(name.begin(), name.end(), '_', ' ');
  if (name.ends_with("f1")) name[name.size() - 2] = 'F';
  for (const auto& [lower, spelt] : {std::pair<std::string_view, std::string_view>{"ndcg", "nDCG"}, {"mrr", "MRR"}})
    if (name.starts_with(lower)) std::copy(spelt.begin(), spelt.end(), name.begin());
  return name;
}

std::optional<double> ValueOf(const Figures& figures, const std::string& name) {
  if (name == "loss") return figures.loss;
  for (const Figure& figure : figures.figures)
    if (figure.name == name) return figure.value;
  return std::nullopt;
}

const RowFigure* FindByRow(const Figures& figures, const std::string& name) {
  for (const RowFigure& figure : figures.by_row)
    if (figure.name == name) return &figure;
  return nullptr;
}

std::string Headline(const Figures& figures) {
  std::string out;
  for (size_t i = 0; i < std::min<size_t>(figures.figures.size(), 2); ++i) {
    std::string name = FigureTitle(figures.figures[i].name);
    std::replace(name.begin(), name.end(), ' ', '-');
    out += fmt::format("{}{} {:.4f}", i == 0 ? "" : ", ", name, figures.figures[i].value);
  }
  return out;
}

std::string FiguresJson(const Figures& figures) {
  std::string out = "{\n  \"format_version\": 1,\n";
  const auto write = std::back_inserter(out);
  for (const Figure& figure : figures.figures) fmt::format_to(write, "  \"{}\": {},\n", figure.name, JsonNumber(figure.value));
  fmt::format_to(write, "  \"loss\": {},\n  \"num_examples\": {}", figures.loss ? JsonNumber(*figures.loss) : "null", figures.num_examples);
  for (const Figure& figure : figures.figures)
    if (figure.interval) fmt::format_to(write, ",\n  \"{}_interval\": {}", figure.name, JsonInterval(*figure.interval));
  std::string baseline;
  for (const Figure& figure : figures.figures)
    if (figure.of_mean) baseline += fmt::format("{}\"{}\": {}", baseline.empty() ? "" : ", ", figure.name, JsonNumber(*figure.of_mean));
  if (!baseline.empty()) fmt::format_to(write, ",\n  \"baseline\": {{{}}}", baseline);
  if (!figures.per_class.empty()) out += ",\n  \"per_class\": {";
  for (size_t i = 0; i < figures.per_class.size(); ++i) AppendPerClassJson(out, figures.class_names[i], figures.per_class[i], i == 0);
  if (!figures.per_class.empty()) out += "\n  }";
  return out + "\n}\n";
}

std::string FiguresReport(const Figures& figures, const std::string& source) {
  std::string out = fmt::format("{} examples of {}\n\n", figures.num_examples, source);
  const auto write = std::back_inserter(out);
  size_t width = 0;
  for (const Figure& figure : figures.figures) width = std::max(width, figure.title.size());
  for (const Figure& figure : figures.figures) {
    fmt::format_to(write, "{:{}}  {:.4f}", figure.title, width, figure.value);
    if (figure.interval) fmt::format_to(write, "   95 % interval {:.4f} to {:.4f}", figure.interval->low, figure.interval->high);
    if (figure.of_mean) fmt::format_to(write, "   always the mean: {:.4f}", *figure.of_mean);
    out += '\n';
  }
  if (const std::string note = NoteOnIntervals(figures); !note.empty()) out += "\n" + note + "\n";
  if (figures.per_class.empty()) return out;
  fmt::format_to(write, "\n{:24} {:>9} {:>9} {:>9} {:>9}\n", figures.class_title, "precision", "recall", "F1", "examples");
  for (size_t i = 0; i < figures.per_class.size(); ++i) {
    const ClassMetrics& c = figures.per_class[i];
    fmt::format_to(write, "{:24} {:9.4f} {:9.4f} {:9.4f} {:9}\n", Printable(figures.class_names[i], 24), c.precision, c.recall, c.f1, c.support);
  }
  return out;
}

}  // namespace mlac
