#include "serve/model_set.h"

#include <gtest/gtest.h>

#include <atomic>
#include <limits>
#include <thread>

#include "tests/serve/server_fixture.h"

namespace mlac {
namespace {

using nlohmann::json;
using Vectors = std::vector<std::vector<float>>;

std::vector<NamedModel> Models(const std::vector<std::pair<std::string, FakeModelOptions>>& options,
                               std::vector<FakeModel*>* pointers = nullptr) {
  std::vector<NamedModel> models;
  for (const auto& [name, model_options] : options) {
    auto model = std::make_unique<FakeModel>(model_options);
    if (pointers) pointers->push_back(model.get());
    models.push_back({name, std::move(model)});
  }
  return models;
}

class ModelSetTest : public ModelServerTest {
 protected:
  // Two embedders that differ, a classifier and a ranker.
  void ServeFour() {
    ServeModels(Models({{"one", {.normalizes = false}},
                        {"two", {.normalizes = false, .shift = 1}},
                        {"sorts", {.is_classifier = true}},
                        {"ranks", {.is_classifier = true, .num_labels = 1}}},
                       &models_));
  }
  Vectors Embed(const std::string& path, const std::string& fields = "") {
    return AskJson(PostJson(path, R"({"inputs":"hello","normalize":false})", fields)).get<Vectors>();
  }
  Vectors Of(size_t index) const { return {models_[index]->Row({2, 10, 3})}; }

