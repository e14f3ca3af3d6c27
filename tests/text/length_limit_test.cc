#include "text/length_limit.h"

#include <gtest/gtest.h>

#include "tests/support/test_support.h"

namespace mlac {
namespace {

void ExpectLimit(const LengthLimit& limit, size_t num_tokens, std::string_view source) {
  EXPECT_EQ(limit.num_tokens, num_tokens);
  EXPECT_EQ(limit.source, source);
}

TEST(LengthLimit, ComesFromTheFirstPlaceThatSaysOne) {
  const test::TemporaryFolder folder;
  ExpectLimit(FindLengthLimit(folder.path(), std::nullopt, 512), 512, "config.json");
  folder.Write("tokenizer_config.json", R"({"model_max_length": 500})");
  ExpectLimit(FindLengthLimit(folder.path(), std::nullopt, 512), 500, "tokenizer_config.json");
  folder.Write("sentence_bert_config.json", R"({"max_seq_length": 256})");
  ExpectLimit(FindLengthLimit(folder.path(), std::nullopt, 512), 256, "sentence_bert_config.json");
  ExpectLimit(FindLengthLimit(folder.path(), 300, 512), 300, "--max-length");
}

TEST(LengthLimit, NeverExceedsThePositionsOfTheModel) {
  const test::TemporaryFolder folder;
  folder.Write("tokenizer_config.json", R"({"model_max_length": 513})");
  ExpectLimit(FindLengthLimit(folder.path(), std::nullopt, 513), 513, "tokenizer_config.json");
  ExpectLimit(FindLengthLimit(folder.path(), std::nullopt, 512), 512, "config.json");
  ExpectLimit(FindLengthLimit(folder.path(), 512, 512), 512, "--max-length");
  test::ExpectError(ErrorCode::kInvalidArgument, "--max-length 513 is above the model's max_position_embeddings 512",
                    [&] { FindLengthLimit(folder.path(), 513, 512); });
  test::ExpectError(ErrorCode::kInvalidArgument, "--max-length 0: expected 1 or more", [&] { FindLengthLimit(folder.path(), 0, 512); });
}

TEST(LengthLimit, AHugeOrAbsentOneIsNone) {
  const test::TemporaryFolder folder;
  ExpectLimit(FindLengthLimit(folder.path(), std::nullopt, 0), 0, "");
  // What transformers writes for a tokenizer without a limit.
  folder.Write("tokenizer_config.json", R"({"model_max_length": 1000000000000000019884624838656})");
  EXPECT_EQ(FindLengthLimit(folder.path(), std::nullopt, 0).num_tokens, 0u);
  ExpectLimit(FindLengthLimit(folder.path(), std::nullopt, 128), 128, "config.json");
  folder.Write("tokenizer_config.json", R"({"model_max_length": null})");
  folder.Write("sentence_bert_config.json", R"({"max_seq_length": null, "do_lower_case": false})");
  ExpectLimit(FindLengthLimit(folder.path(), std::nullopt, 128), 128, "config.json");
}

TEST(LengthLimit, RefusesWhatIsNoLength) {
  const test::TemporaryFolder folder;
  const auto refused = [&](std::string_view value, std::string_view found) {
    const std::string path = folder.Write("sentence_bert_config.json", "{\"max_seq_length\": " + std::string(value) + "}");
    test::ExpectError(ErrorCode::kInvalidInput, path + ": max_seq_length: expected a whole number from 1, found " + std::string(found),
                      [&] { FindLengthLimit(folder.path(), std::nullopt, 512); });
  };
  refused("0", "0");
  refused("-1", "-1");
  refused("12.5", "12.5");
  refused("\"256\"", "string");
  refused("[256]", "array");
  const std::string path = folder.Write("sentence_bert_config.json", "[]");
  test::ExpectError(ErrorCode::kInvalidInput, path + ": expected an object", [&] { FindLengthLimit(folder.path(), std::nullopt, 512); });
}

}  // namespace
}  // namespace mlac
