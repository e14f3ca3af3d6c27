// Tokenizer files: what transformers and hand-written folders hold, and what is refused with which message.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/test_support.h"
#include "tests/text/small_tokenizer.h"

namespace mlac {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;

// Expects the small tokenizer.json, changed so, to be refused with "<path>: <message>".
void ExpectRefused(ErrorCode code, std::string_view message, const std::function<void(json&)>& change) {
  json content = json::parse(kSmallTokenizer);
  change(content);
  const test::TemporaryFolder folder;
  const std::string path = folder.Write("tokenizer.json", content.dump());
  test::ExpectError(code, path + ": " + std::string(message), [&] { Tokenizer::Load(folder.path()); });
}

void ExpectTextRefused(std::string_view content, std::string_view message) {
  const test::TemporaryFolder folder;
  const std::string path = folder.Write("tokenizer.json", content);
  test::ExpectError(ErrorCode::kInvalidInput, path + ": " + std::string(message), [&] { Tokenizer::Load(folder.path()); });
}

TEST(TokenizerFiles, AFolderWithoutOneIsNamed) {
  const test::TemporaryFolder folder;
  test::ExpectError(ErrorCode::kNotFound, folder.path() + ": has neither tokenizer.json nor vocab.txt",
                    [&] { Tokenizer::Load(folder.path()); });
}

TEST(TokenizerFiles, OtherTypesAreNamedWithWhatIsSupported) {
  const auto type = [](const char* part, const char* name) { return [=](json& content) { content[part]["type"] = name; }; };
  ExpectRefused(ErrorCode::kUnsupported, "model: type 'BPE' is not supported; supported: WordPiece", type("model", "BPE"));
  ExpectRefused(ErrorCode::kUnsupported, "normalizer: type 'Sequence' is not supported; supported: BertNormalizer",
                type("normalizer", "Sequence"));
  ExpectRefused(ErrorCode::kUnsupported, "pre_tokenizer: type 'Metaspace' is not supported; supported: BertPreTokenizer",
                type("pre_tokenizer", "Metaspace"));
  ExpectRefused(ErrorCode::kUnsupported,
                "post_processor: type 'ByteLevel' is not supported; supported: BertProcessing, RobertaProcessing, TemplateProcessing",
                type("post_processor", "ByteLevel"));
  ExpectRefused(ErrorCode::kUnsupported, "decoder: type 'ByteLevel' is not supported; supported: WordPiece", type("decoder", "ByteLevel"));
  ExpectRefused(ErrorCode::kUnsupported, "version is '2.0'; supported: 1.0", [](json& content) { content["version"] = "2.0"; });
}

TEST(TokenizerFiles, PartsMayBeAbsentButTheModel) {
  const Tokenizer tokenizer = LoadSmall([](json& content) {
    for (const char* key : {"normalizer", "pre_tokenizer", "post_processor", "version", "added_tokens"}) content.erase(key);
    content["decoder"] = nullptr;
    content["truncation"] = {{"max_length", 1}};  // ignored, as is padding
    content["padding"] = "anything";
  });
  EXPECT_THAT(tokenizer.Encode("cats").token_ids, ElementsAre(5, 7));
  EXPECT_THAT(tokenizer.Encode("Cats").token_ids, ElementsAre(1));
  EXPECT_THAT(tokenizer.EncodePair("cats", "dog").token_type_ids, ElementsAre(0, 0, 1));
  EXPECT_EQ(tokenizer.Decode(std::vector<int32_t>{5, 7}), "cat ##s");
  ExpectRefused(ErrorCode::kInvalidInput, "model: missing", [](json& content) { content.erase("model"); });
  ExpectRefused(ErrorCode::kInvalidInput, "model: missing", [](json& content) { content["model"] = nullptr; });
}

TEST(TokenizerFiles, AModelWithoutATypeIsWordPieceByItsFields) {
  EXPECT_THAT(LoadSmall([](json& content) { content["model"].erase("type"); }).Encode("dog").token_ids, ElementsAre(2, 6, 3));
  ExpectRefused(ErrorCode::kInvalidInput, "model.type: missing", [](json& content) {
    content["model"].erase("type");
    content["model"].erase("max_input_chars_per_word");
  });
}

TEST(TokenizerFiles, FieldsOfAnotherTypeAreNamed) {
  ExpectRefused(ErrorCode::kInvalidInput, "model: expected an object, found an array",
                [](json& content) { content["model"] = json::array(); });
  ExpectRefused(ErrorCode::kInvalidInput, "model.unk_token: expected a string, found a whole number",
                [](json& content) { content["model"]["unk_token"] = 1; });
  ExpectRefused(ErrorCode::kInvalidInput, "model.unk_token: missing", [](json& content) { content["model"].erase("unk_token"); });
  ExpectRefused(ErrorCode::kInvalidInput, "model.max_input_chars_per_word: expected a whole number, found a number that is not whole",
                [](json& content) { content["model"]["max_input_chars_per_word"] = 1.5; });
  ExpectRefused(ErrorCode::kInvalidInput, "model.max_input_chars_per_word: expected 0 to 9223372036854775807, found -1",
                [](json& content) { content["model"]["max_input_chars_per_word"] = -1; });
  ExpectRefused(ErrorCode::kInvalidInput, "model.vocab: expected an object, found an array", [](json& content) {
    content["model"]["vocab"] = {"a", "b"};
  });
  ExpectRefused(ErrorCode::kInvalidInput, "normalizer.lowercase: expected true or false, found null",
                [](json& content) { content["normalizer"]["lowercase"] = nullptr; });
  ExpectRefused(ErrorCode::kInvalidInput, "decoder.cleanup: missing", [](json& content) { content["decoder"].erase("cleanup"); });
  ExpectRefused(ErrorCode::kInvalidInput, "added_tokens[1].lstrip: missing",
                [](json& content) { content["added_tokens"][1].erase("lstrip"); });
  ExpectRefused(ErrorCode::kInvalidInput, "added_tokens[0].id: expected 0 to 2147483647, found -2",
                [](json& content) { content["added_tokens"][0]["id"] = -2; });
  ExpectRefused(ErrorCode::kInvalidInput, "added_tokens[0].id: expected 0 to 2147483647, found 18446744073709551615",
                [](json& content) { content["added_tokens"][0]["id"] = UINT64_MAX; });
}

TEST(TokenizerFiles, IdsThatCannotBeAreNamed) {
  const auto with_id = [](const json& id) { return [id](json& content) { content["model"]["vocab"]["bird"] = id; }; };
  ExpectRefused(ErrorCode::kInvalidInput, "model.vocab: tokens 'bird' and 'dog' share id 6", with_id(6));
  ExpectRefused(ErrorCode::kInvalidInput, "model.vocab: token 'bird' has id -1; expected 0 to 2147483647", with_id(-1));
  ExpectRefused(ErrorCode::kInvalidInput, "model.vocab: token 'bird' has id 2147483648; expected 0 to 2147483647", with_id(2147483648));
  ExpectRefused(ErrorCode::kInvalidInput, "model.vocab: token 'bird' has id 9223372036854775807; expected 0 to 2147483647",
                with_id(UINT64_MAX));
  ExpectRefused(ErrorCode::kInvalidInput, "model.vocab: the id of token 'bird' is a number that is not whole; expected a whole number",
                with_id(6.0));
  ExpectRefused(ErrorCode::kInvalidInput, "model.vocab: the id of token 'bird' is a string; expected a whole number", with_id("12"));
  ExpectRefused(ErrorCode::kInvalidInput, "model.vocab: the unknown token '[UNK]' is not among the 11 tokens",
                [](json& content) { content["model"]["vocab"].erase("[UNK]"); });
}

TEST(TokenizerFiles, KeysThatStandTwiceAreNamed) {
  std::string twice = kSmallTokenizer;
  twice.replace(twice.find("\"dog\": 6"), 8, "\"cat\": 6");
  ExpectTextRefused(twice, "model.vocab: token 'cat' stands twice, with ids 5 and 6");
  twice = kSmallTokenizer;
  twice.insert(1, "\"decoder\": null,");
  ExpectTextRefused(twice, "field 'decoder' stands twice");
}

TEST(TokenizerFiles, TokensInMessagesAreShortAndOnOneLine) {
  const std::string bird(1000, 'b');
  ExpectRefused(ErrorCode::kInvalidInput, "model.vocab: token 'a\\x0ab' has id -1; expected 0 to 2147483647",
                [](json& content) { content["model"]["vocab"]["a\nb"] = -1; });
  ExpectRefused(ErrorCode::kInvalidInput, "model.vocab: token '" + bird.substr(0, 60) + "...' has id -1; expected 0 to 2147483647",
                [&](json& content) { content["model"]["vocab"][bird] = -1; });
  ExpectRefused(ErrorCode::kInvalidInput, "model.vocab: token '" + bird.substr(0, 59) + "...' has id -1; expected 0 to 2147483647",
                [&](json& content) { content["model"]["vocab"][bird.substr(0, 59) + "\u00e9b"] = -1; });
}

TEST(TokenizerFiles, AddedTokensThatDoNotFitTheVocabularyAreNamed) {
  const auto add = [](const char* token, int64_t id, bool normalized = false) {
    return [=](json& content) {
      content["added_tokens"].push_back({{"id", id},
                                         {"content", token},
                                         {"single_word", false},
                                         {"lstrip", false},
                                         {"rstrip", false},
                                         {"normalized", normalized},
                                         {"special", false}});
    };
  };
  ExpectRefused(ErrorCode::kInvalidInput, "added_tokens: 'dog' has id 7; expected 6, as in the vocabulary", add("dog", 7));
  ExpectRefused(ErrorCode::kInvalidInput, "added_tokens: '<new>' has id 13; expected 12, the next one after the vocabulary's tokens",
                add("<new>", 13));
  ExpectRefused(ErrorCode::kInvalidInput, "added_tokens: '[CLS]' stands twice, with different ids or flags", add("[CLS]", 2));
  ExpectRefused(ErrorCode::kInvalidInput, "added_tokens: '<new>' would get id 12, which 'bird' has", [&](json& content) {
    content["model"]["vocab"].erase("dog");
    content["model"]["vocab"]["bird"] = 12;  // still twelve tokens
    add("<new>", 12)(content);
  });
  ExpectRefused(ErrorCode::kUnsupported, "added_tokens: '\u200b' (id 12) is empty once normalised, so that it would be found everywhere",
                add("\u200b", 12, /*normalized=*/true));
  ExpectRefused(ErrorCode::kUnsupported, "added_tokens: an added token of 1025 bytes; at most 1024 are supported",
                add(std::string(1025, 'x').c_str(), 12));
}

TEST(TokenizerFiles, TemplatesThatCannotBeFilledAreNamed) {
  ExpectRefused(ErrorCode::kInvalidInput, "post_processor.single[0].SpecialToken: '[BOS]' is not among special_tokens",
                [](json& content) { content["post_processor"]["single"][0]["SpecialToken"]["id"] = "[BOS]"; });
  ExpectRefused(ErrorCode::kInvalidInput, "post_processor.single[1].Sequence: sequence B stands in the template of a single text",
                [](json& content) { content["post_processor"]["single"][1]["Sequence"]["id"] = "B"; });
  ExpectRefused(ErrorCode::kInvalidInput, "post_processor.single[1].Sequence: expected sequence A or B, found 'C'",
                [](json& content) { content["post_processor"]["single"][1]["Sequence"]["id"] = "C"; });
  ExpectRefused(ErrorCode::kInvalidInput, "post_processor.single[1]: expected a Sequence or a SpecialToken",
                [](json& content) { content["post_processor"]["single"][1] = json::object(); });
  ExpectRefused(ErrorCode::kUnsupported, "post_processor.pair: sequence B is there 0 times; supported: each text once",
                [](json& content) { content["post_processor"]["pair"].erase(3); });
  ExpectRefused(ErrorCode::kUnsupported, "post_processor.single: sequence A is there 2 times; supported: each text once",
                [](json& content) {
                  json& single = content["post_processor"]["single"];
                  single.push_back(json(single[1]));
                });
  ExpectRefused(ErrorCode::kInvalidInput, "post_processor.cls: expected a token and its id", [](json& content) {
    content["post_processor"] = {{"type", "BertProcessing"}, {"cls", {"[CLS]"}}, {"sep", {"[SEP]", 3}}};
  });
}

TEST(TokenizerFiles, WhatIsNoJsonIsNamedWithItsPosition) {
  ExpectTextRefused("", "no valid JSON at byte 1: unexpected end of input; expected '[', '{', or a literal");
  ExpectTextRefused("[1]", "expected an object, found an array");
  const std::string deep = "{\"model\": " + std::string(100'000, '[');
  ExpectTextRefused(deep, "nested deeper than 64 levels");
}

TEST(TokenizerFiles, CutAtAnyByteItIsRefused) {
  const std::string whole = kSmallTokenizer;
  ASSERT_EQ(whole.back(), '}');
  const test::TemporaryFolder folder;
  for (size_t size = 0; size < whole.size(); ++size) {
    folder.Write("tokenizer.json", whole.substr(0, size));
    try {
      Tokenizer::Load(folder.path());
      ADD_FAILURE() << "loaded after " << size << " bytes";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidInput) << size;
      EXPECT_EQ(error.message().find('\n'), std::string::npos) << size;
    }
  }
}

TEST(TokenizerFiles, ABitThatFlipsIsRefusedOrHarmless) {
  const std::string whole = kSmallTokenizer;
  const test::TemporaryFolder folder;
  size_t num_refused = 0;
  for (size_t byte = 0; byte < whole.size(); ++byte) {
    std::string flipped = whole;
    flipped[byte] = static_cast<char>(flipped[byte] ^ 1 << byte % 8);  // the fuzz target tries the other bits
    folder.Write("tokenizer.json", flipped);
    try {
      const Tokenizer tokenizer = Tokenizer::Load(folder.path());
      tokenizer.Decode(tokenizer.EncodePair("Cats [MASK] a\u0301", "dog.", {.with_offsets = true}).token_ids);
    } catch (const Error& error) {
      ++num_refused;
      EXPECT_NE(error.code(), ErrorCode::kInternal) << byte;
      EXPECT_EQ(error.message().find('\n'), std::string::npos) << byte;
    }
  }
  EXPECT_GT(num_refused, whole.size() / 4);
}

TEST(TokenizerFiles, TokenizerConfigGoesBeforeTheNormalizerAsInTransformers) {
  const test::TemporaryFolder folder;
  folder.Write("tokenizer.json", kSmallTokenizer);
  folder.Write("tokenizer_config.json", R"({"do_lower_case": false, "strip_accents": true, "tokenizer_class": "BertTokenizer"})");
  const Tokenizer bert = Tokenizer::Load(folder.path());
  EXPECT_FALSE(bert.lowercases());
  EXPECT_TRUE(bert.strips_accents());
  folder.Write("tokenizer_config.json", R"({"do_lower_case": false, "tokenizer_class": "PreTrainedTokenizerFast"})");
  EXPECT_TRUE(Tokenizer::Load(folder.path()).lowercases());
  folder.Write("tokenizer_config.json",
               R"({"strip_accents": null, "do_lower_case": null, "model_max_length": 1000000000000000019884624838656})");
  EXPECT_TRUE(Tokenizer::Load(folder.path()).strips_accents());
}

TEST(TokenizerFiles, BrokenTokenizerConfigsAreNamed) {
  const test::TemporaryFolder folder;
  folder.Write("tokenizer.json", kSmallTokenizer);
  const auto refused = [&](std::string_view content, std::string_view message) {
    const std::string path = folder.Write("tokenizer_config.json", content);
    test::ExpectError(ErrorCode::kInvalidInput, path + ": " + std::string(message), [&] { Tokenizer::Load(folder.path()); });
  };
  refused("[]", "expected an object");
  refused(R"({"do_lower_case": "yes"})", "do_lower_case is of type string; expected true or false");
  refused(R"({"cls_token": 3})", "cls_token is of type number; expected a string or an object with \"content\"");
  refused(R"({"cls_token": {}})", "cls_token has no \"content\"");
  refused(R"({"cls_token": {"content": 7}})", "cls_token.content is of type number; expected a string");
  refused(R"({"additional_special_tokens": "x"})", "additional_special_tokens is of type string; expected an array");
  refused(R"({"added_tokens_decoder": {"x": {"content": "y"}}})", "'added_tokens_decoder.x': expected an id from 0 as the key");
  refused(R"({"added_tokens_decoder": {"-1": {"content": "y"}}})", "'added_tokens_decoder.-1': expected an id from 0 as the key");
  refused(R"({"added_tokens_decoder": []})", "added_tokens_decoder is of type array; expected an object");
}

constexpr char kVocabTxt[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\ncat\nCat\n##s\n";

TEST(TokenizerFiles, AVocabTxtTakesItsOptionsFromTokenizerConfig) {
  const test::TemporaryFolder folder;
  folder.Write("vocab.txt", kVocabTxt);
  EXPECT_THAT(Tokenizer::Load(folder.path()).Encode("Cats [MASK]").token_ids, ElementsAre(2, 5, 7, 4, 3));
  folder.Write("tokenizer_config.json", R"({"do_lower_case": false, "cls_token": {"content": "[PAD]", "lstrip": false}})");
  EXPECT_THAT(Tokenizer::Load(folder.path()).Encode("Cats").token_ids, ElementsAre(0, 6, 7, 3));
  // An id after the vocabulary's, as transformers 4.34 and newer say it, and as version 3 did.
  folder.Write("tokenizer_config.json", R"({"added_tokens_decoder": {"8": {"content": "<x>", "lstrip": true, "special": false}}})");
  EXPECT_THAT(Tokenizer::Load(folder.path()).Encode("cat <x>").token_ids, ElementsAre(2, 5, 8, 3));
  folder.Write("tokenizer_config.json", "{}");
  folder.Write("added_tokens.json", R"({"<y>": 9, "<x>": 8})");
  EXPECT_THAT(Tokenizer::Load(folder.path()).Encode("<y><X>").token_ids, ElementsAre(2, 9, 8, 3));
}

TEST(TokenizerFiles, AVocabTxtMayHaveWindowsLinesNoLastNewlineAndLinesThatStandTwice) {
  const test::TemporaryFolder folder;
  folder.Write("vocab.txt", "[PAD]\r\n[UNK]\r\n[CLS]\r\n[SEP]\r\ncat\r\n\r\ncat\r\n##s");
  const Tokenizer tokenizer = Tokenizer::Load(folder.path());
  EXPECT_THAT(tokenizer.Encode("cats").token_ids, ElementsAre(2, 6, 7, 3));
  EXPECT_EQ(tokenizer.TokenOf(4).data(), nullptr);
  EXPECT_EQ(tokenizer.special_ids().mask, -1);
}

TEST(TokenizerFiles, BrokenVocabTxtsAreNamed) {
  const test::TemporaryFolder folder;
  const auto refused = [&](ErrorCode code, std::string_view content, std::string_view message) {
    const std::string path = folder.Write("vocab.txt", content);
    test::ExpectError(code, path + ": " + std::string(message), [&] { Tokenizer::Load(folder.path()); });
  };
  refused(ErrorCode::kInvalidInput, "", "the unknown token '[UNK]' is not among the 0 tokens");
  refused(ErrorCode::kInvalidInput, "[UNK]\na\n", "the cls_token '[CLS]' is not among the 2 tokens");
  refused(ErrorCode::kInvalidInput, "[UNK]\n[CLS]\n", "the sep_token '[SEP]' is not among the 2 tokens");
  refused(ErrorCode::kInvalidInput, "[UNK]\n\xff\n", "invalid UTF-8 at byte 6");
  folder.Write("tokenizer_config.json", R"({"tokenizer_class": "RobertaTokenizer"})");
  refused(ErrorCode::kUnsupported, kVocabTxt,
          "tokenizer_config.json has tokenizer_class 'RobertaTokenizer'; with a vocab.txt, supported: BertTokenizer, DistilBertTokenizer, "
          "ElectraTokenizer, MobileBertTokenizer, MPNetTokenizer");
}

}  // namespace
}  // namespace mlac
