#pragma once
// How sure a figure is: Efron 1979, https://doi.org/10.1214/aos/1176344552: its spread over samples drawn from the examples with replacement.
#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "base/random.h"

namespace mlac {

// 95 %: where nothing was seen, all of [0, 1].
struct Interval {
  double low = 0, high = 1;
};

inline constexpr size_t kNumResamples = 1000;

// Calls body with the numbers of the examples of each sample, the same samples for the same number of examples. check_stop, if any, is
// called before each: what it throws ends the draws.
void ForEachResample(size_t num_examples, const std::function<void(std::span<const size_t> examples)>& body,
                     const std::function<void()>& check_stop = nullptr);

// The 2.5th and 97.5th percentile, linear between neighbours as numpy.percentile has it. Sorts values; NaN must not be among them.
Interval Percentiles(std::vector<double>& values);

}  // namespace mlac
