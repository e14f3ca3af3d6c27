#include "base/find_not_finite.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace mlac {

std::optional<size_t> FindNotFinite(std::span<const float> values) {
  bool finite = true;  // a loop without a way out, which compilers make one of vectors; the place is looked for only where there is one
  for (const float value : values) finite &= std::fabs(value) <= std::numeric_limits<float>::max();
  if (finite) return std::nullopt;
  return static_cast<size_t>(std::find_if(values.begin(), values.end(), [](float value) { return !std::isfinite(value); }) - values.begin());
}

}  // namespace mlac
