#include "serve/open_inference.h"

#include <gtest/gtest.h>

#include <cstring>

#include "pipelines/text_model.h"
#include "tests/serve/server_fixture.h"

namespace mlac {
namespace {

using nlohmann::json;

const std::vector<int32_t> kHello = {2, 10, 3}, kA = {2, 5, 3}, kHelloAndWorld = {2, 10, 3, 11, 3};
const std::string kInfer = "/v2/models/org%2Ffake/infer";

// A value as the binary extension has it.
template <typename T>
std::string Bytes(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}
std::string Bytes(const std::string& text) { return Bytes(std::vector<uint32_t>{static_cast<uint32_t>(text.size())}) + text; }

class OpenInferenceTest : public ModelServerTest {
 protected:
  // Outputs by name.
  static std::map<std::string, json> Outputs(const json& answer) {
    std::map<std::string, json> outputs;
    for (const json& output : answer.at("outputs")) outputs[output.at("name")] = output;
    return outputs;
  }
  std::string PostBinary(const std::string& header, const std::string& binary) {
    return PostJson(kInfer, header + binary, "Inference-Header-Content-Length: " + std::to_string(header.size()) + "\r\n");
  }
  std::string Refusal(const std::string& inputs) { return Outcome(PostJson(kInfer, R"({"inputs":[)" + inputs + "]}")); }
};

TEST_F(OpenInferenceTest, DescribesServerAndModels) {
  Serve();
  EXPECT_EQ(AskJson(Get("/v2")).at("extensions"), json({"binary_tensor_data"}));
  for (const char* path : {"/v2/health/live", "/v2/health/ready", "/v2/models/org%2Ffake/ready", "/v2/models/org%2Ffake/versions/1/ready"})
    EXPECT_EQ(Outcome(Get(path)), "200 ") << path;
  for (const char* path : {"/v2/models/org%2Ffake", "/v2/models/org%2Ffake/versions/1"})
    EXPECT_EQ(
        AskJson(Get(path)),
        json::parse(R"({"name":"org/fake","versions":["1"],"platform":"mlac","inputs":[{"name":"text","datatype":"BYTES","shape":[-1]},
                              {"name":"input_ids","datatype":"INT64","shape":[-1]},{"name":"lengths","datatype":"INT64","shape":[-1]}],
                              "outputs":[{"name":"embedding","datatype":"FP32","shape":[-1,4]}]})"));
  EXPECT_EQ(Outcome(Get("/v2/models/org%2Ffake/versions/2")), R"x(404 {"error":"no such version of the model (there is '1')"})x");
  EXPECT_EQ(Outcome(Get("/v2/models/none/ready")), R"x(404 {"error":"no such model (served is 'org/fake')"})x");
  EXPECT_EQ(Outcome(Get("/v2/none")), R"(404 {"error":"no such route"})");
  Serve({.is_classifier = true});
  EXPECT_EQ(AskJson(Get("/v2/models/org%2Ffake")).at("outputs"),
            json::parse(R"([{"name":"scores","datatype":"FP32","shape":[-1,3]},{"name":"label","datatype":"BYTES","shape":[-1]}])"));
}

TEST_F(OpenInferenceTest, EmbedsTextsAndRaggedIdsAsTheFolderWantsIt) {
  for (const bool normalizes : {true, false}) {
    Serve({.normalizes = normalizes});
    std::vector<float> expected = Expected(kHello, normalizes);
    const std::vector<float> second = Expected(kA, normalizes);
    expected.insert(expected.end(), second.begin(), second.end());
    for (
        const char* inputs :
        {R"({"name":"text","datatype":"BYTES","shape":[2],"data":["hello","a"]})",
         R"({"data":[["hello"],["a"]],"shape":[2,1],"datatype":"BYTES","name":"text"})",
         R"({"name":"input_ids","datatype":"INT64","shape":[6],"data":[2,10,3,2,5,3]},{"name":"lengths","datatype":"INT64","shape":[2],"data":[3,3]})"}) {
      const json answer = AskJson(PostJson(kInfer, std::string(R"({"id":"7","inputs":[)") + inputs + "]}"));
      EXPECT_EQ(answer.at("model_name"), "org/fake");
      EXPECT_EQ(answer.at("model_version"), "1");
      EXPECT_EQ(answer.at("id"), "7");
      const json output = Outputs(answer).at("embedding");
      EXPECT_EQ(output.at("datatype"), "FP32");
      EXPECT_EQ(output.at("shape"), json({2, 4}));
      EXPECT_EQ(output.at("data").get<std::vector<float>>(), expected) << inputs;
    }
  }
}

TEST_F(OpenInferenceTest, ClassifiesTextsAndPairsAndGivesTheOutputsThatAreAskedFor) {
  Serve({.is_classifier = true});
  const std::vector<float> scores = Probabilities(model_->Row(kHelloAndWorld), 3);
  const std::string best = model_->label_names()[static_cast<size_t>(std::max_element(scores.begin(), scores.end()) - scores.begin())];
  const std::string inputs = R"("inputs":[{"name":"text","datatype":"BYTES","shape":[1,2],"data":["hello","world"]}])";
  const auto outputs = Outputs(AskJson(PostJson(kInfer, "{" + inputs + "}")));
  EXPECT_EQ(outputs.at("scores").at("data").get<std::vector<float>>(), scores);
  EXPECT_EQ(outputs.at("scores").at("shape"), json({1, 3}));
  EXPECT_EQ(outputs.at("label"), json({{"name", "label"}, {"datatype", "BYTES"}, {"shape", {1}}, {"data", {best}}}));
  EXPECT_EQ(Outputs(AskJson(PostJson(kInfer, "{" + inputs + R"(,"outputs":[{"name":"label"}]})"))).size(), 1u);
  EXPECT_EQ(Outcome(PostJson(kInfer, "{" + inputs + R"(,"outputs":[{"name":"label"},{"name":"embedding"}]})")),
            R"(400 {"error":"'outputs[1].name' is no output of the model"})");
}

TEST_F(OpenInferenceTest, TakesAndGivesValuesInBinary) {
  Serve();
  const std::string texts = Bytes("hello") + Bytes("a");
  const std::string header = R"({"inputs":[{"name":"text","datatype":"BYTES","shape":[2],"parameters":{"binary_data_size":)" +
                             std::to_string(texts.size()) + R"(}}],"parameters":{"binary_data_output":true}})";
  RawAnswer answer = Ask(PostBinary(header, texts));
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.Field("Content-Type"), "application/octet-stream");
  const size_t header_size = std::stoul(answer.Field("inference-header-content-length"));
  const json output = Outputs(json::parse(answer.body.substr(0, header_size))).at("embedding");
  EXPECT_FALSE(output.contains("data"));
  EXPECT_EQ(output.at("parameters").at("binary_data_size"), 32);
  EXPECT_EQ(answer.body.substr(header_size), Bytes(Expected(kHello, true)) + Bytes(Expected(kA, true)));

