// Equality with the `tokenizers` wheel 0.22.2: token ids, type ids, offsets in code points, special tokens masks, truncated pairs and
// decoded texts, as hashes that the wheel's script stored.
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/support/test_support.h"
#include "tests/text/wheel_strings.h"
#include "text/tokenizer.h"

namespace mlac {
namespace {

using test::kTryEvery;

const WheelStrings& Strings() {
  static const WheelStrings strings;
  return strings;
}

std::vector<uint32_t> Pack(const Encoding& encoding, std::string_view text, std::string_view second = {}) {
  const auto& ids = encoding.token_ids;
  std::vector<uint32_t> numbers = {static_cast<uint32_t>(ids.size())};
  numbers.insert(numbers.end(), ids.begin(), ids.end());
  numbers.insert(numbers.end(), encoding.token_type_ids.begin(), encoding.token_type_ids.end());
  for (const TextSpan& span : CodePointOffsets(encoding, text, second)) {
    numbers.push_back(static_cast<uint32_t>(span.begin));
    numbers.push_back(static_cast<uint32_t>(span.end));
  }
  numbers.insert(numbers.end(), encoding.special_tokens_mask.begin(), encoding.special_tokens_mask.end());
  return numbers;
}

// Calls add(hash, index) for the indices of each kTryEvery-th block and compares the hashes with the expected ones.
template <typename Add>
void ExpectHashes(const std::string& name, const nlohmann::json& expected, size_t count, size_t block, const Add& add) {
  ASSERT_EQ(expected.size(), (count + block - 1) / block) << name;
  size_t num_wrong = 0;
  for (size_t b = 0; b < expected.size(); b += kTryEvery) {
    ShortSha256 hash;
    for (size_t i = b * block; i < std::min(count, (b + 1) * block); ++i) add(hash, i);
    if (hash.Finish() == expected[b].get<std::string>()) continue;
    if (++num_wrong <= 3) ADD_FAILURE() << name << ": items " << b * block << " to " << (b + 1) * block << " differ from the wheel's";
  }
  EXPECT_EQ(num_wrong, 0u) << name << ", of " << expected.size() << " blocks";
}

void ExpectAsTheWheel(const std::string& name, const Tokenizer& tokenizer, const nlohmann::json& hashes) {
  const WheelStrings& strings = Strings();
  const auto add_encoding = [&](ShortSha256& hash, const std::string& text) {
    hash.Add(Pack(tokenizer.Encode(text, {.with_offsets = true}), text));
  };
  ExpectHashes(name + " strings", hashes["strings"], strings.num_strings(), strings.block(),
               [&](ShortSha256& hash, size_t i) { add_encoding(hash, strings.Make(i)); });
  if (hashes.contains("scalars")) {
    ExpectHashes(name + " scalars", hashes["scalars"], 0x110000 - 0x800, strings.scalar_block(), [&](ShortSha256& hash, size_t i) {
      add_encoding(hash, WheelStrings::ScalarText(static_cast<char32_t>(i < 0xD800 ? i : i + 0x800)));
    });
  }
  ExpectHashes(name + " decoded", hashes["decoded"], strings.num_pairs(), strings.block(), [&](ShortSha256& hash, size_t i) {
    const std::vector<int32_t> ids = tokenizer.Encode(strings.Make(i)).token_ids;
    hash.Add(tokenizer.Decode(ids) + "\n" + tokenizer.Decode(ids, /*skip_special_tokens=*/false) + "\n");
  });
  ExpectHashes(name + " pairs", hashes["pairs"], strings.num_pairs(), strings.block(), [&](ShortSha256& hash, size_t i) {
    SplitMix64 random(i);
    const std::string first = strings.Make(i), second = strings.Make(i + 1);
    const size_t max_length = 3 + random.Below(40);
    const EncodeOptions options = {
        .add_special_tokens = random.Below(4) != 0, .with_offsets = true, .max_length = max_length, .truncate = true};
    hash.Add(Pack(tokenizer.EncodePair(first, second, options), first, second));
  });
}

TEST(Wheel, TestsUseTheStringsThatTheWheelWasGiven) {
  ExpectHashes("texts", ReadTestData("hashes.json")["texts"]["strings"], Strings().num_strings(), Strings().block(),
               [](ShortSha256& hash, size_t i) { hash.Add(Strings().Make(i) + std::string(1, '\0')); });
}

TEST(Wheel, EveryConfigurationGivesTheWheelsTokensAndOffsets) {
  const nlohmann::json hashes = ReadTestData("hashes.json");
  nlohmann::json configurations = ReadTestData("tokenizers.json");
  const std::string vocab_txt = ReadFile(std::string(MLAC_TEST_DATA) + "/text/vocab.txt", size_t{1} << 20);
  nlohmann::json vocab = nlohmann::json::object();
  for (size_t begin = 0; begin < vocab_txt.size();) {
    const size_t end = vocab_txt.find('\n', begin);
    vocab[vocab_txt.substr(begin, end - begin)] = vocab.size();
    begin = end + 1;
  }
  for (auto& [name, configuration] : configurations.items()) {
    if (configuration["model"]["vocab"].is_null()) configuration["model"]["vocab"] = vocab;
    test::TemporaryFolder folder;
    folder.Write("tokenizer.json", configuration.dump());
    ExpectAsTheWheel(name, Tokenizer::Load(folder.path()), hashes[name]);
  }
}

TEST(Wheel, AVocabTxtAloneGivesTheTokensOfTokenizerJson) {
  const nlohmann::json hashes = ReadTestData("hashes.json");
  const std::string vocab_txt = ReadFile(std::string(MLAC_TEST_DATA) + "/text/vocab.txt", size_t{1} << 20);
  test::TemporaryFolder folder;
  folder.Write("vocab.txt", vocab_txt);
  nlohmann::json uncased = hashes["uncased"];
  uncased.erase("scalars");
  ExpectAsTheWheel("vocab.txt", Tokenizer::Load(folder.path()), uncased);

  folder.Write("tokenizer_config.json", R"({"do_lower_case": false, "strip_accents": true, "tokenizer_class": "BertTokenizer"})");
  nlohmann::json cased = hashes["cased_without_accents"];
  cased.erase("scalars");
  ExpectAsTheWheel("vocab.txt, cased", Tokenizer::Load(folder.path()), cased);
}

// A long text is tokenised in parts; the wheel was given short ones only.
TEST(Wheel, ALongTextGivesTheTokensOfItsSentences) {
  const Tokenizer tokenizer = Tokenizer::Load(std::string(MLAC_TEST_DATA) + "/text");  // a vocab.txt alone
  const EncodeOptions options = {.add_special_tokens = false, .with_offsets = true};
  std::string text;
  std::vector<int32_t> ids;
  std::vector<TextSpan> offsets;
  for (size_t i = 0; i < 8000; ++i) {
    const std::string sentence = Strings().Make(i);
    if (sentence.find('[') != std::string::npos) continue;  // an added token would part the text
    const Encoding encoding = tokenizer.Encode(sentence, options);
    ids.insert(ids.end(), encoding.token_ids.begin(), encoding.token_ids.end());
    for (const TextSpan& span : encoding.offsets) offsets.push_back({span.begin + text.size(), span.end + text.size()});
    text += sentence + ". ";
    ids.push_back(tokenizer.FindToken("."));
    offsets.push_back({text.size() - 2, text.size() - 1});
  }
  ASSERT_GT(text.size(), size_t{200'000});
  const Encoding whole = tokenizer.Encode(text, options);
  EXPECT_EQ(whole.token_ids, ids);
  EXPECT_EQ(whole.offsets, offsets);
}

TEST(Wheel, TheRealMiniLmTokenizerGivesTheWheelsTokensAndOffsets) {
  const char* folder = std::getenv("MLAC_MINILM");
  if (folder == nullptr) GTEST_SKIP() << "MLAC_MINILM names no folder of the MiniLM model";
  ExpectAsTheWheel("minilm", Tokenizer::Load(folder), ReadTestData("hashes.json")["minilm"]);
}

}  // namespace
}  // namespace mlac
