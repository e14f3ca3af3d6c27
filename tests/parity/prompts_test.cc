// Prompts of sentence-transformers folders against the library itself in float64, which wrote them and its answers (prompts_fixtures.py).
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "pipelines/task.h"
#include "tests/support/numbers.h"
#include "tests/support/reference.h"
#include "tests/support/test_support.h"

namespace mlac {
namespace {

using nlohmann::json;

constexpr double kBound = 1e-5;

// models/st_mean with these settings in its files.
void MakeFolder(const test::TemporaryFolder& folder, const json& settings) {
  std::filesystem::copy(test::FixturePath("models/st_mean"), folder.path(), std::filesystem::copy_options::recursive);
  folder.Write(
      "1_Pooling/config.json",
      json({{"embedding_dimension", 32}, {"pooling_mode", settings.at("pooling")}, {"include_prompt", settings.at("include_prompt")}})
          .dump());
  folder.Write("config_sentence_transformers.json",
               json({{"prompts", settings.at("prompts")}, {"default_prompt_name", settings.at("default_prompt_name")}}).dump());
}

TaskOptions OptionsOf(const json& given) {
  TaskOptions options = {.format = OutputFormat::kJson};
  if (given.contains("prompt")) options.prompt = given.at("prompt").get<std::string>();
  if (given.contains("prompt_name")) options.prompt_name = given.at("prompt_name").get<std::string>();
  return options;
}

// The vectors of feature-extraction, given the texts in chunks of this size.
json VectorsOf(TextModel& model, const TaskOptions& options, const std::vector<TextInput>& texts, size_t chunk) {
  const std::unique_ptr<Task> task = MakeFeatureExtraction(options);
  std::string out;
  task->Begin(out);
  for (size_t i = 0; i < texts.size(); i += chunk) task->Add(model, std::span(texts).subspan(i, std::min(chunk, texts.size() - i)), out);
  task->End(out);
  return json::parse(out);
}

TEST(PromptParity, VectorsAreThoseOfSentenceTransformers) {
  size_t count = 0;
  for (const json& entry : ReadJsonFile(test::FixturePath("prompts/prompts.json"))) {
    const test::TemporaryFolder folder;
    MakeFolder(folder, entry);
    TextModel model(folder.path(), {.num_threads = 2, .truncate = true});
    std::vector<TextInput> texts;
    for (const std::string text : entry.at("texts")) texts.push_back({text, std::nullopt});
    const json found = VectorsOf(model, OptionsOf(entry.at("given")), texts, texts.size());
    const std::string where = entry.at("pooling").get<std::string>() + ", " + entry.at("given").dump() + ", default " +
                              entry.at("default_prompt_name").dump() + ", include_prompt " + entry.at("include_prompt").dump();
    for (size_t i = 0; i < texts.size(); ++i) {
      const auto expected = entry.at("embeddings")[i].get<std::vector<double>>();
      ASSERT_EQ(found[i].size(), expected.size());
      for (size_t j = 0; j < expected.size(); ++j) EXPECT_NEAR(found[i][j].get<double>(), expected[j], kBound) << where << ", text " << i;
    }
    EXPECT_EQ(VectorsOf(model, OptionsOf(entry.at("given")), texts, 1), found) << where << ", one by one";
    ++count;
  }
  EXPECT_GE(count, 16u);
}

// A folder of CrossEncoder: its query gets the default prompt where the library reads that.
TEST(PromptParity, RanksAsCrossEncodersOfSentenceTransformersDo) {
  size_t count = 0, num_prompted = 0;
  for (const json& entry : ReadJsonFile(test::FixturePath("prompts/ranking.json"))) {
    const test::TemporaryFolder folder;
    std::filesystem::copy(test::FixturePath("families/mpnet_reranker"), folder.path(), std::filesystem::copy_options::recursive);
    folder.Write("config_sentence_transformers.json", entry.at("config").dump());
    if (entry.at("has_modules").get<bool>())
      folder.Write("modules.json",
                   R"([{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.base.modules.transformer.Transformer"}])");
    TextModel model(folder.path(), {.num_threads = 2, .truncate = true});
    std::vector<TextInput> texts;
    for (const std::string text : entry.at("texts")) texts.push_back({text, std::nullopt});
    const std::unique_ptr<Task> task =
        MakeTextRanking({.format = OutputFormat::kJson, .query = entry.at("query").get<std::string>(), .raw_scores = true});
    std::string out;
    task->Begin(out);
    task->Add(model, texts, out);
    task->End(out);
    const auto expected = entry.at("logits").get<std::vector<double>>();
    for (const json& found : json::parse(out))
      EXPECT_NEAR(found.at("score").get<double>(), expected[found.at("index").get<size_t>()], kBound) << entry.at("config");
    EXPECT_EQ(model.prompts().Default() == "", entry.at("config").at("model_type") == "CrossEncoder") << entry.at("config");
    num_prompted += model.ranking_prompts().Default() != "";
    ++count;
  }
  EXPECT_EQ(count, 6u);
  EXPECT_EQ(num_prompted, 1u);
}

