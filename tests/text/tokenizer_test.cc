#include "text/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/support/test_support.h"
#include "tests/text/small_tokenizer.h"

namespace mlac {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int kUnk = 1, kCls = 2, kSep = 3, kMask = 4, kCat = 5, kDog = 6, kS = 7, kDot = 8, kA = 9, kContinuedA = 10, kE = 11;

std::string Repeat(std::string_view text, size_t count) {
  std::string all;
  all.reserve(text.size() * count);
  while (count-- > 0) all += text;
  return all;
}

TEST(Tokenizer, PutsSpecialTokensAroundATextUnlessToldNotTo) {
  const Tokenizer tokenizer = LoadSmall();
  const Encoding with = tokenizer.Encode("Cats.");
  EXPECT_THAT(with.token_ids, ElementsAre(kCls, kCat, kS, kDot, kSep));
  EXPECT_THAT(with.special_tokens_mask, ElementsAre(1, 0, 0, 0, 1));
  EXPECT_THAT(with.sequence_ids, ElementsAre(-1, 0, 0, 0, -1));
  EXPECT_THAT(with.offsets, IsEmpty());
  EXPECT_THAT(tokenizer.Encode("Cats.", {.add_special_tokens = false}).token_ids, ElementsAre(kCat, kS, kDot));
}

TEST(Tokenizer, AnEmptyTextHasTheSpecialTokensAlone) {
  const Tokenizer tokenizer = LoadSmall();
  for (const std::string_view text :
       {std::string_view(), std::string_view(" \t\n"), std::string_view("\0\x01", 2), std::string_view("\u200b")}) {
    EXPECT_THAT(tokenizer.Encode(text).token_ids, ElementsAre(kCls, kSep));
    EXPECT_THAT(tokenizer.Encode(text, {.add_special_tokens = false, .with_offsets = true}).token_ids, IsEmpty());
  }
}

TEST(Tokenizer, GivesOffsetsInBytesAndInCodePoints) {
  const Tokenizer tokenizer = LoadSmall();
  const std::string text = "\u00e9 \U0001f600 c\u0301ats\u3000[MASK]";
  const Encoding encoding = tokenizer.Encode(text, {.with_offsets = true});
  EXPECT_THAT(encoding.token_ids, ElementsAre(kCls, kE, kUnk, kCat, kS, kMask, kSep));
  // [MASK] strips to its left, so that the ideographic space (bytes 14 to 17) is part of it.
  EXPECT_THAT(encoding.offsets, ElementsAre(TextSpan{0, 0}, TextSpan{0, 2}, TextSpan{3, 7}, TextSpan{8, 13}, TextSpan{13, 14},
                                            TextSpan{14, 23}, TextSpan{0, 0}));
  EXPECT_THAT(CodePointOffsets(encoding, text),
              ElementsAre(TextSpan{0, 0}, TextSpan{0, 1}, TextSpan{2, 3}, TextSpan{4, 8}, TextSpan{8, 9}, TextSpan{9, 16}, TextSpan{0, 0}));
}

TEST(Tokenizer, CodePointOffsetsAreRightFarInsideALongText) {
  const Tokenizer tokenizer = LoadSmall();
  const std::string first = Repeat("\u00e9 ", 300), second = Repeat("\U0001f600a ", 200);
  const Encoding encoding = tokenizer.EncodePair(first, second, {.add_special_tokens = false, .with_offsets = true});
  const std::vector<TextSpan> spans = CodePointOffsets(encoding, first, second);
  ASSERT_EQ(spans.size(), 300u + 200u);
  for (size_t i = 0; i < 300; ++i) EXPECT_EQ(spans[i], (TextSpan{2 * i, 2 * i + 1}));
  for (size_t i = 0; i < 200; ++i) EXPECT_EQ(spans[300 + i], (TextSpan{3 * i, 3 * i + 2}));
}

TEST(Tokenizer, ATextAtTheLimitIsWholeAndOneAboveIsAnErrorOrCut) {
  const Tokenizer tokenizer = LoadSmall();
  const Encoding whole = tokenizer.Encode("cat dog cat", {.max_length = 5});
  EXPECT_EQ(whole.token_ids.size(), 5u);
  EXPECT_FALSE(whole.truncated);
  const Error error = test::ExpectError(ErrorCode::kTooLarge, "the text has 5 tokens; at most 4 are possible",
                                        [&] { tokenizer.Encode("cat dog cat", {.max_length = 4}); });
  EXPECT_EQ(error.hint(), "--truncate cuts it");
  const Encoding cut = tokenizer.Encode("cat dog cat", {.with_offsets = true, .max_length = 4, .truncate = true});
  EXPECT_THAT(cut.token_ids, ElementsAre(kCls, kCat, kDog, kSep));
  EXPECT_THAT(cut.offsets, ElementsAre(TextSpan{0, 0}, TextSpan{0, 3}, TextSpan{4, 7}, TextSpan{0, 0}));
  EXPECT_TRUE(cut.truncated);
  EXPECT_EQ(cut.num_tokens_before_truncation, 5u);
}

// What is longer is told from its length alone; places in the normalised text, up to three times as long, have 32 bits.
TEST(Tokenizer, ATextWhosePlacesDoNotFitIsRefused) {
  const Tokenizer tokenizer = LoadSmall();
  test::ExpectError(ErrorCode::kTooLarge, "the text has 1431655766 bytes; at most 1431655765 can be encoded",
                    [&] { tokenizer.Encode(std::string_view("cat", 1431655766)); });
}

TEST(Tokenizer, ALimitMustLeaveRoomForTheSpecialTokens) {
  const Tokenizer tokenizer = LoadSmall();
  EXPECT_THAT(tokenizer.Encode("cat", {.max_length = 2, .truncate = true}).token_ids, ElementsAre(kCls, kSep));
  test::ExpectError(ErrorCode::kInvalidArgument, "a limit of 1 tokens leaves no room for the 2 special tokens",
                    [&] { tokenizer.Encode("cat", {.max_length = 1, .truncate = true}); });
  EXPECT_THAT(tokenizer.Encode("cat cat", {.add_special_tokens = false, .max_length = 1, .truncate = true}).token_ids, ElementsAre(kCat));
}

TEST(Tokenizer, PairsAreCutTheLongerTextFirst) {
  const Tokenizer tokenizer = LoadSmall();
  const auto counts = [&](size_t first, size_t second, size_t room) {
    const Encoding encoding =
        tokenizer.EncodePair(Repeat("cat ", first), Repeat("dog ", second), {.max_length = room + 3, .truncate = true});
    EXPECT_EQ(encoding.num_tokens_before_truncation, first + second + 3);
    EXPECT_EQ(encoding.truncated, first + second > room);
    EXPECT_EQ(encoding.token_type_ids.back(), 1);
    return std::pair(std::count(encoding.token_ids.begin(), encoding.token_ids.end(), kCat),
                     std::count(encoding.token_ids.begin(), encoding.token_ids.end(), kDog));
  };
  EXPECT_EQ(counts(2, 3, 5), std::pair(2l, 3l));
  EXPECT_EQ(counts(2, 9, 8), std::pair(2l, 6l));
  EXPECT_EQ(counts(9, 2, 8), std::pair(6l, 2l));
  EXPECT_EQ(counts(9, 9, 8), std::pair(4l, 4l));
  EXPECT_EQ(counts(9, 9, 7), std::pair(3l, 4l));
  EXPECT_EQ(counts(10, 9, 7), std::pair(4l, 3l));
  EXPECT_EQ(counts(9, 9, 0), std::pair(0l, 0l));
}

TEST(Tokenizer, InvalidUtf8IsRefusedWithItsByteOffset) {
  const Tokenizer tokenizer = LoadSmall();
  const auto refused = [&](std::string_view text, std::string_view message) {
    test::ExpectError(ErrorCode::kInvalidInput, message, [&] { tokenizer.Encode(text); });
  };
  refused("cat\xff", "the text is no valid UTF-8: byte 3");
  refused("\xed\xa0\x80", "the text is no valid UTF-8: byte 0");          // a surrogate
  refused("\u00e9\xc0\x80", "the text is no valid UTF-8: byte 2");        // NUL in two bytes
  refused("cat \xf4\x90\x80\x80", "the text is no valid UTF-8: byte 4");  // above U+10FFFF
  refused("cat \xe2\x82", "the text is no valid UTF-8: byte 4");          // cut short
  test::ExpectError(ErrorCode::kInvalidInput, "the text is no valid UTF-8: byte 1", [&] { tokenizer.EncodePair("cat", "a\x80"); });
}

TEST(Tokenizer, AWordOfMoreThanTheMostCharactersIsUnknown) {
  const Tokenizer tokenizer = LoadSmall();
  EXPECT_EQ(tokenizer.Encode(Repeat("a", 100), {.add_special_tokens = false}).token_ids.size(), 100u);
  EXPECT_THAT(tokenizer.Encode(Repeat("a", 101), {.add_special_tokens = false}).token_ids, ElementsAre(kUnk));
  // Characters of the normalised text count, not bytes and not marks that are stripped.
  EXPECT_EQ(tokenizer.Encode(Repeat("\u00e0", 100), {.add_special_tokens = false}).token_ids.size(), 100u);
  EXPECT_THAT(tokenizer.Encode("aab", {.add_special_tokens = false}).token_ids, ElementsAre(kUnk));
  EXPECT_THAT(tokenizer.Encode("aa", {.add_special_tokens = false}).token_ids, ElementsAre(kA, kContinuedA));
}

TEST(Tokenizer, DecodesWithAndWithoutSpecialTokens) {
  const Tokenizer tokenizer = LoadSmall();
  const std::vector<int32_t> ids = {kCls, kCat, kS, kDot, kDog, kMask, 3, 99, -1};
  EXPECT_EQ(tokenizer.Decode(ids), "cats. dog [SEP]");  // [SEP] is no added token here, hence not special; no token has 99 or -1
  EXPECT_EQ(tokenizer.Decode(ids, /*skip_special_tokens=*/false), "[CLS] cats. dog [MASK] [SEP]");
  EXPECT_EQ(tokenizer.Decode({}), "");
}

TEST(Tokenizer, CleansSpacesUpAsTokenizerConfigSays) {
  const test::TemporaryFolder folder;
  nlohmann::json content = nlohmann::json::parse(kSmallTokenizer);
  content["model"]["vocab"]["'"] = 12;
  content["model"]["vocab"]["s"] = 13;
  folder.Write("tokenizer.json", content.dump());
  const auto decoded = [&] {
    const Tokenizer tokenizer = Tokenizer::Load(folder.path());
    return tokenizer.Decode(tokenizer.Encode("Cat's a dog.").token_ids);
  };
  EXPECT_EQ(decoded(), "cat ' s a dog. [SEP]");
  folder.Write("tokenizer_config.json", R"({"clean_up_tokenization_spaces": true})");
  EXPECT_EQ(decoded(), "cat's a dog. [SEP]");
}

TEST(Tokenizer, KnowsWhatItIs) {
  const Tokenizer tokenizer = LoadSmall([](nlohmann::json& content) {
    content["added_tokens"].push_back({{"id", 12},
                                       {"content", "<new>"},
                                       {"single_word", false},
                                       {"lstrip", false},
                                       {"rstrip", false},
                                       {"normalized", false},
                                       {"special", false}});
  });
  EXPECT_EQ(tokenizer.kind(), "WordPiece");
  EXPECT_EQ(tokenizer.vocab_size(), 13u);
  EXPECT_EQ(tokenizer.largest_id(), 12);
  EXPECT_TRUE(tokenizer.lowercases());
  EXPECT_TRUE(tokenizer.strips_accents());
  EXPECT_EQ(tokenizer.FindToken("<new>"), 12);
  EXPECT_EQ(tokenizer.FindToken("dog"), kDog);
  EXPECT_EQ(tokenizer.FindToken("##s"), kS);
  EXPECT_EQ(tokenizer.FindToken("bird"), -1);
  EXPECT_EQ(tokenizer.FindToken(""), -1);
  EXPECT_EQ(tokenizer.TokenOf(12), "<new>");
  EXPECT_EQ(tokenizer.TokenOf(kE), "e");
  for (const int32_t id : {-1, 13, INT32_MAX, INT32_MIN}) EXPECT_EQ(tokenizer.TokenOf(id).data(), nullptr);
  const SpecialTokenIds& ids = tokenizer.special_ids();
  EXPECT_EQ(ids.pad, 0);
  EXPECT_EQ(ids.unk, kUnk);
  EXPECT_EQ(ids.cls, kCls);
  EXPECT_EQ(ids.sep, kSep);
  EXPECT_EQ(ids.mask, kMask);
}

TEST(Tokenizer, ChecksItsIdsAgainstTheEmbedding) {
  const Tokenizer tokenizer = LoadSmall();
  EXPECT_NO_THROW(tokenizer.CheckEmbeddingSize(12));
  EXPECT_NO_THROW(tokenizer.CheckEmbeddingSize(30522));  // padded embeddings are common
  const Error error = test::ExpectError(ErrorCode::kInvalidInput,
                                        "the tokenizer gives token 'e' the id 11; config.json has vocab_size 11, so ids go up to 10",
                                        [&] { tokenizer.CheckEmbeddingSize(11); });
  EXPECT_EQ(error.hint(), "are tokenizer and config.json from the same model?");
  // An id that only the post-processor uses counts too.
  const Tokenizer template_id =
      LoadSmall([](nlohmann::json& content) { content["post_processor"]["special_tokens"]["[SEP]"]["ids"] = {500}; });
  EXPECT_NO_THROW(template_id.CheckEmbeddingSize(501));
  EXPECT_THROW(template_id.CheckEmbeddingSize(500), Error);
}

TEST(Tokenizer, IdsMayHaveHoles) {
  const Tokenizer tokenizer = LoadSmall([](nlohmann::json& content) { content["model"]["vocab"]["bird"] = 2147483647; });
  EXPECT_THAT(tokenizer.Encode("bird", {.add_special_tokens = false}).token_ids, ElementsAre(2147483647));
  EXPECT_EQ(tokenizer.TokenOf(2147483647), "bird");
  EXPECT_EQ(tokenizer.TokenOf(2147483646).data(), nullptr);
  EXPECT_EQ(tokenizer.TokenOf(kDog), "dog");
}

TEST(Tokenizer, ManyThreadsGetTheSameTokens) {
  const Tokenizer tokenizer = LoadSmall();
  const std::string text = Repeat("Cats \u00e9 dogs. [MASK] x ", 100);
  const std::vector<int32_t> expected = tokenizer.Encode(text).token_ids;
  std::vector<std::thread> threads;
  std::array<bool, 4> same = {};
  for (size_t t = 0; t < same.size(); ++t) {
    threads.emplace_back([&, t] {
      same[t] = true;
      for (int i = 0; i < 50; ++i) same[t] &= tokenizer.Encode(text).token_ids == expected;
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const bool s : same) EXPECT_TRUE(s);
}

// What takes time in the square of its length here would take hours. `dev reliability` measures how the time grows.
TEST(Tokenizer, HostileTextsOfTenMegabytesAreEncoded) {
  const Tokenizer tokenizer = LoadSmall([](nlohmann::json& content) {
    for (const auto& [text, id] : {std::pair("  ", 12), std::pair("a a", 13)}) {
      content["added_tokens"].push_back({{"id", id},
                                         {"content", text},
                                         {"single_word", false},
                                         {"lstrip", true},
                                         {"rstrip", true},
                                         {"normalized", id == 13},
                                         {"special", false}});
    }
  });
  const size_t size = 10'000'000;
  const std::string texts[] = {
      Repeat("a", size),                        // one word
      Repeat(".", size),                        // as many words as bytes
      Repeat("aaaaaaaaa\u00e9x ", size / 13),   // words whose last letter makes them unknown
      "a" + Repeat("\u0301", 1'000'000),        // one starter and its marks
      Repeat("\u302e\u0344\u0316", 1'000'000),  // marks that are reordered and stay
      Repeat(std::string_view("\0", 1), size),  // nothing is left of it
      Repeat(" ", size) + "a",                  // added tokens of white space that strip white space
      Repeat("[MASK", size / 5),                // tokens that never end
      Repeat("  [MASK]", size / 8),
      Repeat("\uac01", size / 3),  // three letters a syllable
      Repeat("\u6771", size / 3),  // a word a character
  };
  for (const std::string& text : texts) {
    const Encoding encoding = tokenizer.Encode(text, {.with_offsets = true});
    EXPECT_EQ(encoding.offsets.size(), encoding.token_ids.size());
    EXPECT_GE(encoding.token_ids.size(), 2u);
    EXPECT_LE(encoding.token_ids.size(), text.size() + 2);
    for (const TextSpan& span : encoding.offsets) ASSERT_TRUE(span.begin <= span.end && span.end <= text.size());
  }
}

}  // namespace
}  // namespace mlac
