#include "train/interval_note.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace mlac {

double MostThatWereNotSeen(uint64_t num_examples) {
  return num_examples == 0 ? 100 : 100 * (1 - std::pow(0.05, 1 / static_cast<double>(num_examples)));
}

std::string NoteOnIntervals(const ClassificationMetrics& metrics) {
  if (metrics.num_examples == 0 || !HasNoWidth(metrics.macro_f1_interval)) return "";
  return fmt::format("The interval of macro F1 has no width because {} came out alike. Of other texts up to {:.1f} % may come out otherwise.",
                     metrics.num_examples == 1 ? "the one example" : fmt::format("all {} examples", metrics.num_examples),
                     MostThatWereNotSeen(metrics.num_examples));
}

std::string NoteOnIntervals(const Figures& figures) {
  const bool any = std::any_of(figures.figures.begin(), figures.figures.end(),
                               [](const Figure& figure) { return figure.interval && HasNoWidth(*figure.interval); });
  return any && figures.num_examples > 0
             ? "An interval without width is one of examples that all came out alike: it does not say that others would, the less so the fewer they were."
             : "";
}

}  // namespace mlac
