#include "base/nearest_name.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mlac {
namespace {

using testing::ElementsAre;

TEST(ByDistance, PutsTheNearestFirstAndKeepsTheOrderOfEquals) {
  EXPECT_THAT(ByDistance("bert", std::vector<std::string>{"llama", "brt", "gpt2", "bert", "vert"}), ElementsAre("bert", "brt", "vert", "gpt2", "llama"));
}

TEST(NearestName, ForgivesOneSlipOfEachKind) {
  const std::vector<std::string> names = {"classify", "train", "serve"};
  EXPECT_EQ(NearestName("clasify", names), "classify");    // left out
  EXPECT_EQ(NearestName("trrain", names), "train");        // put in
  EXPECT_EQ(NearestName("sorve", names), "serve");         // replaced
  EXPECT_EQ(NearestName("tarin", names), "train");         // neighbours swapped: one slip, not two
  EXPECT_EQ(NearestName("serve", names), "serve");
}

TEST(NearestName, GivesNothingBeyondAThirdOfTheLongerName) {
  const std::vector<std::string> names = {"abcdef"};
  EXPECT_EQ(NearestName("abcdxy", names), "abcdef");  // 2 of 6
  EXPECT_EQ(NearestName("abcxyz", names), "");        // 3 of 6
  EXPECT_EQ(NearestName("x", std::vector<std::string>{"y"}), "y");  // one slip is always allowed
  EXPECT_EQ(NearestName("", std::vector<std::string>{"ab"}), "");
  EXPECT_EQ(NearestName("anything", std::vector<std::string>{}), "");
}

TEST(NearestName, GivesNothingForNamesThatNobodyTypes) {
  EXPECT_EQ(NearestName(std::string(128, 'x'), std::vector<std::string>{std::string(128, 'x')}), std::string(128, 'x'));
  EXPECT_EQ(NearestName(std::string(129, 'x'), std::vector<std::string>{std::string(129, 'x')}), "");
}

TEST(DidYouMean, IsAHintForFewCandidatesAndNothingForAStrangersMany) {
  std::vector<std::string> names(10'000, "far away");
  names.back() = "weight";
  EXPECT_EQ(DidYouMean("wieght", names), "did you mean 'weight'?");
  names.push_back("another");
  EXPECT_EQ(DidYouMean("wieght", names), "");
  EXPECT_EQ(DidYouMean("wieght", std::vector<std::string>{"far away"}), "");
}

}  // namespace
}  // namespace mlac
