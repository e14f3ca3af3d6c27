// Tasks whose answers are more than a row, over HTTP: what `mlac run` writes, for one text and for several.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <thread>

#include "base/json.h"
#include "pipelines/sequence_task.h"
#include "tests/serve/server_fixture.h"

namespace mlac {
namespace {

using nlohmann::json;

std::string Family(const std::string& name) { return MLAC_TEST_FIXTURES "/families/" + name; }

// The model of a folder, whose computations wait as long as a test holds them.
class HeldModel : public ServedModel {
 public:
  explicit HeldModel(const std::string& folder) : model_(OpenServedModel(folder)) {}

  const Tokenizer& tokenizer() const override { return model_->tokenizer(); }
  size_t max_length() const override { return model_->max_length(); }
  size_t vocab_size() const override { return model_->vocab_size(); }
  const std::vector<std::string>& tasks() const override { return model_->tasks(); }
  std::string_view dtype() const override { return model_->dtype(); }
  bool is_classifier() const override { return model_->is_classifier(); }
  const std::vector<std::string>& label_names() const override { return model_->label_names(); }
  ProblemType problem_type() const override { return model_->problem_type(); }
  size_t output_size() const override { return model_->output_size(); }
  size_t row_size(Output output) const override { return model_->row_size(output); }
  std::string_view pooling() const override { return model_->pooling(); }
  bool normalizes() const override { return model_->normalizes(); }
  const SentencePrompts& prompts() const override { return model_->prompts(); }
  bool pools_prompt() const override { return model_->pools_prompt(); }
  std::unique_ptr<ServedModel> OpenAdapter(const std::string& adapter) const override { return model_->OpenAdapter(adapter); }
  const TextModel* text_model() const override { return model_->text_model(); }
  void Answer(Task& task, std::span<const TextInput> texts, std::string& out) override { model_->Answer(task, texts, out); }

  void Compute(const TokenBatch& batch, const RowsWanted& wanted, std::span<float> out, Lane lane) override {
    if (batch.num_tokens() > 1) {  // else the check of a new model
      std::unique_lock lock(mutex_);
      batches_.emplace_back();
      for (size_t s = 0; s < batch.num_sequences(); ++s) batches_.back().push_back(batch.offsets[s + 1] - batch.offsets[s]);
      changed_.notify_all();
      changed_.wait(lock, [this] { return !held_; });
    }
    model_->Compute(batch, wanted, out, lane);
  }

  void SetHeld(bool held) {
    const std::lock_guard lock(mutex_);
    held_ = held;
    changed_.notify_all();
  }
  // The lengths of the sequences of each batch, once there are so many.
  std::vector<std::vector<size_t>> Batches(size_t at_least) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return batches_.size() >= at_least; });
    return batches_;
  }

 private:
  const std::unique_ptr<ServedModel> model_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool held_ = false;
  std::vector<std::vector<size_t>> batches_;
};

class HubTasksTest : public ModelServerTest {
 protected:
  // Its model computes nothing until it is let go.
  void ServeHeld(const std::string& name, InferenceServiceOptions options = {}) {
    folder_ = Family(name);
    auto model = std::make_unique<HeldModel>(folder_);
    held_ = model.get();
    std::vector<NamedModel> models;
    models.push_back({"m", std::move(model)});
    ServeModels(std::move(models), {.inference = options});
    held_->SetHeld(true);
  }
  ~HubTasksTest() override {
    if (held_) held_->SetHeld(false);
  }
  // Waits until so many sequences are in the queue.
  void AwaitWaiting(size_t count) {
    while (server_->models().num_waiting() != count) std::this_thread::yield();
  }
  HeldModel* held_ = nullptr;

