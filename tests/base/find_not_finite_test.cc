#include "base/find_not_finite.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace mlac {
namespace {

TEST(FindNotFinite, GivesTheFirstPlaceWhereverItIs) {
  using Limits = std::numeric_limits<float>;
  const std::vector<float> finite = {0, -0.0f, Limits::max(), Limits::lowest(), Limits::min(), Limits::denorm_min(), -Limits::denorm_min()};
  for (const size_t size : {0, 1, 15, 16, 17, 100}) {
    std::vector<float> values(size);
    for (size_t i = 0; i < size; ++i) values[i] = finite[i % finite.size()];
    EXPECT_EQ(FindNotFinite(values), std::nullopt) << size;
    for (const float bad : {std::nanf(""), -std::nanf(""), Limits::infinity(), -Limits::infinity()}) {
      std::vector<float> broken = values;
      for (size_t i = size; i-- > 0;) {  // and what is behind it stays broken
        broken[i] = bad;
        ASSERT_EQ(FindNotFinite(broken), i) << bad << " of " << size;
      }
    }
  }
}

}  // namespace
}  // namespace mlac
