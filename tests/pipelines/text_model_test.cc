#include "pipelines/text_model.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "tests/support/reference.h"
#include "tests/support/test_support.h"

namespace mlac {
namespace {

using test::ExpectError;
using test::FixturePath;

// A copy of a sentence encoder whose tokenizer keeps capitals or not, and which asks for lower case or not.
void WriteEncoder(const test::TemporaryFolder& folder, bool tokenizer_lowers, const std::string& settings) {
  std::filesystem::copy(FixturePath("models/st_mean"), folder.path(), std::filesystem::copy_options::recursive);
  // transformers' tokenizers obey this file before the normaliser of tokenizer.json.
  folder.Write("tokenizer_config.json", fmt::format(R"({{"tokenizer_class": "BertTokenizer", "do_lower_case": {}}})", tokenizer_lowers));
  folder.Write("sentence_bert_config.json", settings);
}

TEST(TextModel, OpensWhereLowerCaseChangesNothing) {
  for (const auto& [lowers, settings] : {std::pair{true, R"({"do_lower_case": true})"}, {true, R"({"do_lower_case": false})"},
                                         {false, R"({"do_lower_case": false})"}, {false, "{}"}}) {
    const test::TemporaryFolder folder;
    WriteEncoder(folder, lowers, settings);
    EXPECT_NO_THROW(TextModel(folder.path())) << settings;
  }
}

TEST(TextModel, RefusesLowerCaseThatTheTokenizerWouldNotGive) {
  const test::TemporaryFolder folder;
  WriteEncoder(folder, /*tokenizer_lowers=*/false, R"({"do_lower_case": true})");
  ExpectError(ErrorCode::kUnsupported, fmt::format("{}/sentence_bert_config.json: do_lower_case is true, but the tokenizer keeps capitals", folder.path()),
              [&] { TextModel model(folder.path()); });
}

// A text that is blank has no first token and no mean of its tokens where the tokenizer adds none of its own.
TEST(TextModel, RefusesATextWithoutTokensAndNamesItsPlace) {
  for (const char* fixture : {"models/st_mean", "models/classifier"}) {
    const test::TemporaryFolder folder;
    std::filesystem::copy(FixturePath(fixture), folder.path(), std::filesystem::copy_options::recursive);
    nlohmann::json tokenizer = ReadJsonFile(folder / "tokenizer.json");
    tokenizer["post_processor"] = nullptr;
    folder.Write("tokenizer.json", tokenizer.dump());
    const TextModel model(folder.path());
    const std::string message = "expected a text with tokens, found none: the tokenizer keeps nothing of it and adds nothing";
    const TextInput cat = {"a cat", std::nullopt}, blank = {" ", std::nullopt}, read = {"", std::nullopt, "in.csv line 3"};
    const std::vector<TextInput> alone = {blank}, second = {cat, blank}, placed = {read};
    ExpectError(ErrorCode::kInvalidInput, message, [&] { model.Encode(alone); });
    ExpectError(ErrorCode::kInvalidInput, "text 2: " + message, [&] { model.Encode(second); });
    ExpectError(ErrorCode::kInvalidInput, "in.csv line 3: " + message, [&] { model.Encode(placed); });
    mlac::Run run;
    const TokenBatch batch = {.token_ids = {5, 6}, .token_type_ids = {0, 0}, .offsets = {0, 2, 2}};
    ExpectError(ErrorCode::kInvalidInput, "sequence 1 of the batch has no tokens", [&] { model.model().SequenceFeatures(run, batch); });
  }
}

}  // namespace
}  // namespace mlac
