#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "hub/store.h"
#include "pipelines/text_model.h"
#include "project/recorded_answers.h"
#include "serve/model_origin.h"
#include "serve/model_server.h"
#include "tests/http/raw_client.h"
#include "tests/serve/server_fixture.h"

namespace mlac {
namespace {

using nlohmann::json;

std::string Fixture(const std::string& name) { return MLAC_TEST_FIXTURES "/models/" + name; }

// What the folder's model gives for texts by itself.
std::vector<std::vector<float>> Alone(const std::string& folder, const std::vector<std::string>& texts, bool classify) {
  TextModel model(folder);
  std::vector<std::vector<float>> rows;
  for (const std::string& text : texts) {
    const TokenBatch batch = model.Encode(std::vector<TextInput>{{text, std::nullopt}}).batch;
    rows.push_back(classify ? Probabilities(model.Logits(batch), model.label_names().size()) : model.Embed(batch));
  }
  return rows;
}

const std::vector<std::string> kTexts = {"hello", "a large striped cat", "x y z, and more", "hello"};

std::string Ask(int port, const std::string& path, const json& body) {
  RawClient client(port);
  client.Send(PostJson(path, body.dump()));
  const RawAnswer answer = client.Receive();
  EXPECT_EQ(answer.status, 200) << answer.body;
  return answer.body;
}

std::unique_ptr<ModelServer> Serve(const std::string& folder) {
  std::vector<NamedModel> models;
  models.push_back({"m", OpenServedModel(folder)});
  return std::make_unique<ModelServer>(std::move(models), ModelServerOptions{.http = {.port = 0}});
}

// A copy of a fixture that is a folder of sentence-transformers with these modules behind the encoder.
void MakeSentenceFolder(const test::TemporaryFolder& folder, bool normalizes) {
  std::filesystem::copy(Fixture("embedding"), folder.path(), std::filesystem::copy_options::recursive);
  json modules = {{{"idx", 0}, {"name", "0"}, {"path", ""}, {"type", "sentence_transformers.models.Transformer"}},
                  {{"idx", 1}, {"name", "1"}, {"path", "1_Pooling"}, {"type", "sentence_transformers.models.Pooling"}}};
  if (normalizes) modules.push_back({{"idx", 2}, {"name", "2"}, {"path", "2_Normalize"}, {"type", "sentence_transformers.models.Normalize"}});
  folder.Write("modules.json", modules.dump());
  folder.Write("1_Pooling/config.json", R"({"pooling_mode_mean_tokens": true})");
  folder.Write("config_sentence_transformers.json", R"({"prompts": {"query": "find "}, "default_prompt_name": null})");
}

TEST(FolderModel, KnowsByTheRecordOfItsTrainingThatItLearntFromSingleTexts) {
  const test::TemporaryFolder folder;
  std::filesystem::copy(Fixture("classifier"), folder.path(), std::filesystem::copy_options::recursive);
  const auto reads_single_texts = [&](const json& record) {
    folder.Write("training.json", record.is_string() ? record.get<std::string>() : record.dump());
    return OpenServedModel(folder.path())->reads_single_texts();
  };
  std::filesystem::remove(folder / "training.json");
  EXPECT_FALSE(OpenServedModel(folder.path())->reads_single_texts()) << "no record";
  json record = {
      {"format_version", 1}, {"task", "text-classification"}, {"reading", {{"text-column", "text"}, {"target-column", "label"}}}};
  EXPECT_TRUE(reads_single_texts(record));
  record["reading"]["text-pair-column"] = "second";
  EXPECT_FALSE(reads_single_texts(record));
  record["reading"] = json::object();
  EXPECT_FALSE(reads_single_texts(record)) << "a folder of texts by label, of an mlac that says no more";
  record.erase("reading");
  EXPECT_FALSE(reads_single_texts(record));
  EXPECT_FALSE(reads_single_texts({{"task", "text-classification"}, {"reading", {{"text-column", "text"}}}})) << "another program's";
  EXPECT_FALSE(reads_single_texts("no JSON"));
}

TEST(FolderModel, ServesTheBitsThatTheModelGivesByItself) {
  for (const bool normalizes : {false, true}) {
    const test::TemporaryFolder folder;
    MakeSentenceFolder(folder, normalizes);
    const std::vector<std::vector<float>> alone = Alone(folder.path(), kTexts, false);
    const auto server = Serve(folder.path());
    const json answer = json::parse(Ask(server->port(), "/v1/embeddings", {{"input", kTexts}}));
    for (size_t i = 0; i < kTexts.size(); ++i) EXPECT_EQ(answer.at("data")[i].at("embedding").get<std::vector<float>>(), alone[i]) << normalizes;
  }
}

TEST(FolderModel, NormalizesAsTheFoldersOwnModuleWouldAndGivesRawVectorsWhereAsked) {
  const test::TemporaryFolder raw, normalized;
  MakeSentenceFolder(raw, false);
  MakeSentenceFolder(normalized, true);
  const std::vector<std::vector<float>> raw_rows = Alone(raw.path(), kTexts, false), normalized_rows = Alone(normalized.path(), kTexts, false);
  EXPECT_NE(raw_rows, normalized_rows);
  for (const std::string& folder : {raw.path(), normalized.path()}) {
    const auto server = Serve(folder);
    using Rows = std::vector<std::vector<float>>;
    EXPECT_EQ(json::parse(Ask(server->port(), "/embed", {{"inputs", kTexts}})).get<Rows>(), normalized_rows);
    EXPECT_EQ(json::parse(Ask(server->port(), "/embed", {{"inputs", kTexts}, {"normalize", false}})).get<Rows>(), raw_rows);
  }
}

TEST(FolderModel, ReadsThePromptsOfTheFolder) {
  const test::TemporaryFolder folder;
  MakeSentenceFolder(folder, true);
  EXPECT_EQ(OpenServedModel(folder.path())->prompts().texts, (std::map<std::string, std::string>{{"query", "find "}}));
  const auto server = Serve(folder.path());
  EXPECT_EQ(Ask(server->port(), "/embed", {{"inputs", "a"}, {"prompt_name", "query"}}), Ask(server->port(), "/embed", {{"inputs", "find a"}}));
  folder.Write("config_sentence_transformers.json", R"({"prompts": {"query": 7}})");
  test::ExpectError(ErrorCode::kInvalidInput, (folder / "config_sentence_transformers.json") + ": the prompt 'query' is no text",
                    [&] { OpenServedModel(folder.path()); });
}

// A check by an answer that was recorded when the model was published is left out where the text is too long for the model as it is served,
// which the prompt may make it.
TEST(FolderModel, IsNotCheckedByATextThatIsTooLongBehindItsPrompt) {
  const test::TemporaryFolder folder;
  const std::string path = folder / "model";
  std::filesystem::copy(Fixture("st_mean"), path, std::filesystem::copy_options::recursive);
  folder.Write("model/config_sentence_transformers.json", R"({"prompts": {"query": "the light "}, "default_prompt_name": "query"})");
  const std::vector<TextInput> inputs = {{"a cat", std::nullopt}};
  WriteRecordedAnswers(folder / kAnswersFile, RecordAnswers(path, "feature-extraction", inputs, 1));
  const Store store = Store::OpenOrCreate(folder / "store");
  Record record = {.name = "m", .revision = ""};
  record.answers = store.Add(folder / kAnswersFile, {.name = "m.answers", .revision = "", .kind = ArtefactKind::kData});
  const std::string revision = store.Add(path, record);
  const size_t length = TextModel(path).tokenizer().Encode("the light a cat").token_ids.size();
  for (const size_t max_length : {length, length - 1}) {
    const ModelOrigin origin = OriginOf(store, "m", store.OpenFolder(revision));
    ASSERT_EQ(origin.checks.size(), 1u);
    EXPECT_NO_THROW(origin.checks[0](*OpenServedModel(path, {.num_threads = 1, .max_length = max_length}))) << max_length;
  }
}

// Both that sentence-transformers folders say of prompts, over each way in which vectors are asked for: the bits of `mlac run`.
TEST(FolderModel, PutsTheDefaultPromptBeforeEachTextAndLeavesItsTokensOutWhereTheFolderSaysSo) {
  for (const bool pools_prompt : {true, false}) {
    const test::TemporaryFolder folder;
    MakeSentenceFolder(folder, true);
    folder.Write("1_Pooling/config.json", json({{"pooling_mode_mean_tokens", true}, {"include_prompt", pools_prompt}}).dump());
    folder.Write("config_sentence_transformers.json",
                 R"({"prompts": {"query": "the light ", "document": ""}, "default_prompt_name": "query"})");
    TextModel model(folder.path());
    const auto alone = [&](const std::string& prompt) {
      std::vector<TextInput> texts;
      for (const std::string& text : kTexts) texts.push_back({text, std::nullopt});
      const EncodedTexts encoded = model.EncodeWithPrompt(texts, prompt);
      EXPECT_EQ(encoded.pooled_from.size(), pools_prompt || prompt.empty() ? 0 : texts.size());
      const std::vector<float> values = model.Embed(encoded.batch, /*normalize=*/true, encoded.pooled_from);
      std::vector<std::vector<float>> rows;
      for (size_t i = 0; i < texts.size(); ++i)
        rows.emplace_back(values.begin() + static_cast<ptrdiff_t>(i * model.embedding_size()),
                          values.begin() + static_cast<ptrdiff_t>((i + 1) * model.embedding_size()));
      return rows;
    };
    const auto server = Serve(folder.path());
    using Rows = std::vector<std::vector<float>>;
    EXPECT_EQ(json::parse(Ask(server->port(), "/embed", {{"inputs", kTexts}})).get<Rows>(), alone("the light "));
    EXPECT_EQ(json::parse(Ask(server->port(), "/", {{"inputs", kTexts}})).get<Rows>(), alone("the light "));
    EXPECT_EQ(json::parse(Ask(server->port(), "/embed", {{"inputs", kTexts}, {"prompt_name", "document"}})).get<Rows>(), alone(""));
    const json answer = json::parse(Ask(server->port(), "/v1/embeddings", {{"input", kTexts}}));
    for (size_t i = 0; i < kTexts.size(); ++i)
      EXPECT_EQ(answer.at("data")[i].at("embedding").get<std::vector<float>>(), alone("the light ")[i]);
    EXPECT_NE(alone("the light "), alone(""));
  }
}

TEST(FolderModel, ServesAClassifierWithTheProbabilitiesThatItGivesByItself) {
  const std::string folder = Fixture("classifier");
  const auto model = OpenServedModel(folder);
  ASSERT_TRUE(model->is_classifier());
  const std::vector<std::vector<float>> alone = Alone(folder, kTexts, true);
  const auto server = Serve(folder);
  json inputs = json::array();
  for (const std::string& text : kTexts) inputs.push_back({text});
  const json answer = json::parse(Ask(server->port(), "/predict", {{"inputs", inputs}}));
  for (size_t i = 0; i < kTexts.size(); ++i)
    for (const json& prediction : answer[i]) {
      const auto label = std::find(model->label_names().begin(), model->label_names().end(), prediction.at("label").get<std::string>());
      EXPECT_EQ(prediction.at("score").get<float>(), alone[i].at(static_cast<size_t>(label - model->label_names().begin())));
    }
}

}  // namespace
}  // namespace mlac
