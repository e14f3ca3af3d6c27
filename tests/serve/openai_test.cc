#include "serve/openai.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "tests/serve/server_fixture.h"

namespace mlac {
namespace {

using nlohmann::json;

class OpenAiTest : public ModelServerTest {
 protected:
  std::string Post(const std::string& body) { return PostJson("/v1/embeddings", body); }
};

std::vector<float> DecodeBase64(const std::string& text) {
  std::vector<unsigned char> bytes;
  uint32_t bits = 0;
  int num_bits = 0;
  const std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (const char c : text) {
    if (c == '=') break;
    bits = bits << 6 | static_cast<uint32_t>(alphabet.find(c));
    num_bits += 6;
    if (num_bits < 8) continue;
    num_bits -= 8;
    bytes.push_back(static_cast<unsigned char>(bits >> num_bits));
  }
  std::vector<float> values(bytes.size() / 4);
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

// The ids of the fake vocabulary.
const std::vector<int32_t> kHello = {2, 10, 3}, kHelloWorld = {2, 10, 11, 3}, kA = {2, 5, 3};

TEST_F(OpenAiTest, EmbedsATextWithTheBitsOfTheModel) {
  Serve();
  const json answer = AskJson(Post(R"({"input":"hello world","model":"whatever"})"));
  EXPECT_EQ(answer.at("object"), "list");
  EXPECT_EQ(answer.at("model"), "org/fake");
  EXPECT_EQ(answer.at("data").size(), 1u);
  EXPECT_EQ(answer.at("data")[0].at("object"), "embedding");
  EXPECT_EQ(answer.at("data")[0].at("index"), 0);
  EXPECT_EQ(answer.at("data")[0].at("embedding").get<std::vector<float>>(), Expected(kHelloWorld, true));
  EXPECT_EQ(answer.at("usage"), json({{"prompt_tokens", 4}, {"total_tokens", 4}}));
}

TEST_F(OpenAiTest, TakesTextsTokenIdsAndListsOfBoth) {
  Serve();
  for (const auto& [input, expected] : std::vector<std::pair<std::string, std::vector<std::vector<int32_t>>>>{
           {R"("hello")", {kHello}},
           {R"(["hello"])", {kHello}},
           {R"(["hello","hello world","a"])", {kHello, kHelloWorld, kA}},
           {R"([2,10,11,3])", {kHelloWorld}},
           {R"([[2,10,3],[7]])", {kHello, {7}}},
           {R"(["hello",[7]])", {kHello, {7}}},
       }) {
    const json answer = AskJson(Post(R"({"input":)" + input + "}"));
    ASSERT_EQ(answer.at("data").size(), expected.size()) << input;
    size_t num_tokens = 0;
    for (size_t i = 0; i < expected.size(); ++i) {
      EXPECT_EQ(answer.at("data")[i].at("index"), i);
      EXPECT_EQ(answer.at("data")[i].at("embedding").get<std::vector<float>>(), Expected(expected[i], true)) << input;
      num_tokens += expected[i].size();
    }
    EXPECT_EQ(answer.at("usage").at("prompt_tokens"), num_tokens);
  }
}

TEST_F(OpenAiTest, GivesTheSameBitsInBase64) {
  Serve();
  const json answer = AskJson(Post(R"({"input":["hello","a"],"encoding_format":"base64","user":"me"})"));
  EXPECT_EQ(DecodeBase64(answer.at("data")[0].at("embedding")), Expected(kHello, true));
  EXPECT_EQ(DecodeBase64(answer.at("data")[1].at("embedding")), Expected(kA, true));
}

TEST_F(OpenAiTest, CutsToDimensionsAndMakesTheLengthOneAgain) {
  for (const bool normalizes : {true, false}) {
    Serve({.normalizes = normalizes});
    for (size_t dimensions = 1; dimensions <= FakeModel::kEmbeddingSize; ++dimensions) {
      const json answer = AskJson(Post(R"({"input":"hello world","dimensions":)" + std::to_string(dimensions) + "}"));
      std::vector<float> expected = model_->Row(kHelloWorld);
      expected.resize(dimensions);
      NormalizeVector(expected);
      EXPECT_EQ(answer.at("data")[0].at("embedding").get<std::vector<float>>(), expected);
    }
  }
}

TEST_F(OpenAiTest, LeavesVectorsAsTheFolderSaysWithoutDimensions) {
  Serve({.normalizes = false});
  EXPECT_EQ(AskJson(Post(R"({"input":"hello","dimensions":null,"encoding_format":null,"user":null,"model":null,"other":null})"))
                .at("data")[0]
                .at("embedding")
                .get<std::vector<float>>(),
            Expected(kHello, false));
}

TEST_F(OpenAiTest, ListsTheModelAndFindsItByItsName) {
  Serve();
  const json list = AskJson(Get("/v1/models"));
  EXPECT_EQ(list.at("object"), "list");
  ASSERT_EQ(list.at("data").size(), 1u);
  const json& model = list.at("data")[0];
  EXPECT_EQ(model.at("id"), "org/fake");
  EXPECT_EQ(model.at("object"), "model");
  EXPECT_TRUE(model.at("created").is_number_integer());
  EXPECT_EQ(AskJson(Get("/v1/models/org/fake")), model);
  EXPECT_EQ(AskJson(Get("/v1/models/org%2Ffake")), model);
  EXPECT_EQ(Outcome(Get("/v1/models/other")),
            R"x(404 {"error":{"message":"no such model (served is 'org/fake')","type":"invalid_request_error","param":"model","code":"model_not_found"}})x");
}

TEST_F(OpenAiTest, RefusesWhatItCannotComputeNamingTheField) {
  Serve({}, {.inference = {.max_client_batch_size = 3}});
  const auto error = [](const std::string& message, const std::string& param) {
    return json({{"error", {{"message", message}, {"type", "invalid_request_error"}, {"param", param.empty() ? json() : json(param)}, {"code", nullptr}}}});
  };
  for (const auto& [body, message, param] : std::vector<std::tuple<std::string, std::string, std::string>>{
           {R"({})", "'input' is missing", "input"},
           {R"({"input":""})", "'input' cannot be empty", "input"},
           {R"({"input":[]})", "'input' cannot be empty", "input"},
           {R"({"input":["a",""]})", "'input[1]' cannot be empty", "input[1]"},
           {R"({"input":[[]]})", "'input[0]' cannot be empty", "input[0]"},
           {R"({"input":null})", "'input' must be a text, a list of token ids, or a list of those, is null (byte 9)", "input"},
           {R"({"input":{"a":1}})", "'input' must be a text, a list of token ids, or a list of those, is an object (byte 9)", "input"},
           {R"({"input":[true]})", "'input[0]' must be a text or a list of token ids, is true or false (byte 10)", "input[0]"},
           {R"({"input":[1,"a"]})", "'input[1]' must be a token id, as those before it, is a string (byte 12)", "input[1]"},
           {R"({"input":[-1]})", "'input[0]' must be an integer from 0 to 63, is -1 (byte 10)", "input[0]"},
           {R"({"input":[64]})", "'input[0]' must be an integer from 0 to 63, is 64 (byte 10)", "input[0]"},
           {R"({"input":[[1.5]]})", "'input[0][0]' must be an integer from 0 to 63, is no integer (byte 11)", "input[0][0]"},
           {R"({"input":["a","a","a","a"]})", "'input' has more than 3 inputs (send them in several requests)", "input"},
           {R"({"input":"a","dimensions":0})", "'dimensions' must be an integer from 1 to 4, is 0 (byte 26)", "dimensions"},
           {R"({"input":"a","dimensions":5})", "'dimensions' must be an integer from 1 to 4, is 5 (byte 26)", "dimensions"},
           {R"({"input":"a","encoding_format":"hex"})", "'encoding_format' must be one of 'float', 'base64' (byte 31)", "encoding_format"},
           {R"({"input":"a","user":7})", "'user' must be a string, is a number (byte 20)", "user"},
           {R"({"input":"a","model":7})", "'model' must be a string, is a number (byte 21)", "model"},
           {R"({"input":"a a a a a a a a a a a a a a a"})",
            "'input' has 17 tokens; the model takes at most 16 (shorten it, or start the server with --auto-truncate, which cuts longer "
            "texts)",
            "input"},
           {R"({"input":["a",[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]]})",
            "'input[1]' has 17 tokens; the model takes at most 16 (shorten it, or start the server with --auto-truncate, which cuts longer "
            "texts)",
            "input[1]"},
           {R"({"input":"a","dimension":2})", "a field that embeddings do not have, with its value at byte 25 (did you mean 'dimensions'?)",
            ""},
           {R"({"input":"a","canary":2})",
            "a field that embeddings do not have, with its value at byte 22 (there are input, model, encoding_format, dimensions, user)",
            ""},
           {R"({"input":"a")", "no valid JSON at byte 12: it ends too early", ""},
       }) {
    const RawAnswer answer = Ask(Post(body));
    EXPECT_EQ(answer.status, 400) << body;
    EXPECT_EQ(json::parse(answer.body), error(message, param)) << body;
  }
  EXPECT_EQ(Ask(Post(R"({"input":"a a a a a a a a a a a a a a"})")).status, 200);  // 16 tokens
  EXPECT_TRUE(model_->computed().size() == 1);
}

TEST_F(OpenAiTest, SaysThatAClassifierGivesNoEmbeddings) {
  Serve({.is_classifier = true});
  EXPECT_EQ(
      Outcome(Post(R"({"input":"a"})")),
      R"x(404 {"error":{"message":"the model 'org/fake' does not do feature-extraction (it does text-classification; no model that is served does that)","type":"invalid_request_error","param":"model","code":"model_not_found"}})x");
}

TEST_F(OpenAiTest, WritesErrorsOfTheServerInItsForm) {
  Serve({}, {.http = {.limits = {.max_body_bytes = 100}}});
  const auto code = [&](const std::string& bytes) {
    const RawAnswer answer = Ask(bytes);
    const json error = json::parse(answer.body).at("error");
    return std::to_string(answer.status) + " " + error.at("type").get<std::string>() + " " + error.at("code").dump();
  };
  EXPECT_EQ(code(Get("/v1/none")), "404 invalid_request_error \"not_found\"");
  EXPECT_EQ(code(Get("/v1/embeddings")), "405 invalid_request_error \"method_not_allowed\"");
  EXPECT_EQ(code("POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}"),
            "415 invalid_request_error null");
  EXPECT_EQ(code("GET /v1/models HTTP/1.1\r\nHost: evil.example\r\n\r\n"), "403 invalid_request_error null");
}

TEST_F(OpenAiTest, NeverWritesNaN) {
  Serve({.broken = true});
  EXPECT_EQ(Outcome(Post(R"({"input":"a"})")),
            R"x(500 {"error":{"message":"the model gave a number that is not finite (its weights are broken)","type":"server_error","param":null,"code":null}})x");
}

TEST_F(OpenAiTest, RefusesABodyAboveTheLimitInItsForm) {
  Serve({}, {.http = {.limits = {.max_body_bytes = 10}}});
  const RawAnswer answer = Ask(PostJson("/v1/embeddings", R"({"input":"hello"})"));
  EXPECT_EQ(answer.status, 413);
  const json error = json::parse(answer.body).at("error");
  EXPECT_EQ(error.at("message"),
            "the body is larger than 10 bytes (send less at a time, or start the server with a larger --payload-limit)");
  EXPECT_EQ(error.at("type"), "invalid_request_error");
  EXPECT_TRUE(error.at("param").is_null());
  EXPECT_EQ(error.at("code"), "request_too_large");
  EXPECT_EQ(answer.Field("x-model"), "org/fake");
}

}  // namespace
}  // namespace mlac