  std::vector<FakeModel*> models_;
};

TEST_F(ModelSetTest, FindsTheModelByPathThenHeaderThenBodyElseTheFirstThatDoesTheTask) {
  ServeFour();
  ASSERT_NE(Of(0), Of(1));
  EXPECT_EQ(Embed("/embed"), Of(0));
  EXPECT_EQ(Embed("/models/one/embed"), Of(0));
  EXPECT_EQ(Embed("/models/two/embed"), Of(1));
  EXPECT_EQ(Embed("/embed", "x-model: two\r\n"), Of(1));
  EXPECT_EQ(Embed("/models/one/embed", "x-model: two\r\n"), Of(0));
  EXPECT_EQ(Embed("/models/two"), Of(1));
  EXPECT_EQ(Embed("/"), Of(0));
  EXPECT_EQ(Embed("/invocations", "X-Model: two\r\n"), Of(1));
  const auto openai = [&](const std::string& path, const std::string& model, const std::string& fields = "") {
    const json answer = AskJson(PostJson(path, R"({"input":"hello")" + model + "}", fields));
    return std::pair(answer.at("model").get<std::string>(), Vectors{answer.at("data")[0].at("embedding").get<std::vector<float>>()});
  };
  EXPECT_EQ(openai("/v1/embeddings", ""), std::pair(std::string("one"), Of(0)));
  EXPECT_EQ(openai("/v1/embeddings", R"(,"model":null)"), std::pair(std::string("one"), Of(0)));
  EXPECT_EQ(openai("/v1/embeddings", R"(,"model":"two")"), std::pair(std::string("two"), Of(1)));
  EXPECT_EQ(openai("/v1/embeddings", R"(,"model":"two")", "x-model: one\r\n"), std::pair(std::string("one"), Of(0)));
  EXPECT_EQ(openai("/models/two/v1/embeddings", R"(,"model":"one")"), std::pair(std::string("two"), Of(1)));
  // To the first that does the task, or that the form of the body asks for.
  EXPECT_EQ(AskJson(PostJson("/predict", R"({"inputs":"a"})")).size(), 3u);
  EXPECT_EQ(AskJson(PostJson("/rerank", R"({"query":"a","texts":["b","c"]})")).size(), 2u);
  EXPECT_EQ(AskJson(PostJson("/", R"({"query":"a","texts":["b","c"]})")).size(), 2u);
  EXPECT_EQ(AskJson(PostJson("/", R"({"inputs":{"source_sentence":"a","sentences":["b","c","a"]}})")).size(), 3u);
  EXPECT_EQ(AskJson(PostJson("/models/sorts", R"({"inputs":"a"})"))[0].size(), 3u);
  EXPECT_EQ(AskJson(Get("/models/ranks/info")).at("model_id"), "ranks");
  EXPECT_EQ(AskJson(Get("/info")).at("model_id"), "one");
  EXPECT_EQ(AskJson(Get("/info", "x-model: sorts\r\n")).at("model_id"), "sorts");
  EXPECT_EQ(AskJson(Get("/v1/models")).at("data").size(), 4u);
  EXPECT_EQ(AskJson(Get("/v1/models/sorts")).at("id"), "sorts");
}

TEST_F(ModelSetTest, SaysWhichModelsDoWhatTheOneThatWasNamedDoesNot) {
  ServeFour();
  EXPECT_EQ(
      Outcome(PostJson("/models/sorts/embed", R"({"inputs":"a"})")),
      R"x(422 {"error":"the model 'sorts' does not do feature-extraction (it does text-classification; that is done by 'one', 'two')","error_type":"Validation"})x");
  EXPECT_EQ(
      Outcome(PostJson("/v1/embeddings", R"({"input":"a","model":"sorts"})")),
      R"x(404 {"error":{"message":"the model 'sorts' does not do feature-extraction (it does text-classification; that is done by 'one', 'two')","type":"invalid_request_error","param":"model","code":"model_not_found"}})x");
  EXPECT_EQ(
      Outcome(PostJson("/similarity", R"({"inputs":"a"})", "x-model: ranks\r\n")),
      R"x(422 {"error":"the model 'ranks' does not do sentence-similarity (it does text-classification, text-ranking; that is done by 'one', 'two')","error_type":"Validation"})x");
  const std::string unknown = "no such model (served are 'one', 'two', 'sorts', 'ranks')";
  EXPECT_EQ(
      Outcome(PostJson("/v1/embeddings", R"({"input":"a","model":"three"})")),
      R"x(404 {"error":{"message":")x" + unknown + R"x(","type":"invalid_request_error","param":"model","code":"model_not_found"}})x");
  EXPECT_EQ(
      Outcome(PostJson("/models/three/v1/embeddings", R"({"input":"a"})")),
      R"x(404 {"error":{"message":")x" + unknown + R"x(","type":"invalid_request_error","param":"model","code":"model_not_found"}})x");
  EXPECT_EQ(Outcome(PostJson("/embed", R"({"inputs":"a"})", "x-model: three\r\n")),
            R"x(404 {"error":")x" + unknown + R"x(","error_type":"Validation"})x");
  EXPECT_EQ(Outcome(Get("/v2/models/three")), R"x(404 {"error":")x" + unknown + R"x("})x");
}

TEST_F(ModelSetTest, RefusesTwoOfOneNameNoModelAndNamesThatAreNone) {
  const auto failure = [&](std::vector<NamedModel> models) -> std::string {
    try {
      const ModelServer server(std::move(models), {.http = {.port = 0}});
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(failure(Models({{"a", {}}, {"b", {}}, {"a", {}}})), "two models are called 'a' (give one another name: OTHER=FOLDER)");
  EXPECT_EQ(failure({}), "no model to serve");
  EXPECT_EQ(failure(Models({{"", {}}})), "a model's name is empty, or no text without control characters");
  EXPECT_EQ(failure(Models({{"a\n", {}}})), "a model's name is empty, or no text without control characters");
}

TEST_F(ModelSetTest, AModelThatTakesAnothersPlaceAnswersNewRequestsAndTheOldOneThoseItHas) {
  ServeModels(Models({{"m", {.normalizes = false}}}, &models_));
  const Vectors old_answer = Of(0);
  models_[0]->Hold();
  RawClient computing(server_->port()), queued(server_->port());
  computing.Send(PostJson("/embed", R"({"inputs":"hello","normalize":false})"));
  models_[0]->AwaitBatches(1);
  queued.Send(PostJson("/embed", R"({"inputs":"hello","normalize":false})"));
  while (Ask(Get("/metrics")).body.find("mlac_sequences_waiting 1") == std::string::npos) {
  }
  std::thread swap(
      [&] { EXPECT_TRUE(server_->models().Put("m", std::make_unique<FakeModel>(FakeModelOptions{.normalizes = false, .shift = 1}))); });
  models_[0]->Release();
  swap.join();
  const FakeModel new_model({.normalizes = false, .shift = 1});
  EXPECT_EQ(Embed("/embed"), (Vectors{new_model.Row({2, 10, 3})}));
  EXPECT_EQ(json::parse(computing.Receive().body).get<Vectors>(), old_answer);
  EXPECT_EQ(json::parse(queued.Receive().body).get<Vectors>(), old_answer);
}

TEST_F(ModelSetTest, KeepsTheOldModelWhereTheNewOneIsBroken) {
  ServeModels(Models({{"m", {.normalizes = false}}}, &models_));
  class BrokenModel : public FakeModel {
    void Compute(const TokenBatch&, const RowsWanted&, std::span<float> out, Lane) override {
      std::fill(out.begin(), out.end(), std::numeric_limits<float>::quiet_NaN());
    }
  };
  test::ExpectError(ErrorCode::kInvalidInput, "the model 'm' gives a number that is not finite",
                    [&] { server_->models().Put("m", std::make_unique<BrokenModel>()); });
  EXPECT_EQ(Embed("/embed"), Of(0));
}

TEST_F(ModelSetTest, ServesAModelNoMoreOnceItIsRemovedButTheLastOneStays) {
  ServeFour();
  EXPECT_FALSE(server_->models().Remove("three"));
  EXPECT_TRUE(server_->models().Remove("one"));
  EXPECT_EQ(Embed("/embed"), Of(1));
  EXPECT_EQ(Ask(PostJson("/models/one/embed", R"({"inputs":"a"})")).status, 404);
  const std::string metrics = Ask(Get("/metrics")).body;
  EXPECT_NE(metrics.find("mlac_info{model=\"one\",version=\"0.1.0\"} 0\n"), std::string::npos) << metrics;
  EXPECT_NE(metrics.find("mlac_info{model=\"two\",version=\"0.1.0\"} 1\n"), std::string::npos);
  EXPECT_TRUE(server_->models().Remove("sorts"));
  EXPECT_TRUE(server_->models().Remove("ranks"));
  test::ExpectError(ErrorCode::kInvalidArgument, "'two' is the only model that is served", [&] { server_->models().Remove("two"); });
  EXPECT_EQ(Embed("/embed"), Of(1));
}

TEST_F(ModelSetTest, ChecksNoMoreOfAModelWhereTheServerEnds) {
  ServeModels(Models({{"m", {.normalizes = false}}}, &models_));
  int num_checks = 0;
  ModelOrigin origin;
  for (int i = 0; i < 3; ++i)
    origin.checks.push_back([&](ServedModel&) {
      if (++num_checks == 2) server_->models().TakeNoMore();
    });
  test::ExpectError(ErrorCode::kCancelled, "the server is shutting down",
                    [&] { server_->models().Put("m", std::make_unique<FakeModel>(FakeModelOptions{.shift = 1}), std::move(origin)); });
  EXPECT_EQ(num_checks, 2);
  EXPECT_EQ(Embed("/embed"), Of(0));
}

TEST_F(ModelSetTest, SaysWhenAModelHasEndedThatWasReplacedUnloadedOrRefused) {
  std::atomic<int> num_ended = 0;
  ServeMetrics metrics;
  ModelSet models({}, metrics, [&] { ++num_ended; });
  const auto await = [&](int count) {
    while (num_ended != count) std::this_thread::yield();
  };
  models.Put("a", std::make_unique<FakeModel>());
  models.Put("b", std::make_unique<FakeModel>());
  ModelSet::ServicePtr held = models.Find("a");
  models.Put("a", std::make_unique<FakeModel>());
  EXPECT_EQ(num_ended, 0);
  held.reset();
  await(1);
  models.Remove("b");
  await(2);
  ModelLoader loader({.model = [](const std::string&) -> std::unique_ptr<ServedModel> { throw Error(ErrorCode::kInvalidInput, "broken"); },
                      .adapter = nullptr},
                     models);
  test::ExpectError(ErrorCode::kInvalidInput, "broken", [&] { loader.Load({{.name = "c", .folder = "c"}}); });
  await(3);
}

TEST_F(ModelSetTest, LosesNoRequestWhileModelsChangePlaces) {
  ServeModels(Models({{"m", {.normalizes = false}}, {"other", {}}}));
  std::atomic<bool> stopping = false;
  std::atomic<size_t> num_answered = 0, num_wrong = 0;
  const FakeModel plain({.normalizes = false}), shifted({.normalizes = false, .shift = 1});
  const std::set<Vectors> right = {{plain.Row({2, 10, 3})}, {shifted.Row({2, 10, 3})}};
  std::vector<std::thread> clients;
  for (size_t c = 0; c < 4; ++c)
    clients.emplace_back([&] {
      RawClient client(server_->port());
      while (!stopping) {
        client.Send(PostJson("/models/m/embed", R"({"inputs":"hello","normalize":false})"));
        const RawAnswer answer = client.Receive();
        num_wrong += answer.status != 200 || !right.contains(json::parse(answer.body).get<Vectors>());
        ++num_answered;
      }
    });
  for (int32_t i = 0; i < 50; ++i) {
    const size_t before = num_answered;
    server_->models().Put("m", std::make_unique<FakeModel>(FakeModelOptions{.normalizes = false, .shift = i % 2}));
    while (num_answered < before + 8) std::this_thread::yield();
  }
  stopping = true;
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(num_wrong, 0u);
}

TEST_F(ModelSetTest, AFloodOfOneModelTakesNoSlotOfAnother) {
  ServeModels(Models({{"flooded", {}}, {"quiet", {}}}, &models_), {.inference = {.max_concurrent_requests = 1}});
  models_[0]->Hold();
  RawClient held(server_->port());
  held.Send(PostJson("/models/flooded/embed", R"({"inputs":"a"})"));
  models_[0]->AwaitBatches(1);
  EXPECT_EQ(Ask(PostJson("/models/flooded/embed", R"({"inputs":"a"})")).status, 429);
  RawClient other(server_->port());
  other.Send(PostJson("/models/quiet/embed", R"({"inputs":"a"})"));
  models_[0]->Release();
  EXPECT_EQ(other.Receive().status, 200);
  EXPECT_EQ(held.Receive().status, 200);
}

}  // namespace
}  // namespace mlac
