#include "serve/tei.h"

#include <gtest/gtest.h>

#include <cmath>

#include "pipelines/text_model.h"
#include "tests/serve/server_fixture.h"

namespace mlac {
namespace {

using nlohmann::json;

class TeiTest : public ModelServerTest {};

const std::vector<int32_t> kHello = {2, 10, 3}, kHelloWorld = {2, 10, 11, 3}, kA = {2, 5, 3};

TEST_F(TeiTest, EmbedsNormalizedUnlessToldNotTo) {
  for (const bool normalizes : {true, false}) {
    Serve({.normalizes = normalizes});
    using Vectors = std::vector<std::vector<float>>;
    EXPECT_EQ(AskJson(PostJson("/embed", R"({"inputs":"hello world"})")).get<Vectors>(), (Vectors{Expected(kHelloWorld, true)}));
    EXPECT_EQ(AskJson(PostJson("/embed", R"({"inputs":["hello","a"],"normalize":true})")).get<Vectors>(), (Vectors{Expected(kHello, true), Expected(kA, true)}));
    EXPECT_EQ(AskJson(PostJson("/embed", R"({"inputs":[[2,10,3]],"normalize":false})")).get<Vectors>(), (Vectors{Expected(kHello, false)}));
    std::vector<float> two = model_->Row(kHello);
    two.resize(2);
    NormalizeVector(two);
    EXPECT_EQ(AskJson(PostJson("/embed", R"({"inputs":"hello","dimensions":2})")).get<Vectors>(), (Vectors{two}));
  }
}

TEST_F(TeiTest, PredictsWithTheLikeliestLabelFirst) {
  Serve({.is_classifier = true});
  const auto expected = [&](const std::vector<int32_t>& ids, bool raw) {
    const std::vector<float> logits = model_->Row(ids), scores = raw ? logits : Probabilities(logits, 3);
    std::vector<std::pair<float, std::string>> rows;
    for (size_t i = 0; i < 3; ++i) rows.emplace_back(scores[i], model_->label_names()[i]);
    std::stable_sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
    return rows;
  };
  const auto found = [](const json& list) {
    std::vector<std::pair<float, std::string>> rows;
    for (const json& entry : list) rows.emplace_back(entry.at("score").get<float>(), entry.at("label").get<std::string>());
    return rows;
  };
  const std::vector<int32_t> pair = {2, 10, 3, 11, 3};
  EXPECT_EQ(found(AskJson(PostJson("/predict", R"({"inputs":"hello world"})"))), expected(kHelloWorld, false));
  EXPECT_EQ(found(AskJson(PostJson("/predict", R"({"inputs":["hello world"],"raw_scores":true})"))), expected(kHelloWorld, true));
  EXPECT_EQ(found(AskJson(PostJson("/predict", R"({"inputs":["hello","world"]})"))), expected(pair, false));
  const json batch = AskJson(PostJson("/predict", R"({"inputs":[["hello"],["hello","world"]],"raw_scores":false})"));
  ASSERT_EQ(batch.size(), 2u);
  EXPECT_EQ(found(batch[0]), expected(kHello, false));
  EXPECT_EQ(found(batch[1]), expected(pair, false));
  EXPECT_EQ(AskJson(PostJson("/predict", R"({"inputs":[["hello"]]})")).size(), 1u);
}

TEST_F(TeiTest, TakesTwoTextsInOneListForNoPairWhereTheModelLearntFromSingleTexts) {
  Serve({.is_classifier = true, .reads_single_texts = true});
  EXPECT_EQ(
      Outcome(PostJson("/predict", R"({"inputs":["hello","world"]})")),
      R"x(422 {"error":"'inputs' has two texts in one list, which are one pair here; the model was trained on single texts (several texts are [[\"a\"], [\"b\"]])","error_type":"Validation"})x");
  EXPECT_EQ(AskJson(PostJson("/predict", R"({"inputs":["hello"]})")).size(), 3u) << "one text, three labels";
  EXPECT_EQ(AskJson(PostJson("/predict", R"({"inputs":[["hello"],["world"]]})")).size(), 2u);
  EXPECT_EQ(AskJson(PostJson("/predict", R"({"inputs":[["hello","world"]]})")).size(), 1u) << "who writes it so means a pair";
  EXPECT_EQ(AskJson(PostJson("/", R"({"inputs":["hello","world"]})")).size(), 2u);
}

TEST_F(TeiTest, TokenizesWithByteOffsets) {
  Serve();
  EXPECT_EQ(Outcome(PostJson("/tokenize", R"({"inputs":"hello été"})")),
            R"(200 [[{"id":2,"text":"[CLS]","special":true,"start":null,"stop":null},{"id":10,"text":"hello","special":false,"start":0,"stop":5},)"
            R"({"id":1,"text":"été","special":false,"start":6,"stop":11},{"id":3,"text":"[SEP]","special":true,"start":null,"stop":null}]])");
  EXPECT_EQ(Outcome(PostJson("/tokenize", R"({"inputs":["a",""],"add_special_tokens":false})")),
            R"(200 [[{"id":5,"text":"a","special":false,"start":0,"stop":1}],[]])");
  EXPECT_EQ(AskJson(PostJson("/tokenize", R"({"inputs":"a","prompt_name":"query"})"))[0].size(), 5u);
}

TEST_F(TeiTest, CutsAtTheEndThatIsAskedForAndSaysHowMany) {
  Serve({.max_length = 4});
  const RawAnswer right = Ask(PostJson("/embed", R"({"inputs":["a b c","a"],"truncate":true,"normalize":false})"));
  EXPECT_EQ(right.Field("x-truncated-inputs"), "1");
  EXPECT_EQ(json::parse(right.body)[0].get<std::vector<float>>(), Expected({2, 5, 6, 3}, false));
  const json left = AskJson(PostJson("/embed", R"({"inputs":["a b c",[5,6,7,8,9]],"truncate":true,"truncation_direction":"Left","normalize":false})"));
  EXPECT_EQ(left[0].get<std::vector<float>>(), Expected({2, 6, 7, 3}, false));
  EXPECT_EQ(left[1].get<std::vector<float>>(), Expected({6, 7, 8, 9}, false));
  EXPECT_EQ(Ask(PostJson("/embed", R"({"inputs":"a b","truncate":true})")).Field("x-truncated-inputs"), "");
  EXPECT_EQ(
      Outcome(PostJson("/embed", R"({"inputs":"a b c"})")),
      R"x(422 {"error":"'inputs' has 5 tokens; the model takes at most 4 (shorten it, or set \"truncate\": true)","error_type":"Validation"})x");

  Serve({.max_length = 4}, {.inference = {.auto_truncate = true}});
  EXPECT_EQ(Ask(PostJson("/embed", R"({"inputs":"a b c"})")).status, 200);
  EXPECT_EQ(Ask(PostJson("/embed", R"({"inputs":"a b c","truncate":false})")).status, 422);
}

TEST_F(TeiTest, PutsThePromptBeforeTheText) {
  Serve();
  EXPECT_EQ(AskJson(PostJson("/embed", R"({"prompt_name":"query","inputs":"a","normalize":false})"))[0].get<std::vector<float>>(), Expected({2, 8, 9, 5, 3}, false));
  EXPECT_EQ(Outcome(PostJson("/embed", R"({"inputs":"a","prompt_name":"passage"})")),
            R"x(422 {"error":"'prompt_name' names no prompt of the model (it has 'query')","error_type":"Validation"})x");
}

TEST_F(TeiTest, PutsTheDefaultPromptBeforeTextsAndNotBeforeTokens) {
  Serve({.has_default_prompt = true});
  const json vectors = AskJson(PostJson("/embed", R"({"inputs":["a",[2,5,3]],"normalize":false})"));  // a text and tokens
  EXPECT_EQ(vectors[0].get<std::vector<float>>(), Expected({2, 8, 9, 5, 3}, false));
  EXPECT_EQ(vectors[1].get<std::vector<float>>(), Expected(kA, false));
  EXPECT_EQ(AskJson(PostJson("/tokenize", R"({"inputs":"a"})"))[0].size(), 5u);
  EXPECT_EQ(AskJson(PostJson("/v1/embeddings", R"({"input":"a"})")).at("usage").at("prompt_tokens"), 5);
  EXPECT_TRUE(model_->tokens().empty());  // all count

  Serve({.max_length = 6, .has_default_prompt = true, .pools_prompt = false});
  AskJson(PostJson("/embed", R"({"inputs":["a",[2,5,3],"b c"]})"));
  EXPECT_EQ(model_->tokens(), (std::vector<size_t>{3, 5 + 3 + 3}));
  // Cut at its beginning, a text loses tokens of the prompt first: of [CLS] query : a b c [SEP] the first.
  AskJson(PostJson("/embed", R"({"inputs":"a b c","truncate":true,"truncation_direction":"Left"})"));
  EXPECT_EQ(model_->computed().back(), (std::vector<int32_t>{2, 9, 5, 6, 7, 3}));
  EXPECT_EQ(model_->tokens().back(), 2u);
  AskJson(PostJson("/embed", R"({"inputs":"a b c hello world","truncate":true,"truncation_direction":"Left"})"));
  EXPECT_EQ(model_->computed().back(), (std::vector<int32_t>{2, 6, 7, 10, 11, 3}));
  EXPECT_EQ(model_->tokens().back(), 1u);
}

// As tokenizers cuts pairs: the longer text until both are equally long, each at its beginning.
TEST_F(TeiTest, CutsPairsAtTheirBeginnings) {
  Serve({.is_classifier = true, .max_length = 6});
  const auto computed = [&](const std::string& body) {
    const RawAnswer answer = Ask(PostJson("/predict", body));
    EXPECT_EQ(answer.status, 200) << answer.body;
    return std::pair(model_->computed().back(), answer.Field("x-truncated-inputs"));
  };
  using Computed = std::pair<std::vector<int32_t>, std::string>;
  EXPECT_EQ(computed(R"({"inputs":["a b","c"],"truncation_direction":"Left"})"), (Computed{{2, 5, 6, 3, 7, 3}, ""}));
  EXPECT_EQ(computed(R"({"inputs":["a b","c"],"truncate":true,"truncation_direction":"Left"})"), (Computed{{2, 5, 6, 3, 7, 3}, ""}));
  EXPECT_EQ(computed(R"({"inputs":["a b c","b c"],"truncate":true,"truncation_direction":"Left"})"), (Computed{{2, 6, 7, 3, 7, 3}, "1"}));
  EXPECT_EQ(computed(R"({"inputs":["a b c","b"],"truncate":true,"truncation_direction":"Left"})"), (Computed{{2, 6, 7, 3, 6, 3}, "1"}));
  EXPECT_EQ(Ask(PostJson("/predict", R"({"inputs":["a b c","b"],"truncation_direction":"Left"})")).status, 422);
}

TEST_F(TeiTest, SendsTheHeadersOfTheOriginal) {
  Serve();
  const RawAnswer answer = Ask(PostJson("/embed", R"({"inputs":["hello","\u00e9"]})"));
  for (const char* name : {"x-compute-time", "x-total-time", "x-queue-time", "x-inference-time", "x-tokenization-time"})
    EXPECT_TRUE(!answer.Field(name).empty() && answer.Field(name).find_first_not_of("0123456789") == std::string::npos) << name;
  EXPECT_EQ(answer.Field("x-compute-characters"), "6");
  EXPECT_EQ(answer.Field("x-compute-tokens"), "6");
  EXPECT_EQ(answer.Field("x-compute-type"), "cpu");
}

TEST_F(TeiTest, DescribesTheModel) {
  Serve({}, {.inference = {.max_concurrent_requests = 5}});
  json info = AskJson(Get("/info"));
  EXPECT_EQ(info.at("model_type"), json::parse(R"({"embedding":{"pooling":"mean"}})"));
  EXPECT_EQ(info.at("model_id"), "org/fake");
  EXPECT_EQ(info.at("max_input_length"), 16);
  EXPECT_EQ(info.at("max_batch_tokens"), 16384);
  EXPECT_EQ(info.at("max_concurrent_requests"), 5);
  EXPECT_EQ(info.at("max_client_batch_size"), 2048);
  EXPECT_EQ(info.at("auto_truncate"), false);
  EXPECT_EQ(info.at("tasks"), json::parse(R"(["feature-extraction","sentence-similarity"])"));
  EXPECT_TRUE(info.at("mask_token").is_null());
  Serve({.is_classifier = true});
  info = AskJson(Get("/info"));
  EXPECT_EQ(info.at("model_type"),
            json::parse(R"({"classifier":{"id2label":{"0":"good","1":"bad","2":"so \"so\""},"label2id":{"good":0,"bad":1,"so \"so\"":2}}})"));
  EXPECT_EQ(Outcome(Get("/health")), "200 ");
  EXPECT_EQ(Outcome(Get("/ping")), "200 ");
}

TEST_F(TeiTest, SaysWhatTheModelCanDoWhereItCannot) {
  Serve();
  EXPECT_EQ(
      Outcome(PostJson("/predict", R"({"inputs":"a"})")),
      R"x(422 {"error":"the model 'org/fake' does not do text-classification (it does feature-extraction, sentence-similarity; no model that is served does that)","error_type":"Validation"})x");
  Serve({.is_classifier = true});
  EXPECT_EQ(
      Outcome(PostJson("/embed", R"({"inputs":"a"})")),
      R"x(422 {"error":"the model 'org/fake' does not do feature-extraction (it does text-classification; no model that is served does that)","error_type":"Validation"})x");
}

TEST_F(TeiTest, RefusesWhatItCannotComputeNamingTheField) {
  const auto refusals = [&](const std::string& path, const std::vector<std::tuple<std::string, int, std::string, std::string>>& cases) {
    for (const auto& [body, status, message, type] : cases) {
      const RawAnswer answer = Ask(PostJson(path, body));
      EXPECT_EQ(answer.status, status) << path << " " << body;
      EXPECT_EQ(json::parse(answer.body), json({{"error", message}, {"error_type", type}})) << path << " " << body;
    }
  };
  Serve({}, {.inference = {.max_client_batch_size = 2}});
  refusals("/embed", {
                         {"{}", 422, "'inputs' is missing", "Validation"},
                         {R"({"inputs":""})", 400, "'inputs' cannot be empty", "Empty"},
                         {R"({"inputs":[]})", 400, "'inputs' cannot be empty", "Empty"},
                         {R"({"inputs":[1,2,64]})", 422, "'inputs[2]' must be an integer from 0 to 63, is 64 (byte 15)", "Validation"},
                         {R"({"inputs":["a","a","a"]})", 413, "'inputs' has more than 2 inputs (send them in several requests)", "Validation"},
                         {R"({"inputs":7})", 422, "'inputs' must be a text, a list of token ids, or a list of those, is a number (byte 10)", "Validation"},
                         {R"({"inputs":"a","normalize":null})", 422, "'normalize' must be true or false, is null (byte 26)", "Validation"},
                         {R"({"inputs":"a","truncate":1})", 422, "'truncate' must be true or false, is a number (byte 25)", "Validation"},
                         {R"({"inputs":"a","truncation_direction":"up"})", 422,
                          "'truncation_direction' must be one of 'Right', 'right', 'Left', 'left' (byte 37)", "Validation"},
                         {R"({"inputs":"a","dimensions":9})", 422, "'dimensions' must be an integer from 1 to 4, is 9 (byte 27)", "Validation"},
                         {R"({"inputs":"a","prompt_name":1})", 422, "'prompt_name' must be a string, is a number (byte 28)", "Validation"},
                         {R"({"inputs":"a"]})", 400, "no valid JSON at byte 13: not what may stand here", "Validation"},
                     });
  refusals("/tokenize", {
                            {"{}", 422, "'inputs' is missing", "Validation"},
                            {R"({"inputs":[]})", 400, "'inputs' cannot be empty", "Empty"},
                            {R"({"inputs":[1]})", 422, "'inputs[0]' must be a string, is a number (byte 11)", "Validation"},
                            {R"({"inputs":"a","add_special_tokens":"no"})", 422, "'add_special_tokens' must be true or false, is a string (byte 35)", "Validation"},
                        });
  Serve({.is_classifier = true, .max_length = 4}, {.inference = {.max_client_batch_size = 2}});
  const std::string must_be = "must be a text, a pair of texts, or a list of [text] and [text, text], is ";
  refusals("/predict",
           {
               {R"({"inputs":["a","b","c"]})", 422,
                "'inputs' has more than two texts in one list; two are a pair (several texts are [[\"a\"], [\"b\"]])", "Validation"},
               {R"({"inputs":null})", 422, "'inputs' " + must_be + "null (byte 10)", "Validation"},
               {R"({"inputs":[["a","b","c"]]})", 422, "'inputs[0]' must be [text] or [text, text], is an array (byte 11)", "Validation"},
               {R"({"inputs":[["a"],"b"]})", 422, "'inputs[1]' must be [text] or [text, text], is a string (byte 17)", "Validation"},
               {R"({"inputs":["a",["b"]]})", 422, "'inputs[1]' must be a text, as the one before it, is an array (byte 15)", "Validation"},
               {R"({"inputs":[[]]})", 400, "'inputs[0]' cannot be empty", "Empty"},
               {R"({"inputs":[["a"],["a"],["a"]]})", 413, "'inputs' has more than 2 inputs (send them in several requests)", "Validation"},
               {R"({"inputs":"a","raw_scores":0})", 422, "'raw_scores' must be true or false, is a number (byte 27)", "Validation"},
           });
}

TEST_F(TeiTest, WritesErrorsOfTheServerInItsForm) {
  Serve();
  EXPECT_EQ(Outcome(Get("/none")), R"(404 {"error":"no such route","error_type":"Validation"})");
  EXPECT_EQ(Outcome("nonsense\r\n"), R"(400 {"error":"the request line is not 'METHOD TARGET HTTP/1.1'","error_type":"Validation"})");
  EXPECT_EQ(Outcome(PostJson("/info", "")), R"x(405 {"error":"the route does not take POST (it takes GET, HEAD, OPTIONS)","error_type":"Validation"})x");
}

}  // namespace
}  // namespace mlac
