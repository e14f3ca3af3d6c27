// Tasks that answer by themselves, over HTTP: what `mlac run` writes, for one text and for several.
#include <gtest/gtest.h>

#include "base/json.h"
#include "pipelines/task.h"
#include "tests/serve/server_fixture.h"

namespace mlac {
namespace {

using nlohmann::json;

std::string Family(const std::string& name) { return MLAC_TEST_FIXTURES "/families/" + name; }

class HubTasksTest : public ModelServerTest {
 protected:
  void ServeFamily(const std::string& name) {
    folder_ = Family(name);
    std::vector<NamedModel> models;
    models.push_back({"m", OpenServedModel(folder_)});
    ServeModels(std::move(models));
  }
  // What the task writes for these texts by itself.
  json Alone(std::unique_ptr<Task> (*make)(const TaskOptions& options), const std::vector<TextInput>& texts, TaskOptions options = {}) {
    options.format = OutputFormat::kJson;
    TextModel model(folder_);
    const std::unique_ptr<Task> task = make(options);
    std::string out;
    task->Begin(out);
    task->Add(model, texts, out);
    task->End(out);
    return json::parse(out);
  }
  json Post(const json& body, const std::string& path = "/") { return AskJson(PostJson(path, body.dump())); }
  std::string Refusal(const json& body) { return Outcome(PostJson("/", body.dump())); }