  void ServeFamily(const std::string& name) {
    folder_ = Family(name);
    std::vector<NamedModel> models;
    models.push_back({"m", OpenServedModel(folder_)});
    ServeModels(std::move(models));
  }
  // What the task writes for these texts by itself.
  json Alone(auto make, const std::vector<TextInput>& texts, TaskOptions options = {}) {
    options.format = OutputFormat::kJson;
    TextModel model(folder_);
    const auto task = make(options);
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

// Twenty texts of one request.
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
  EXPECT_EQ(Outcome(PostJson("/v2/models/m/infer", R"({"inputs":[{"name":"text","datatype":"BYTES","shape":[1],"data":["a"]}]})")),
            R"x(400 {"error":"the model 'm' does question-answering, which this protocol is not spoken for"})x");
  EXPECT_EQ(AskJson(Get("/v2/models/m")).at("outputs"), json::array());
  EXPECT_EQ(Ask(PostJson("/", R"({"inputs":{"question":"a","context":"b"},"parameters":{"top_k":100}})")).status, 200);
  EXPECT_EQ(Refusal({{"inputs", one}, {"parameters", {{"top_k", 101}}}}),
            R"x(422 {"error":"'parameters.top_k' must be an integer from 1 to 100, is 101 (byte 99)","error_type":"Validation"})x");
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
            Alone(MakeFillMask, Inputs({texts[0]}), {.targets = std::vector<std::string>{"the", "a"}})[0]);
  EXPECT_EQ(Refusal({{"inputs", {"the [MASK]", "no mask"}}}),
            R"x(422 {"error":"inputs[1]: expected the mask token [MASK] in the text, found none","error_type":"Validation"})x");
  EXPECT_EQ(Ask(PostJson("/embed", R"({"inputs":"a"})")).status, 200);  // its encoder gives vectors all the same
  std::string masks = "the";
  for (int i = 0; i < 60; ++i) masks += " [MASK]";
  const std::string refusal = Refusal({{"inputs", std::vector<std::string>(2048, masks)}, {"parameters", {{"top_k", 2147483647}}}});
  EXPECT_TRUE(refusal.starts_with("413 {\"error\":\"the answer would have some ")) << refusal;
  json targets = json::array();
  for (int i = 0; i < 2048; ++i) targets.push_back("the");
  EXPECT_EQ(Post({{"inputs", texts[0]}, {"parameters", {{"targets", targets}}}}).size(), 1u);
  targets.push_back("a");
  EXPECT_EQ(Refusal({{"inputs", texts[0]}, {"parameters", {{"targets", targets}}}}),
            R"x(413 {"error":"'parameters.targets' has more than 2048 texts","error_type":"Validation"})x");
}

// What is found in the second text of a pair has places that the first does not have.
TEST_F(HubTasksTest, RefusesPairsWhereATaskReadsSingleTexts) {
  const struct {
    const char *family, *task;
    json parameters;
  } cases[] = {{"bert_tokens", "token-classification", json::object()},
               {"distilbert_masked_lm", "fill-mask", json::object()},
               {"electra_nli", "zero-shot-classification", {{"candidate_labels", {"a", "b"}}}}};
  for (const auto& [family, task, parameters] : cases) {
    ServeFamily(family);
    const json pair = {{"text", "\u00e1 [MASK]"}, {"text_pair", ":\u00e8 x"}}, single = {{"text", "a [MASK]"}};
    const std::string found = std::string(task) + R"(: expected a single text, found a pair","error_type":"Validation"})";
    EXPECT_EQ(Refusal({{"inputs", pair}, {"parameters", parameters}}), R"(422 {"error":"inputs: )" + found);
    EXPECT_EQ(Refusal({{"inputs", {single, {"a [MASK]", "b"}}}, {"parameters", parameters}}), R"(422 {"error":"inputs[1]: )" + found);
    EXPECT_EQ(Post({{"inputs", {single}}, {"parameters", parameters}}).size(), 1u);
  }
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

TEST_F(HubTasksTest, RequestsThatComeTogetherAreOneBatchWithTheAnswersOfEachAlone) {
  ServeHeld("bert_tokens");
  const std::vector<std::string> texts = {"the cat sat", "water", "the night is red and open", "a dog"};
  const std::vector<std::string> strategies = {"none", "simple", "first", "max"};
  constexpr std::array kAggregations = {Aggregation::kNone, Aggregation::kSimple, Aggregation::kFirst, Aggregation::kMax};
  std::vector<std::unique_ptr<RawClient>> clients;
  for (size_t i = 0; i < texts.size(); ++i) {
    clients.push_back(std::make_unique<RawClient>(server_->port()));
    clients[i]->Send(PostJson("/", json{{"inputs", {texts[i], texts[0]}},
                                        {"parameters", {{"aggregation_strategy", strategies[i]}, {"ignore_labels", json::array()}}}}
                                       .dump()));
    if (i == 0) held_->Batches(1);  // under way, so the rest waits
  }
  AwaitWaiting(6);
  held_->SetHeld(false);
  for (size_t i = 0; i < texts.size(); ++i)
    EXPECT_EQ(json::parse(clients[i]->Receive().body),
              Alone(MakeTokenClassification, Inputs({texts[i], texts[0]}), {.aggregation = kAggregations[i], .ignore_labels = {}}))
        << i;
  const std::vector<std::vector<size_t>> batches = held_->Batches(2);
  ASSERT_EQ(batches.size(), 2u);
  EXPECT_EQ(batches[1].size(), 6u);
}