  // Ids in binary, an answer in JSON.
  const std::string ids = Bytes(std::vector<int64_t>{2, 10, 3}), lengths = Bytes(std::vector<int64_t>{3});
  answer = Ask(PostBinary(R"({"inputs":[{"name":"input_ids","datatype":"INT64","shape":[3],"parameters":{"binary_data_size":24}},)"
                          R"({"name":"lengths","datatype":"INT64","shape":[1],"parameters":{"binary_data_size":8}}]})",
                          ids + lengths));
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(Outputs(json::parse(answer.body)).at("embedding").at("data").get<std::vector<float>>(), Expected(kHello, true));

  // One output in binary, one not.
  Serve({.is_classifier = true});
  answer = Ask(PostJson(kInfer, R"({"inputs":[{"name":"text","datatype":"BYTES","shape":[1],"data":["a"]}],)"
                                R"("outputs":[{"name":"label","parameters":{"binary_data":true}},{"name":"scores"}]})"));
  const size_t json_size = std::stoul(answer.Field("inference-header-content-length"));
  const auto outputs = Outputs(json::parse(answer.body.substr(0, json_size)));
  EXPECT_TRUE(outputs.at("scores").contains("data"));
  const std::string label = answer.body.substr(json_size + 4);
  EXPECT_EQ(outputs.at("label").at("parameters").at("binary_data_size"), label.size() + 4);
  EXPECT_NE(std::find(model_->label_names().begin(), model_->label_names().end(), label), model_->label_names().end());
}

