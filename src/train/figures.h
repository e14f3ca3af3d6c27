#pragma once
// Figures of any kind of task, for metrics.json, the card and a terminal.
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "train/metrics.h"
#include "train/row_figures.h"

namespace mlac {

struct Figure {
  std::string name;   // as in metrics.json: "macro_f1"
  std::string title;  // for people: "macro F1"
  double value = 0;
  std::optional<Interval> interval = {};
  std::optional<double> of_mean = {};  // of an error of numbers: what always answering their mean gives
};

struct Figures {
  uint64_t num_examples = 0;
  std::vector<Figure> figures;  // the most telling first
  std::optional<double> loss = {};
  // Where there are classes: one each, by name. Confusion is not known.
  std::vector<std::string> class_names = {};
  std::vector<ClassMetrics> per_class = {};
  std::string class_title = "label";   // what a class is: "label", "entity"
  std::vector<RowFigure> by_row = {};  // those of `figures` that can be computed on samples of rows; none where no intervals were asked for
};

// For people, from the name in metrics.json: "macro F1" of "macro_f1", "nDCG@10" of "ndcg_at_10".
std::string FigureTitle(std::string name);

// The value of a figure, "loss" included; nothing for one that is not there.
std::optional<double> ValueOf(const Figures& figures, const std::string& name);

// The figure as a function of rows, or nullptr.
const RowFigure* FindByRow(const Figures& figures, const std::string& name);

// The first two: "accuracy 0.9120, macro-F1 0.9101".
std::string Headline(const Figures& figures);

// format_version, the figures by name, loss, num_examples, NAME_interval as [low, high], baseline (of_mean of the figures that have it, by
// name), per_class as MetricsJson has it.
std::string FiguresJson(const Figures& figures);

// Lines for a terminal: each figure with its interval, a row a class.
std::string FiguresReport(const Figures& figures, const std::string& source);

}  // namespace mlac