TEST_F(HubTasksTest, QuestionsMasksAndLabelsOfTheClientsOwnJoinToo) {
  struct Case {
    std::string family;
    size_t num_sequences;  // of both requests
    std::vector<std::string> bodies;
  };
  const std::vector<Case> cases = {
      {"bert_qa",
       2,
       {R"({"inputs":{"question":"where","context":"the cat sat on the mat"}})", R"({"inputs":{"question":"who is it","context":"a dog"}})"}},
      {"distilbert_masked_lm", 2, {R"({"inputs":"the [MASK] sat"})", R"({"inputs":"a [MASK] is a [MASK]"})"}},
      {"electra_nli",
       3,
       {R"({"inputs":"the cat sat","parameters":{"candidate_labels":["cats","dogs"]}})",
        R"({"inputs":"water","parameters":{"candidate_labels":["sea"]}})"}}};
  for (const Case& each : cases) {
    ServeFamily(each.family);
    std::vector<std::string> alone;
    for (const std::string& body : each.bodies) alone.push_back(Outcome(PostJson("/", body)));
    ServeHeld(each.family);
    RawClient first(server_->port());
    first.Send(PostJson("/", each.bodies[0]));
    held_->Batches(1);
    std::vector<std::unique_ptr<RawClient>> clients;
    for (const std::string& body : each.bodies) {
      clients.push_back(std::make_unique<RawClient>(server_->port()));
      clients.back()->Send(PostJson("/", body));
    }
    AwaitWaiting(each.num_sequences);
    held_->SetHeld(false);
    for (size_t i = 0; i < alone.size(); ++i) EXPECT_EQ("200 " + clients[i]->Receive().body, alone[i]) << each.family;
    EXPECT_EQ(held_->Batches(2).size(), 2u) << each.family;
    first.Receive();
    held_ = nullptr;
  }
}

TEST_F(HubTasksTest, ATextAloneDoesNotWaitForTheWholeOfALargeRequest) {
  ServeHeld("bert_tokens", {.max_turn_tokens = 20});
  const std::vector<std::string> texts = ManyTexts();
  RawClient large(server_->port()), small(server_->port());
  large.Send(PostJson("/", json{{"inputs", texts}}.dump()));
  const std::vector<size_t> first = held_->Batches(1)[0];
  EXPECT_LT(first.size(), texts.size());
  small.Send(PostJson("/", json{{"inputs", "a"}}.dump()));
  AwaitWaiting(texts.size() - first.size() + 1);
  held_->SetHeld(false);
  EXPECT_EQ(json::parse(small.Receive().body), Alone(MakeTokenClassification, Inputs({"a"}))[0]);
  EXPECT_EQ(json::parse(large.Receive().body), Alone(MakeTokenClassification, Inputs(texts)));
  const std::vector<size_t> second = held_->Batches(2)[1];
  EXPECT_EQ(std::count(second.begin(), second.end(), 3), 1) << "[CLS] a [SEP] in the very next batch";
}

TEST_F(HubTasksTest, ComputesNothingForAClientThatHasLeft) {
  ServeHeld("bert_qa");
  const json one = {{"inputs", {{"question", "where"}, {"context", "the cat"}}}};
  RawClient first(server_->port()), last(server_->port());
  first.Send(PostJson("/", one.dump()));
  held_->Batches(1);
  {
    RawClient leaving(server_->port());
    leaving.Send(
        PostJson("/", json{{"inputs", {{"question", "where"}, {"context", std::string("the cat sat on the mat and so on")}}}}.dump()));
    AwaitWaiting(1);
  }
  AwaitWaiting(0);
  last.Send(PostJson("/", one.dump()));
  AwaitWaiting(1);
  held_->SetHeld(false);
  EXPECT_EQ(last.Receive().body, first.Receive().body);
  EXPECT_EQ(held_->Batches(2).size(), 2u);
  EXPECT_EQ(held_->Batches(2)[1], held_->Batches(2)[0]);
}