TEST_F(OpenInferenceTest, RefusesTensorsThatDoNotFit) {
  Serve({}, {.inference = {.max_client_batch_size = 2}});
  for (
      const auto& [inputs, message] : std::vector<std::pair<std::string, std::string>>{
          {"", "'inputs' is missing or empty"},
          {R"({"datatype":"BYTES","shape":[1],"data":["a"]})", "'inputs[0].name' is missing"},
          {R"({"name":"text","shape":[1],"data":["a"]})", "'inputs[0].datatype' is missing"},
          {R"({"name":"text","datatype":"BYTES","data":["a"]})", "'inputs[0].shape' is missing"},
          {R"({"name":"text","datatype":"FP32","shape":[1],"data":["a"]})",
           "'inputs[0].datatype' must be one of 'BYTES', 'INT64' (byte 37)"},
          {R"({"name":"text","datatype":"BYTES","shape":[-1],"data":["a"]})",
           "'inputs[0].shape[0]' must be an integer from 0 to 4294967296, is -1 (byte 54)"},
          {R"({"name":"text","datatype":"BYTES","shape":[2],"data":["a"]})", "an input of BYTES has the shape [2] and 1 values"},
          {R"({"name":"text","datatype":"BYTES","shape":[4294967296,4294967296],"data":[]})",
           "an input of BYTES has the shape [4294967296, 4294967296] and 0 values"},
          {R"({"name":"text","datatype":"BYTES","shape":[1],"data":[1]})", "'data' of an input of BYTES holds numbers"},
          {R"({"name":"text","datatype":"INT64","shape":[1],"data":[1]})", "'text' must be BYTES of the shape [n], or [n, 2] of pairs"},
          {R"({"name":"text","datatype":"BYTES","shape":[1,3],"data":["a","a","a"]})",
           "'text' must be BYTES of the shape [n], or [n, 2] of pairs"},
          {R"({"name":"text","datatype":"BYTES","shape":[1],"data":[""]})", "'text[0]' cannot be empty"},
          {R"({"name":"text","datatype":"BYTES","shape":[0],"data":[]})", "'text' has no values"},
          {R"({"name":"text","datatype":"BYTES","shape":[3],"data":["a","a","a"]})", "'text' has more than 2 inputs"},
          {R"({"name":"text","datatype":"BYTES","shape":[4],"data":["a","a","a","a"]})", "'text' has more than 2 inputs"},
          {R"({"name":"text","datatype":"BYTES","shape":[5],"data":["a","a","a","a","a"]})", "the inputs hold more than 4 texts"},
          {R"({"name":"x","datatype":"BYTES","shape":[3],"data":["","",""]},{"name":"text","datatype":"BYTES","shape":[2],"data":["a","a"]})",
           "the inputs hold more than 4 texts"},
          {R"({"name":"text","datatype":"BYTES","shape":[1,1,1,1,1,1,1,1],"data":["a"]})",
           "'text' must be BYTES of the shape [n], or [n, 2] of pairs"},
          {R"({"name":"text","datatype":"BYTES","shape":[1,1,1,1,1,1,1,1,1],"data":["a"]})",
           "'inputs[0].shape' has more than 8 dimensions"},
          {R"({"name":"words","datatype":"BYTES","shape":[1],"data":["a"]})", "one of the inputs 'text' and 'input_ids' is expected"},
          {R"({"name":"input_ids","datatype":"INT64","shape":[1],"data":[1]})",
           "'lengths' must come with 'input_ids': INT64 of the shape [n], the tokens of each sequence"},
          {R"({"name":"input_ids","datatype":"INT64","shape":[2],"data":[1,64]},{"name":"lengths","datatype":"INT64","shape":[1],"data":[2]})",
           "'input_ids[1]' must be from 0 to 63, is 64"},
          {R"({"name":"input_ids","datatype":"INT64","shape":[2],"data":[1,2]},{"name":"lengths","datatype":"INT64","shape":[2],"data":[1,2]})",
           "'lengths[1]' is 2; 1 tokens of 'input_ids' are left"},
          {R"({"name":"input_ids","datatype":"INT64","shape":[2],"data":[1,2]},{"name":"lengths","datatype":"INT64","shape":[1],"data":[0]})",
           "'lengths[0]' is 0; 2 tokens of 'input_ids' are left"},
          {R"({"name":"input_ids","datatype":"INT64","shape":[2],"data":[1,2]},{"name":"lengths","datatype":"INT64","shape":[1],"data":[1]})",
           "'lengths' add up to 1; 'input_ids' has 2"},
          {R"({"name":"input_ids","datatype":"INT64","shape":[3],"data":[64,1,1]},{"name":"lengths","datatype":"INT64","shape":[3],"data":[1,1,1]})",
           "'input_ids' has more than 2 inputs"},  // counted before they are looked at
      })
    EXPECT_EQ(Refusal(inputs), "400 " + json({{"error", message}}).dump()) << inputs;
}

