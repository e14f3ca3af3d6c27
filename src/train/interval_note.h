#pragma once
// What intervals of bootstrap samples do not say, in words: where all examples came out alike, all samples of them do, and the interval has no
// width, however few they are.
#include <cstdint>
#include <string>

#include "train/bootstrap.h"
#include "train/figures.h"
#include "train/metrics.h"

namespace mlac {

inline bool HasNoWidth(const Interval& interval) { return interval.low == interval.high; }

// The share of all examples, in percent, that may come out otherwise where num_examples of them, all that were seen, did not: at 95 %, 1 -
// 0.05^(1/n), the one-sided bound of Clopper and Pearson 1934, https://doi.org/10.1093/biomet/26.4.404. All of them where none was seen.
double MostThatWereNotSeen(uint64_t num_examples);

// A sentence for cards and reports; "" where macro F1 has an interval with a width, or none.
std::string NoteOnIntervals(const ClassificationMetrics& metrics);
// The same where one of the figures has an interval without width. What an example of such a figure is, differs: it names no share.
std::string NoteOnIntervals(const Figures& figures);

}  // namespace mlac
