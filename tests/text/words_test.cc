// BertPreTokenizer and WordPiece, which work on blocks of bytes and on tables, against their definitions.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>

#include "tests/support/test_support.h"
#include "tests/text/small_tokenizer.h"
#include "tests/text/wheel_strings.h"
#include "tests/text/words_reference.h"
#include "text/pre_tokenizer.h"
#include "text/tokenizer.h"

namespace mlac {
namespace {

using test::kTryEvery;

// Exactly as long as its allocation, so that the address sanitiser sees a byte read behind it.
class ExactText {
 public:
  explicit ExactText(std::string_view text) : bytes_(std::make_unique<char[]>(text.size())), size_(text.size()) {
    if (size_ > 0) std::memcpy(bytes_.get(), text.data(), size_);
  }
  std::string_view view() const { return {bytes_.get(), size_}; }

 private:
  std::unique_ptr<char[]> bytes_;
  size_t size_;
};

// room: of the span that the pre-tokenizer fills at each call.
std::vector<Word> AllWords(std::string_view text, size_t room) {
  static const BertPreTokenizer pre_tokenizer;
  std::vector<Word> all, some(room);
  for (size_t position = 0;;) {
    const size_t count = pre_tokenizer.NextWords(text, position, some);
    if (count == 0) return all;
    all.insert(all.end(), some.begin(), some.begin() + static_cast<ptrdiff_t>(count));
  }
}

void ExpectReferenceWords(std::string_view text) {
  const ExactText exact(text);
  const std::vector<Word> expected = ReferenceWords(exact.view());
  for (const size_t room : {2, 3, 64, 65, 256}) {
    const std::vector<Word> found = AllWords(exact.view(), room);
    ASSERT_TRUE(std::equal(found.begin(), found.end(), expected.begin(), expected.end(),
                           [](const Word& a, const Word& b) { return a.begin == b.begin && a.end == b.end; }))
        << "room for " << room << " words, text " << ::testing::PrintToString(std::string(text));
  }
}

// num_bytes of the letters given, all ASCII.
std::string RandomAscii(SplitMix64& random, std::string_view letters, size_t num_bytes) {
  std::string text;
  while (text.size() < num_bytes) text += letters[random.Below(letters.size())];
  return text;
}

std::string AllAscii() {
  std::string all;
  for (int c = 0; c < 0x80; ++c) all += static_cast<char>(c);
  return all;
}

TEST(BertPreTokenizer, GivesTheWordsOfItsDefinitionForTheWheelsStrings) {
  const WheelStrings strings;
  for (size_t i = 0; i < strings.num_strings(); i += 4 * kTryEvery) ExpectReferenceWords(strings.Make(i) + strings.Make(i + 1));
}

TEST(BertPreTokenizer, GivesTheWordsOfItsDefinitionAtEveryPlaceOfABlock) {
  SplitMix64 random(1);
  const std::string mostly_letters = std::string(24, 'a') + " .";
  for (const std::string& letters : {AllAscii(), std::string("ab. "), std::string("a "), std::string("a."), mostly_letters}) {
    for (size_t num_bytes = 0; num_bytes <= 200; num_bytes += num_bytes < 130 ? 1 : 7) {
      std::string text = RandomAscii(random, letters, num_bytes);
      ExpectReferenceWords(text);
      for (const std::string_view scalar : {"\u00e9", "\u3002", "\u3000", "\U0001f600"}) {
        std::string with = text;
        ExpectReferenceWords(with.insert(random.Below(num_bytes + 1), scalar));
      }
    }
  }
}

TEST(BertPreTokenizer, KnowsEachAsciiCharacterInABlock) {
  for (int c = 0; c < 0x80; ++c) {
    std::string text(80, 'a');
    text[40] = static_cast<char>(c);
    ExpectReferenceWords(text);
  }
}

// A vocabulary with pieces of all lengths around those that stand in a table, in one, two and three bytes a letter, of which many
// start alike.
Vocabulary MakeVocabulary(std::vector<std::string>& tokens) {
  tokens = {"[UNK]", "##", "#", "##a", "a", "\u0436", "##\u0436", std::string("a\0", 2)};
  SplitMix64 random(2);
  const std::string_view letters[] = {"a", "a", "a", "b", "\u0436", "\u6771"};
  while (tokens.size() < 3000) {
    std::string token = random.Below(2) == 0 ? "" : "##";
    for (size_t left = 1 + random.Below(24); left > 0; --left) token += letters[random.Below(random.Below(3) == 0 ? 6 : 3)];
    tokens.push_back(token);
  }
  std::sort(tokens.begin(), tokens.end());
  tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
  std::vector<VocabularyEntry> entries;
  for (size_t i = 0; i < tokens.size(); ++i) entries.push_back({tokens[i], static_cast<int64_t>(i)});
  return Vocabulary(std::move(entries), "test");
}

TEST(WordPiece, GivesTheTokensOfItsDefinition) {
  std::vector<std::string> tokens;
  for (const std::string prefix : {"##", "", "a", "no token has this prefix"}) {
    const WordPieceOptions options = {.continuing_subword_prefix = prefix, .max_input_chars_per_word = 40};
    const Vocabulary vocabulary = MakeVocabulary(tokens);
    const WordPiece model(MakeVocabulary(tokens), options, "test");
    SplitMix64 random(3);
    for (size_t round = 0; round < 4000; round += kTryEvery) {
      std::string text;  // of some tokens, end to end, a prefix here and there
      std::vector<Word> words;
      for (size_t left = random.Below(80); left > 0; --left) {
        const auto begin = static_cast<uint32_t>(text.size());
        for (size_t parts = 1 + random.Below(3); parts > 0; --parts) {
          const std::string& token = tokens[random.Below(tokens.size())];
          text += token.starts_with("##") && random.Below(8) != 0 ? token.substr(2) : token;
        }
        if (text.size() > begin) words.push_back({begin, static_cast<uint32_t>(text.size())});
      }
      const ExactText exact(text);
      std::vector<TokenPiece> expected, found;
      std::vector<int32_t> ids;
      for (const Word& word : words) ReferenceTokens(vocabulary, options, exact.view(), word, expected);
      model.Tokenize(exact.view(), words, found);
      model.Tokenize(exact.view(), words, ids);
      ASSERT_EQ(found.size(), expected.size()) << "prefix '" << prefix << "', round " << round;
      ASSERT_EQ(ids.size(), expected.size());
      for (size_t i = 0; i < found.size(); ++i) {
        ASSERT_TRUE(found[i].id == expected[i].id && found[i].begin == expected[i].begin && found[i].end == expected[i].end)
            << "prefix '" << prefix << "', round " << round << ", token " << i;
        ASSERT_EQ(ids[i], expected[i].id);
      }
    }
  }
}

// Without offsets ASCII is normalised in blocks; with offsets, which the wheel's hashes check, byte by byte.
TEST(Tokenizer, IdsAreTheSameWithAndWithoutOffsets) {
  const WheelStrings strings;
  SplitMix64 random(4);
  for (const bool lowercase : {false, true}) {
    for (const bool clean_text : {false, true}) {
      const Tokenizer tokenizer = LoadSmall([&](nlohmann::json& content) {
        content["normalizer"]["lowercase"] = lowercase;
        content["normalizer"]["clean_text"] = clean_text;
        nlohmann::json& vocab = content["model"]["vocab"];
        for (int c = 0; c < 0x80; ++c) {
          for (const std::string prefix : {"", "##"}) vocab.emplace(prefix + static_cast<char>(c), vocab.size());
        }
      });
      const auto expect_same = [&](const std::string& text) {
        ASSERT_EQ(tokenizer.Encode(text).token_ids, tokenizer.Encode(text, {.with_offsets = true}).token_ids)
            << ::testing::PrintToString(text);
      };
      for (size_t i = 0; i < strings.num_strings(); i += 8 * kTryEvery) expect_same(strings.Make(i) + strings.Make(i + 1));
      for (int c = 0; c < 0x80; ++c) expect_same(std::string(100, static_cast<char>(c)));
      for (size_t num_bytes = 0; num_bytes < 300; ++num_bytes) {
        std::string text = RandomAscii(random, AllAscii().substr(num_bytes % 2 == 0 ? 0 : ' ', 0x7F - ' '), num_bytes);
        expect_same(text);
        expect_same(text.insert(random.Below(num_bytes + 1), "\u00c9"));
      }
    }
  }
}

}  // namespace
}  // namespace mlac
