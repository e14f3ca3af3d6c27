#include "serve/hub_form.h"

#include <gtest/gtest.h>

#include "pipelines/text_model.h"
#include "serve/answers.h"
#include "tests/serve/server_fixture.h"

namespace mlac {
namespace {

using nlohmann::json;
using Vectors = std::vector<std::vector<float>>;
using Labels = std::vector<std::pair<std::string, float>>;

const std::vector<int32_t> kHello = {2, 10, 3}, kHelloWorld = {2, 10, 11, 3}, kA = {2, 5, 3}, kHelloAndWorld = {2, 10, 3, 11, 3};

class HubFormTest : public ModelServerTest {
 protected:
  json Post(const std::string& body, const std::string& path = "/") { return AskJson(PostJson(path, body)); }
  std::string Refusal(const std::string& body, const std::string& path = "/") { return Outcome(PostJson(path, body)); }

  // The labels of a sequence, the best first.
  Labels ExpectedLabels(const std::vector<int32_t>& ids, ScoreFunction function) const {
    const std::vector<float> scores = Scores(model_->Row(ids), model_->output_size(), function);
    Labels labels;
    for (size_t i = 0; i < scores.size(); ++i) labels.emplace_back(model_->label_names()[i], scores[i]);
    std::stable_sort(labels.begin(), labels.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
    return labels;
  }
  static Labels Found(const json& list) {
    Labels labels;
    for (const json& entry : list) labels.emplace_back(entry.at("label").get<std::string>(), entry.at("score").get<float>());
    return labels;
  }
};

TEST_F(HubFormTest, GivesVectorsAsTheFolderWantsThemUnlessToldOtherwise) {
  for (const bool normalizes : {true, false}) {
    Serve({.normalizes = normalizes});
    for (const char* path : {"/", "/models/org%2Ffake", "/invocations", "/models/org%2Ffake/invocations"}) {
      EXPECT_EQ(Post(R"({"inputs":"hello world"})", path).get<Vectors>(), (Vectors{Expected(kHelloWorld, normalizes)})) << path;
      EXPECT_EQ(Post(R"({"inputs":["hello","a"],"normalize":true})", path).get<Vectors>(),
                (Vectors{Expected(kHello, true), Expected(kA, true)}))
          << path;
      EXPECT_EQ(Post(R"({"parameters":{"normalize":false},"inputs":["hello"]})", path).get<Vectors>(), (Vectors{Expected(kHello, false)}))
          << path;
    }
    // "parameters" makes the form of a body on /embed, where vectors are normalised by default.
    EXPECT_EQ(Post(R"({"inputs":"hello"})", "/embed").get<Vectors>(), (Vectors{Expected(kHello, true)}));
    EXPECT_EQ(Post(R"({"inputs":"hello","parameters":{}})", "/embed").get<Vectors>(), (Vectors{Expected(kHello, normalizes)}));
  }
  EXPECT_EQ(
      Post(R"({"inputs":"a","prompt_name":"query","dimensions":2,"encoding_format":"float","normalize":false})").get<Vectors>()[0].size(),
      2u);
}

TEST_F(HubFormTest, ComparesSentencesWithTheirSource) {
  for (const bool normalizes : {true, false}) {
    Serve({.normalizes = normalizes});
    const auto cosine = [&](const std::vector<int32_t>& a, const std::vector<int32_t>& b) {
      return Cosine(Expected(a, normalizes), Expected(b, normalizes));
    };
    const std::vector<float> expected = {cosine(kHello, kA), cosine(kHello, kHelloWorld)};
    const std::string body = R"({"inputs":{"sentences":["a","hello world"],"source_sentence":"hello"}})";
    for (const char* path : {"/", "/models/org%2Ffake", "/invocations", "/similarity", "/models/org%2Ffake/similarity"})
      EXPECT_EQ(Post(body, path).get<std::vector<float>>(), expected) << path;
    EXPECT_EQ(Post(R"({"inputs":{"source_sentence":"hello","sentences":["a"]},"parameters":{"truncate":true}})", "/similarity").size(), 1u);
  }
  EXPECT_EQ(Refusal(R"({"inputs":{"sentences":["a"]}})"),
            R"x(422 {"error":"'inputs.source_sentence' is missing","error_type":"Validation"})x");
  EXPECT_EQ(Refusal(R"({"inputs":{"source_sentence":"a","sentences":[]}})"),
            R"x(400 {"error":"'inputs.sentences' cannot be empty","error_type":"Empty"})x");
  EXPECT_EQ(Refusal(R"({"inputs":{"source_sentence":"a","sentences":["a",""]}})"),
            R"x(400 {"error":"'inputs.sentences[1]' cannot be empty","error_type":"Empty"})x");
  EXPECT_EQ(Refusal(R"({"inputs":["a","b"]})", "/similarity"),
            R"x(422 {"error":"'inputs' must be an object, is an array (byte 10)","error_type":"Validation"})x");
  Serve({.max_length = 3});
  EXPECT_EQ(
      Refusal(R"({"inputs":{"source_sentence":"a","sentences":["b","a a"]}})"),
      R"x(422 {"error":"'inputs.sentences[1]' has 4 tokens; the model takes at most 3 (shorten it, or set \"truncate\": true)","error_type":"Validation"})x");
}

TEST_F(HubFormTest, ClassifiesTextsPairsAndListsOfBoth) {
  Serve({.is_classifier = true});
  const auto softmax = [&](const std::vector<int32_t>& ids) { return ExpectedLabels(ids, ScoreFunction::kSoftmax); };
  for (const char* path : {"/", "/models/org%2Ffake", "/invocations"}) {
    json answer = Post(R"({"inputs":"hello world"})", path);
    ASSERT_EQ(answer.size(), 1u);
    EXPECT_EQ(Found(answer[0]), softmax(kHelloWorld));
    answer = Post(R"({"inputs":["hello","a"]})", path);  // a batch, not a pair
    ASSERT_EQ(answer.size(), 2u);
    EXPECT_EQ(Found(answer[0]), softmax(kHello));
    EXPECT_EQ(Found(answer[1]), softmax(kA));
    answer = Post(R"({"inputs":[{"text":"hello","text_pair":"world"},["hello","world"],{"text_pair":null,"text":"a"},["a"]]})", path);
    ASSERT_EQ(answer.size(), 4u);
    EXPECT_EQ(Found(answer[0]), softmax(kHelloAndWorld));
    EXPECT_EQ(Found(answer[1]), softmax(kHelloAndWorld));
    EXPECT_EQ(Found(answer[2]), softmax(kA));
    EXPECT_EQ(Found(answer[3]), softmax(kA));
    EXPECT_EQ(Found(Post(R"({"inputs":{"text":"hello","text_pair":"world"}})", path)[0]), softmax(kHelloAndWorld));
  }
  // On /predict "parameters" makes the difference.
  EXPECT_EQ(Post(R"({"inputs":["hello","world"]})", "/predict").size(), 3u);
  EXPECT_EQ(Post(R"({"inputs":["hello","world"],"parameters":{}})", "/predict").size(), 2u);
}

TEST_F(HubFormTest, GivesAsManyLabelsAsWishedByTheFunctionThatIsAskedFor) {
  Serve({.is_classifier = true});
  for (const auto& [name, function] : std::vector<std::pair<std::string, ScoreFunction>>{
           {"none", ScoreFunction::kNone}, {"sigmoid", ScoreFunction::kSigmoid}, {"softmax", ScoreFunction::kSoftmax}}) {
    Labels expected = ExpectedLabels(kHello, function);
    const std::string parameters = R"({"inputs":"hello","parameters":{"function_to_apply":")" + name + "\"";
    EXPECT_EQ(Found(Post(parameters + "}}")[0]), expected);
    EXPECT_EQ(Found(Post(parameters + ",\"top_k\":4}}")[0]), expected);
    expected.resize(2);
    EXPECT_EQ(Found(Post(parameters + ",\"top_k\":2}}")[0]), expected);
  }
  EXPECT_EQ(Found(Post(R"({"inputs":"hello","parameters":{"function_to_apply":null,"top_k":null}})")[0]),
            ExpectedLabels(kHello, ScoreFunction::kSoftmax));
  EXPECT_EQ(Refusal(R"({"inputs":"a","parameters":{"top_k":0}})"),
            R"x(422 {"error":"'parameters.top_k' must be an integer from 1 to 2147483647, is 0 (byte 36)","error_type":"Validation"})x");
  EXPECT_EQ(
      Refusal(R"({"inputs":"a","parameters":{"function_to_apply":"max"}})"),
      R"x(422 {"error":"'parameters.function_to_apply' must be one of 'none', 'sigmoid', 'softmax' (byte 48)","error_type":"Validation"})x");
  EXPECT_EQ(Refusal(R"({"inputs":[{"text_pair":"a"}]})"),
            R"x(422 {"error":"'inputs[0]' must be an object with a 'text', is an object (byte 11)","error_type":"Validation"})x");
  EXPECT_EQ(
      Refusal(R"({"inputs":[1]})"),
      R"x(422 {"error":"'inputs[0]' must be a text, {text, text_pair}, [text] or [text, text], is a number (byte 11)","error_type":"Validation"})x");
}

TEST_F(HubFormTest, RanksTextsBestFirst) {
  Serve({.is_classifier = true, .num_labels = 1});
  const std::vector<std::vector<int32_t>> pairs = {{2, 10, 3, 5, 3}, {2, 10, 3, 6, 3}, kHelloAndWorld};
  for (const bool raw : {false, true}) {
    std::vector<std::pair<float, size_t>> expected;
    for (size_t i = 0; i < pairs.size(); ++i)
      expected.emplace_back(Scores(model_->Row(pairs[i]), 1, raw ? ScoreFunction::kNone : ScoreFunction::kSigmoid)[0], i);
    std::stable_sort(expected.begin(), expected.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
    const std::string body =
        std::string(R"({"texts":["a","b","world"],"query":"hello","return_text":true,"raw_scores":)") + (raw ? "true}" : "false}");
    for (const char* path : {"/rerank", "/models/org%2Ffake/rerank", "/", "/models/org%2Ffake", "/invocations"}) {
      const json answer = Post(body, path);
      ASSERT_EQ(answer.size(), 3u) << path;
      const std::vector<std::string> texts = {"a", "b", "world"};
      for (size_t i = 0; i < 3; ++i) {
        EXPECT_EQ(answer[i].at("index"), expected[i].second) << path;
        EXPECT_EQ(answer[i].at("score").get<float>(), expected[i].first) << path;
        EXPECT_EQ(answer[i].at("text"), texts[expected[i].second]) << path;
      }
    }
  }
  EXPECT_FALSE(Post(R"({"query":"hello","texts":["a"]})", "/rerank")[0].contains("text"));
  EXPECT_EQ(Refusal(R"({"texts":["a"]})", "/rerank"), R"x(422 {"error":"'query' is missing","error_type":"Validation"})x");
  EXPECT_EQ(Refusal(R"({"query":"a"})", "/rerank"), R"x(422 {"error":"'texts' is missing beside 'query'","error_type":"Validation"})x");
  EXPECT_EQ(Refusal(R"({"query":"a","texts":"b"})", "/rerank"),
            R"x(422 {"error":"'texts' must be a list of texts, is a string (byte 21)","error_type":"Validation"})x");
  EXPECT_EQ(Refusal(R"({"query":"a","texts":[]})", "/rerank"), R"x(400 {"error":"'texts' cannot be empty","error_type":"Empty"})x");
  EXPECT_EQ(AskJson(Get("/info")).at("model_type"), json::parse(R"({"reranker":{"id2label":{"0":"good"},"label2id":{"good":0}}})"));
  Serve();
  EXPECT_EQ(
      Refusal(R"({"query":"a","texts":["b"]})"),
      R"x(422 {"error":"the model 'org/fake' does not do text-ranking, which the form of the body asks for (it does feature-extraction, sentence-similarity; no model that is served does that)","error_type":"Validation"})x");
}

TEST_F(HubFormTest, NamesTheModelsThatDoWhatTheFormOfTheBodyAsksFor) {
  std::vector<NamedModel> models;
  models.push_back({"vectors", std::make_unique<FakeModel>()});
  models.push_back({"ranks", std::make_unique<FakeModel>(FakeModelOptions{.is_classifier = true, .num_labels = 1})});
  ServeModels(std::move(models));
  const std::string body = R"({"query":"a","texts":["b"]})";
  EXPECT_EQ(
      Refusal(body, "/models/vectors"),
      R"x(422 {"error":"the model 'vectors' does not do text-ranking, which the form of the body asks for (it does feature-extraction, sentence-similarity; that is done by 'ranks')","error_type":"Validation"})x");
  EXPECT_EQ(Ask(PostJson("/", body)).Field("x-model"), "ranks");
  EXPECT_EQ(Ask(PostJson("/models/vectors", body)).Field("x-model"), "vectors");
  EXPECT_EQ(Ask(PostJson("/models/none", body)).Field("x-model"), "");
}

// A query of 2 MB beside 2,048 texts would be 4 GB as pairs.
TEST_F(HubFormTest, RefusesAQueryThatWouldBeReadTooOftenForItsLength) {
  Serve({.is_classifier = true, .num_labels = 1});
  const auto ask = [&](size_t query_size) {
    const json body = {{"query", std::string(query_size, 'a')}, {"texts", std::vector<std::string>(1024, "a")}};
    return Refusal(body.dump(), "/rerank");
  };
  EXPECT_EQ(ask(16'384).substr(0, 3), "200");  // one word, which no vocabulary has
  EXPECT_EQ(
      ask(16'385),
      R"x(413 {"error":"'query' beside each of 'texts': 16.0 MiB to be read in all; at most 16 are taken at a time (shorten it, or send several requests)","error_type":"Validation"})x");
}

TEST_F(HubFormTest, GivesAVectorATokenOnEmbedAll) {
  Serve();
  using TokenVectors = std::vector<Vectors>;
  EXPECT_EQ(Post(R"({"inputs":["hello",[7]]})", "/embed_all").get<TokenVectors>(),
            (TokenVectors{{{2, 0.5f}, {10, 0.5f}, {3, 0.5f}}, {{7, 0.5f}}}));
  EXPECT_EQ(Post(R"({"inputs":"a b c","truncate":true,"truncation_direction":"Left"})", "/embed_all").get<TokenVectors>().size(), 1u);
  Serve({}, {.inference = {.max_answer_values = 7}});
  EXPECT_EQ(Ask(PostJson("/embed_all", R"({"inputs":"hello"})")).status, 200);  // 3 tokens of 2 numbers
  EXPECT_EQ(
      Refusal(R"({"inputs":["hello","hello"]})", "/embed_all"),
      R"x(413 {"error":"the answer to 'inputs' would hold 12 numbers; at most 7 are given at a time (send the inputs in several requests)","error_type":"Validation"})x");
}

}  // namespace
}  // namespace mlac