TEST_F(OpenInferenceTest, NamesTheModelAlsoWhereABodyIsAboveTheLimit) {
  Serve({}, {.http = {.limits = {.max_body_bytes = 10}}});
  for (const auto& [path, model] : {std::pair(kInfer, "org/fake"), {"/v2/models/none/infer", ""}}) {
    const RawAnswer answer = Ask(PostJson(path, R"({"inputs":[]})"));
    EXPECT_EQ(answer.status, 413) << path;
    EXPECT_EQ(answer.Field("x-model"), model) << path;
  }
}

TEST_F(OpenInferenceTest, RefusesBinaryDataThatDoesNotFit) {
  Serve();
  const auto header = [](const std::string& datatype, size_t count, size_t size) {
    return R"({"inputs":[{"name":"text","datatype":")" + datatype + R"(","shape":[)" + std::to_string(count) +
           R"(],"parameters":{"binary_data_size":)" + std::to_string(size) + "}}]}";
  };
  const std::string text = Bytes("hello");
  for (const auto& [request, message] : std::vector<std::pair<std::string, std::string>>{
           {PostBinary(header("BYTES", 1, 10), text),
            "the binary data of an input of BYTES has 9 bytes of the 10 that 'binary_data_size' says"},
           {PostBinary(header("BYTES", 1, 9), text + "x"), "1 bytes of binary data belong to no input"},
           {PostBinary(header("BYTES", 1, 8), text.substr(0, 8)), "the binary data of an input of BYTES ends within a text: 4 bytes of 5"},
           {PostBinary(header("BYTES", 1, 3), text.substr(0, 3)), "the binary data of an input of BYTES ends within the length of a text"},
           {PostBinary(header("BYTES", 2, 9), text), "an input of BYTES has the shape [2] and 1 values"},
           {PostBinary(header("BYTES", 1, 5), Bytes("\xff")),
            "the binary data of an input of BYTES has a text, number 0, that is no UTF-8"},
           {PostBinary(header("INT64", 1, 9), text), "the binary data of an input of INT64 has 9 bytes, which is no multiple of 8"},
           {PostBinary(header("BYTES", 4097, 4 * 4097), std::string(4 * 4097, '\0')), "the inputs hold more than 4096 texts"},
           {PostJson(kInfer, "{}", "Inference-Header-Content-Length: 3\r\n"),
            "Inference-Header-Content-Length is no number of bytes up to 2, the length of the body"},
           {PostJson(kInfer, "{}", "Inference-Header-Content-Length: -1\r\n"),
            "Inference-Header-Content-Length is no number of bytes up to 2, the length of the body"},
           {PostJson(kInfer, "{}", "Inference-Header-Content-Length: 1x\r\n"),
            "Inference-Header-Content-Length is no number of bytes up to 2, the length of the body"},
       })
    EXPECT_EQ(Outcome(request), "400 " + json({{"error", message}}).dump());
}

}  // namespace
}  // namespace mlac