  std::string folder_;
};

// Twenty texts, so that several turns are needed.
std::vector<std::string> ManyTexts() {
  std::vector<std::string> texts;
  for (size_t i = 0; i < 20; ++i) texts.push_back("the cat number " + std::to_string(i) + " sat");
  return texts;
}

std::vector<TextInput> Inputs(const std::vector<std::string>& texts) {
  std::vector<TextInput> inputs;
  for (const std::string& text : texts) inputs.push_back({text, std::nullopt});
  return inputs;
}

TEST_F(HubTasksTest, FindsEntities) {
  ServeFamily("bert_tokens");
  const std::vector<std::string> texts = ManyTexts();
  for (const char* path : {"/", "/models/m", "/invocations"}) {
    EXPECT_EQ(Post({{"inputs", texts[0]}}, path), Alone(MakeTokenClassification, Inputs({texts[0]}))[0]) << path;
    EXPECT_EQ(Post({{"inputs", texts}}, path), Alone(MakeTokenClassification, Inputs(texts))) << path;
  }
  const TaskOptions options = {.aggregation = Aggregation::kFirst, .ignore_labels = {}};
  EXPECT_EQ(Post({{"inputs", texts}, {"parameters", {{"aggregation_strategy", "first"}, {"ignore_labels", json::array()}}}}),
            Alone(MakeTokenClassification, Inputs(texts), options));
  EXPECT_EQ(
      Refusal({{"inputs", "a"}, {"parameters", {{"stride", 1}}}}),
      R"x(422 {"error":"'parameters': token-classification: windows overlap, so their entities have to be joined","error_type":"Validation"})x");
  const std::string refusal = Refusal({{"parameters", {{"aggregation_strategy", "all"}}}, {"inputs", "a"}});
  EXPECT_TRUE(refusal.starts_with("422 {\"error\":\"'parameters.aggregation_strategy' must be one of 'none', ")) << refusal;
  EXPECT_EQ(Ask(PostJson("/embed", R"({"inputs":"a"})")).status, 422);
  EXPECT_EQ(AskJson(Get("/info")).at("model_type"), json::parse(R"({"token-classification":{}})"));
  EXPECT_EQ(Ask(PostJson("/v2/models/m/infer", R"({"inputs":[{"name":"text","datatype":"BYTES","shape":[1],"data":["a"]}]})")).status, 400);
}

TEST_F(HubTasksTest, AnswersQuestions) {
  ServeFamily("bert_qa");
  const std::string question = "where is the cat", context = "the cat sat on the mat";
  const json one = {{"question", question}, {"context", context}};
  EXPECT_EQ(Post({{"inputs", one}}), Alone(MakeQuestionAnswering, {{question, context}})[0]);
  EXPECT_EQ(Post({{"inputs", json::array({one, one})}}), Alone(MakeQuestionAnswering, {{question, context}, {question, context}}));
  EXPECT_EQ(Post({{"inputs", one},
                  {"parameters", {{"top_k", 3}, {"handle_impossible_answer", true}, {"max_answer_len", 2}, {"align_to_words", false}}}}),
            Alone(MakeQuestionAnswering, {{question, context}},
                  {.top_k = 3, .max_answer_length = 2, .handle_impossible_answer = true, .align_to_words = false})[0]);
  EXPECT_EQ(Refusal({{"inputs", {{"question", "a"}}}}), R"x(422 {"error":"'inputs.context' is missing","error_type":"Validation"})x");
  EXPECT_EQ(Refusal({{"inputs", {{"question", ""}, {"context", "a"}}}}),
            R"x(400 {"error":"'inputs.question' cannot be empty","error_type":"Empty"})x");
  EXPECT_EQ(Ask(PostJson("/", R"({"inputs":"a"})")).status, 422);
  EXPECT_EQ(Ask(PostJson("/", R"({"inputs":{"question":"a","context":"b"},"parameters":{"max_answer_len":0}})")).status, 422);
}

TEST_F(HubTasksTest, FillsMasks) {
  ServeFamily("distilbert_masked_lm");
  const json info = AskJson(Get("/info"));
  EXPECT_EQ(info.at("mask_token"), "[MASK]");
  EXPECT_EQ(info.at("tasks"), json::parse(R"(["fill-mask","feature-extraction","sentence-similarity"])"));
  const std::vector<std::string> texts = {"the [MASK] sat", "a [MASK] is a [MASK]"};
  EXPECT_EQ(Post({{"inputs", texts[0]}}), Alone(MakeFillMask, Inputs({texts[0]}))[0]);
  EXPECT_EQ(Post({{"inputs", texts}, {"parameters", {{"top_k", 2}}}}), Alone(MakeFillMask, Inputs(texts), {.top_k = 2}));
  EXPECT_EQ(Post({{"inputs", texts[0]}, {"parameters", {{"targets", {"the", "a"}}}}}),
            Alone(MakeFillMask, Inputs({texts[0]}), {.targets = {"the", "a"}})[0]);
  EXPECT_EQ(Refusal({{"inputs", {"the [MASK]", "no mask"}}}),
            R"x(422 {"error":"inputs[1]: expected the mask token [MASK] in the text, found none","error_type":"Validation"})x");
  EXPECT_EQ(Ask(PostJson("/embed", R"({"inputs":"a"})")).status, 200);  // its encoder gives vectors all the same
}

TEST_F(HubTasksTest, ClassifiesByLabelsOfTheClientsOwn) {
  ServeFamily("electra_nli");
  const std::vector<std::string> texts = ManyTexts(), labels = {"cats", "dogs", "birds"};
  for (const bool multi_label : {false, true}) {
    const json expected = Alone(MakeZeroShotClassification, Inputs(texts),
                                {.candidate_labels = labels, .hypothesis_template = "it is {}", .multi_label = multi_label});
    const json parameters = {{"candidate_labels", labels}, {"hypothesis_template", "it is {}"}, {"multi_label", multi_label}};
    const json answers = Post({{"inputs", texts}, {"parameters", parameters}}),
               alone = Post({{"inputs", texts[0]}, {"parameters", parameters}});
    EXPECT_EQ(alone, answers[0]);
    ASSERT_EQ(answers.size(), texts.size());
    for (size_t i = 0; i < texts.size(); ++i)
      for (size_t l = 0; l < labels.size(); ++l) {
        EXPECT_EQ(answers[i][l].at("label"), expected[i].at("labels")[l]);
        EXPECT_EQ(answers[i][l].at("score"), expected[i].at("scores")[l]);
      }
  }
  EXPECT_EQ(Post({{"inputs", "a"}}).size(), 1u);  // without labels it classifies by its own
  EXPECT_EQ(
      Refusal({{"inputs", "a"}, {"parameters", {{"candidate_labels", json::array()}}}}),
      R"x(422 {"error":"'parameters': zero-shot-classification: expected at least one label, found none","error_type":"Validation"})x");
  const std::string refusal = Refusal({{"inputs", "a"}, {"parameters", {{"candidate_labels", {"a"}}, {"hypothesis_template", "b"}}}});
  EXPECT_TRUE(refusal.starts_with("422 {\"error\":\"'parameters.hypothesis_template' must be a text with {} for the label")) << refusal;
  ServeFamily("distilbert_classifier");
  EXPECT_EQ(Ask(PostJson("/", R"({"inputs":"a","parameters":{"candidate_labels":["b"]}})")).status, 422);
}

TEST_F(HubTasksTest, RanksAsMlacRun) {
  ServeFamily("mpnet_reranker");
  const std::vector<std::string> texts = ManyTexts();
  const json expected = Alone(MakeTextRanking, Inputs(texts), {.query = "the cat"}),
             answer = Post({{"query", "the cat"}, {"texts", texts}}, "/rerank");
  EXPECT_EQ(answer, expected);
  EXPECT_EQ(Post({{"query", "the cat"}, {"texts", texts}}), expected);
}

}  // namespace
}  // namespace mlac
