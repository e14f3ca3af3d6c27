#include "text/windows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "tests/support/test_support.h"
#include "tests/text/small_tokenizer.h"
#include "text/lower_case.h"

namespace mlac {
namespace {

using testing::ElementsAre;

std::vector<std::vector<int32_t>> Ids(const std::vector<Encoding>& windows) {
  std::vector<std::vector<int32_t>> ids;
  for (const Encoding& window : windows) ids.push_back(window.token_ids);
  return ids;
}

// [CLS] is 2, [SEP] 3, cat 5, dog 6, "." 8, a 9, e 11.
TEST(CutIntoWindows, SharesTheStrideAndKeepsWhatStandsAroundTheText) {
  const Tokenizer tokenizer = LoadSmall();
  const Encoding one = tokenizer.Encode("cat dog a e .", {.with_offsets = true});
  EXPECT_THAT(Ids(CutIntoWindows(one, 7, 1)), ElementsAre(one.token_ids));
  const std::vector<Encoding> windows = CutIntoWindows(one, 5, 1);
  EXPECT_THAT(Ids(windows), ElementsAre(ElementsAre(2, 5, 6, 9, 3), ElementsAre(2, 9, 11, 8, 3)));
  EXPECT_THAT(windows[1].offsets, ElementsAre(TextSpan{}, TextSpan{8, 9}, TextSpan{10, 11}, TextSpan{12, 13}, TextSpan{}));
  EXPECT_THAT(windows[1].special_tokens_mask, ElementsAre(1, 0, 0, 0, 1));
  EXPECT_THAT(Ids(CutIntoWindows(one, 6, 0)), ElementsAre(ElementsAre(2, 5, 6, 9, 11, 3), ElementsAre(2, 8, 3)));
  EXPECT_THAT(Ids(CutIntoWindows(one, 6, 3)), ElementsAre(ElementsAre(2, 5, 6, 9, 11, 3), ElementsAre(2, 6, 9, 11, 8, 3)));
}

TEST(CutIntoWindows, CutsTheSecondOfAPairAlone) {
  const Encoding pair = LoadSmall().EncodePair("cat dog", "a e . a", {.with_offsets = true});
  const std::vector<Encoding> windows = CutIntoWindows(pair, 7, 0);
  EXPECT_THAT(Ids(windows), ElementsAre(ElementsAre(2, 5, 6, 3, 9, 11, 3), ElementsAre(2, 5, 6, 3, 8, 9, 3)));
  EXPECT_THAT(windows[1].sequence_ids, ElementsAre(-1, 0, 0, -1, 1, 1, -1));
  EXPECT_THAT(windows[1].token_type_ids, ElementsAre(0, 0, 0, 0, 1, 1, 1));
}

TEST(CutIntoWindows, RefusesMoreWindowsThanAreAllowedBeforeItMakesThem) {
  const Encoding one = LoadSmall().Encode("cat dog a e .", {.with_offsets = true});
  for (const size_t max_length : {4, 5, 6, 7})
    for (const size_t stride : {0, 1}) {
      const size_t count = CutIntoWindows(one, max_length, stride).size();
      EXPECT_EQ(CutIntoWindows(one, max_length, stride, count).size(), count);
      test::ExpectError(ErrorCode::kTooLarge,
                        "windows of " + std::to_string(max_length) + " tokens: a text of " + std::to_string(one.token_ids.size()) +
                            " takes " + std::to_string(count) + ", at most " + std::to_string(count - 1) + " are possible",
                        [&] { CutIntoWindows(one, max_length, stride, count - 1); });
    }
}

TEST(CutIntoWindows, RefusesAWindowThatWouldNotMove) {
  const Encoding pair = LoadSmall().EncodePair("cat dog", "a e . a");
  EXPECT_EQ(CutIntoWindows(pair, 7, 1).size(), 3u);
  try {
    CutIntoWindows(pair, 7, 2);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_EQ(error.message(), "a window of 7 tokens has 5 besides the text that is cut; more than the stride of 2 must be left");
  }
}

TEST(EncodePair, CutsOnlyTheFirstTextWhereAsked) {
  const Tokenizer tokenizer = LoadSmall();
  const EncodeOptions options = {.max_length = 6, .truncate = true, .truncation = Truncation::kOnlyFirst};
  EXPECT_THAT(tokenizer.EncodePair("cat", "a e . a", {.max_length = 6, .truncate = true}).token_ids, ElementsAre(2, 5, 3, 9, 11, 3));
  EXPECT_THAT(tokenizer.EncodePair("cat dog a", "e .", options).token_ids, ElementsAre(2, 5, 3, 11, 8, 3));
  try {
    tokenizer.EncodePair("cat", "a e . a", options);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.message(), "the second text has 4 tokens; there is room for 3");
  }
}

TEST(Tokenizer, KnowsThePiecesThatContinueAWord) {
  const Tokenizer tokenizer = LoadSmall();
  EXPECT_TRUE(tokenizer.ContinuesWord(7));
  for (const int32_t id : {0, 1, 2, 4, 5, 8, 99}) EXPECT_FALSE(tokenizer.ContinuesWord(id)) << id;
}

TEST(LowerCase, KnowsAllScripts) {
  EXPECT_EQ(LowerCase("ABC \u00c9\u0396\u0414 1 \u0130 \U0001f600"), "abc \u00e9\u03b6\u0434 1 i\u0307 \U0001f600");
}

}  // namespace
}  // namespace mlac
