#include "train/bootstrap.h"

#include <algorithm>
#include <cstdint>

namespace mlac {
namespace {

constexpr uint64_t kSeed = 0, kStream = 0x626F6F7473747261;  // "bootstra"

// A number below count. By multiplication: one is favoured by at most count / 2^32, which no percentile of 1,000 shows.
size_t DrawOne(Random& random, size_t count) { return static_cast<size_t>(uint64_t{random.Next()} * count >> 32); }

}  // namespace

void ForEachResample(size_t num_examples, const std::function<void(std::span<const size_t>)>& body,
                     const std::function<void()>& check_stop) {
  Random random(kSeed, kStream);
  std::vector<size_t> examples(num_examples);
  for (size_t resample = 0; resample < kNumResamples; ++resample) {
    if (check_stop) check_stop();
    for (size_t& example : examples) example = DrawOne(random, num_examples);
    body(examples);
  }
}

Interval Percentiles(std::vector<double>& values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  const auto at = [&](double share) {
    const double position = share * static_cast<double>(values.size() - 1);
    const size_t below = static_cast<size_t>(position), above = std::min(below + 1, values.size() - 1);
    return values[below] + (position - static_cast<double>(below)) * (values[above] - values[below]);
  };
  return {at(0.025), at(0.975)};
}

}  // namespace mlac
