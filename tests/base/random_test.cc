#include "base/random.h"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

namespace mlac {
namespace {

// The known-answer vectors of the Random123 distribution (kat_vectors, philox4x32 with 10 rounds).
TEST(Philox, GivesThePublishedAnswers) {
  EXPECT_EQ(Philox(0, {0, 0, 0, 0}), (std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(Philox(0xffffffffffffffff, {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}),
            (std::array<uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(Philox(0x299f31d0a4093822, {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}),
            (std::array<uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Random, BelowStaysBelowAndReachesEveryValue) {
  Random random(7);
  std::vector<int> counts(5);
  for (int i = 0; i < 1000; ++i) ++counts.at(random.Below(5));
  for (const int count : counts) EXPECT_GT(count, 100);
}

TEST(Random, ShuffleIsAPermutationThatTheSeedAloneDecides) {
  std::vector<int> first(100), second(100), sorted(100);
  std::iota(first.begin(), first.end(), 0);
  second = sorted = first;
  Random one(3), same(3);
  Shuffle(std::span(first), one);
  Shuffle(std::span(second), same);
  EXPECT_EQ(first, second);
  EXPECT_NE(first, sorted);
  std::sort(second.begin(), second.end());
  EXPECT_EQ(second, sorted);
}

}  // namespace
}  // namespace mlac
