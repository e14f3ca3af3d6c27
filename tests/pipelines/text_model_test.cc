#include "pipelines/text_model.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
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

}  // namespace
}  // namespace mlac