TEST_F(HubTasksTest, ReadsLongTextsThroughWindowsWithTheBitsOfMlacRun) {
  std::string context = "the cat";
  for (int i = 0; i < 40; ++i) context += " sat on the mat number " + std::to_string(i);
  ServeFamily("bert_qa");
  EXPECT_EQ(Post({{"inputs", {{"question", "where"}, {"context", context}}},
                  {"parameters", {{"max_seq_len", 24}, {"doc_stride", 7}, {"top_k", 4}}}}),
            Alone(MakeQuestionAnswering, {{"where", context}}, {.top_k = 4, .window = 24, .doc_stride = 7})[0]);
  EXPECT_EQ(Refusal({{"inputs", {{"question", "where"}, {"context", context}}},
                     {"parameters", {{"max_seq_len", 24}, {"doc_stride", 7}, {"top_k", 100}, {"max_answer_len", 1000000000}}}})
                .substr(0, 3),
            "200");  // few answers, whatever is allowed
  ServeFamily("bert_tokens");
  EXPECT_EQ(Post({{"inputs", {context, "a cat"}},
                  {"parameters", {{"stride", 5}, {"aggregation_strategy", "simple"}, {"ignore_labels", json::array()}}}}),
            Alone(MakeTokenClassification, {{context, std::nullopt}, {"a cat", std::nullopt}},
                  {.aggregation = Aggregation::kSimple, .stride = 5, .ignore_labels = {}}));
}

TEST_F(HubTasksTest, RefusesMoreWindowsThanTheServerTakesInputs) {
  folder_ = Family("bert_qa");
  std::vector<NamedModel> models;
  models.push_back({"m", OpenServedModel(folder_)});
  ServeModels(std::move(models), {.inference = {.max_client_batch_size = 4}});
  std::string context = "the";
  for (int i = 0; i < 30; ++i) context += " cat";
  const auto ask = [&](int stride) {
    return Refusal(
        {{"inputs", {{"question", "where"}, {"context", context}}}, {"parameters", {{"max_seq_len", 24}, {"doc_stride", stride}}}});
  };
  EXPECT_EQ(ask(0).substr(0, 3), "200");
  const std::string refusal = ask(16);
  EXPECT_TRUE(refusal.starts_with("422 {\"error\":\"windows of 24 tokens: a text of ") &&
              refusal.find(", at most 4 are possible") != std::string::npos)
      << refusal;
}

TEST_F(HubTasksTest, RefusesAnAnswerThatWouldBeFarLargerThanItsRequest) {
  ServeFamily("distilbert_masked_lm");
  std::string text;
  for (int i = 0; i < 30; ++i) text += "[MASK] ";
  std::vector<std::string> texts(2000, text);
  const std::string refusal = Refusal({{"inputs", texts}, {"parameters", {{"top_k", 1000000000}}}});
  EXPECT_TRUE(refusal.starts_with("413 {\"error\":\"the answer would have some ")) << refusal.substr(0, 200);
  EXPECT_TRUE(refusal.find("at most 64 are given at a time (ask for fewer answers") != std::string::npos) << refusal.substr(0, 200);
}

TEST_F(HubTasksTest, RefusesATextThatWouldBeReadTooOftenWithLabelsForItsLength) {
  ServeFamily("electra_nli");
  const auto ask = [&](size_t text_size) {
    const json parameters = {{"candidate_labels", std::vector<std::string>(1024, "a")}, {"hypothesis_template", "{}"}};
    return Refusal({{"inputs", std::string(text_size, 'a')}, {"parameters", parameters}});
  };
  EXPECT_EQ(ask(16'381).substr(0, 3), "200");  // a word, with a label of one letter and the template of two
  const std::string refusal = ask(16'382);
  EXPECT_TRUE(refusal.starts_with(
      R"x(413 {"error":"each text with each of 'parameters.candidate_labels': 16.0 MiB to be read in all; at most 16 are taken at a time)x"))
      << refusal.substr(0, 200);
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
