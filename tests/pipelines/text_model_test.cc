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
  std::string tokenizer = test::ReadWhole(folder / "tokenizer.json");
  const std::string from = "\"lowercase\": true";
  const size_t at = tokenizer.find(from);
  ASSERT_NE(at, std::string::npos);
  if (!tokenizer_lowers) tokenizer.replace(at, from.size(), "\"lowercase\": false");
  folder.Write("tokenizer.json", tokenizer);
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
