#include "http/trace_context.h"

#include <gtest/gtest.h>

namespace mlac {
namespace {

const std::string kTrace = "4bf92f3577b34da6a3ce929d0e0e4736", kParent = "00f067aa0ba902b7";

TEST(ParseTraceparent, TakesWellFormedFieldsOfThisAndLaterVersions) {
  for (const auto& [field, sampled] : std::vector<std::pair<std::string, bool>>{{"00-" + kTrace + "-" + kParent + "-01", true},
                                                                                {"00-" + kTrace + "-" + kParent + "-00", false},
                                                                                {"00-" + kTrace + "-" + kParent + "-0b", true},
                                                                                {"00-" + kTrace + "-" + kParent + "-fe", false},
                                                                                {"01-" + kTrace + "-" + kParent + "-01-more", true}}) {
    const std::optional<TraceContext> trace = ParseTraceparent(field);
    ASSERT_TRUE(trace) << field;
    EXPECT_EQ(trace->trace_id, kTrace);
    EXPECT_EQ(trace->parent_id, kParent);
    EXPECT_EQ(trace->sampled, sampled) << field;
  }
}

TEST(ParseTraceparent, IgnoresAllOthers) {
  const std::string zeros(32, '0'), upper = "4BF92F3577B34DA6A3CE929D0E0E4736";
  for (const std::string& field :
       {std::string(), std::string("00"), "00-" + kTrace + "-" + kParent, "00-" + kTrace + "-" + kParent + "-1",
        "00-" + kTrace + "-" + kParent + "-01-more", "ff-" + kTrace + "-" + kParent + "-01", "00-" + zeros + "-" + kParent + "-01",
        "00-" + kTrace + "-" + zeros.substr(16) + "-01", "00-" + upper + "-" + kParent + "-01", "00_" + kTrace + "-" + kParent + "-01",
        "0g-" + kTrace + "-" + kParent + "-01", "00-" + kTrace + "-" + kParent + "-0g", "01-" + kTrace + "-" + kParent + "-01more"})
    EXPECT_FALSE(ParseTraceparent(field)) << field;
}

}  // namespace
}  // namespace mlac