TEST(Prompts, OnlyThoseOfTheModelHaveNamesAndADefaultIsOneOfThem) {
  const json settings = {{"pooling", "mean"},
                         {"include_prompt", true},
                         {"prompts", {{"query", "find "}, {"empty", nullptr}}},
                         {"default_prompt_name", nullptr}};
  const test::TemporaryFolder folder;
  MakeFolder(folder, settings);
  TextModel model(folder.path());
  EXPECT_EQ(model.prompts().Default(), "");
  EXPECT_EQ(model.prompts().Find("empty"), "");
  const std::vector<TextInput> one = {{"a", std::nullopt}};
  test::ExpectError(ErrorCode::kInvalidArgument, "no prompt of the model is called 'passage'",
                    [&] { VectorsOf(model, {.format = OutputFormat::kJson, .prompt_name = "passage"}, one, 1); });
  test::ExpectError(ErrorCode::kInvalidArgument, "--prompt and --prompt-name exclude each other",
                    [] { MakeFeatureExtraction({.prompt = "a", .prompt_name = "query"}); });
  test::ExpectError(ErrorCode::kInvalidArgument, "--prompt and --prompt-name exclude each other",
                    [] { MakeSentenceSimilarity({.prompt = "a", .prompt_name = "query"}); });

  const auto refused = [&](const char* config, const std::string& message) {
    folder.Write("config_sentence_transformers.json", config);
    test::ExpectError(ErrorCode::kInvalidInput, (folder / "config_sentence_transformers.json") + ": " + message,
                      [&] { TextModel(folder.path()); });
  };
  refused(R"({"prompts": {"query": 7}})", "the prompt 'query' is no text");
  refused(R"({"prompts": []})", "'prompts' is no object");
  refused(R"({"default_prompt_name": 7})", "'default_prompt_name' is no text");
  refused(R"({"prompts": {"query": "a"}, "default_prompt_name": "passage"})", "default_prompt_name 'passage' is none of its prompts");
  refused(R"({"model_type": "CrossEncoder", "default_prompt_name": "query"})", "default_prompt_name 'query' is none of its prompts");
  folder.Write("config_sentence_transformers.json", R"({"default_prompt_name": "document"})");  // which every model of vectors has, empty
  EXPECT_EQ(TextModel(folder.path()).prompts().Default(), "");
}

// A text that goes on with the prompt's last word may have no token behind the prompt's; one is pooled all the same.
TEST(Prompts, ATextThatMeltsIntoItsPromptKeepsAToken) {
  const test::TemporaryFolder folder;
  MakeFolder(folder, {{"pooling", "mean"}, {"include_prompt", false}, {"prompts", json::object()}, {"default_prompt_name", nullptr}});
  TextModel model(folder.path());
  const std::vector<TextInput> one = {{"t", std::nullopt}};  // "ca" is two tokens, "cat" is one
  const EncodedTexts encoded = model.EncodeWithPrompt(one, "ca");
  EXPECT_EQ(encoded.batch.num_tokens(), 3u);
  EXPECT_EQ(encoded.pooled_from, std::vector<size_t>{2});
  EXPECT_EQ(VectorsOf(model, {.format = OutputFormat::kJson, .prompt = "ca"}, one, 1)[0].size(), 32u);
}

}  // namespace
}  // namespace mlac
