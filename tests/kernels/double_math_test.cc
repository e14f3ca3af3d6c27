#include "kernels/double_math.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace mlac::kernels {
namespace {

TEST(Log, IsNearDoublePrecision) {
  for (double x = 1e-30; x < 1e30; x *= 1.37) EXPECT_NEAR(Log(x), std::log(x), 1e-15 * std::max(1.0, std::fabs(std::log(x)))) << x;
  EXPECT_EQ(Log(1.0), 0.0);
}

TEST(Exp, IsNearDoublePrecisionAndEndsInZeroAndInfinity) {
  for (double x = -700; x < 700; x += 0.371) EXPECT_NEAR(Exp(x) / std::exp(x), 1, 2e-15) << x;
  EXPECT_EQ(Exp(0.0), 1.0);
  EXPECT_EQ(Exp(-1000.0), 0.0);
  EXPECT_TRUE(std::isinf(Exp(1000.0)));
}

TEST(DoubleMath, LetsThroughWhatIsNotFinite) {
  EXPECT_TRUE(std::isnan(Log(std::nan(""))));
  EXPECT_EQ(Log(INFINITY), INFINITY);
  EXPECT_TRUE(std::isnan(Exp(std::nan(""))));
  EXPECT_EQ(Exp(INFINITY), INFINITY);
  EXPECT_EQ(Exp(-INFINITY), 0.0);
}

}  // namespace
}  // namespace mlac::kernels
