// Each allocation of a server fails in turn while it answers a request: the client gets its answer, 503, or sees its connection close, and
// the next one gets what it would have got anyway.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <latch>
#include <memory>
#include <new>

#include "serve/batch_queue.h"
#include "serve/model_server.h"
#include "serve/model_set.h"
#include "tests/faults/each_allocation.h"
#include "tests/faults/failing_new.h"
#include "tests/faults/power_loss.h"
#include "tests/serve/fake_model.h"
#include "tests/serve/server_fixture.h"
#include "tests/support/reference.h"

namespace mlac {
namespace {

using test::AllocationReport;
using test::Attempt;
using test::FailEachAllocation;
using test::FailingNew;
using test::FixturePath;
using test::Stride;
using test::WithMemory;

struct AskedServer {
  const char *name, *folder, *path, *body;
  std::string Request() const { return PostJson(path, body); }
};

constexpr AskedServer kRequests[] = {
    {"/embed", "models/st_mean", "/embed", R"({"inputs": ["a cat", "the dog sat"]})"},
    {"/v1/embeddings", "models/st_mean", "/v1/embeddings", R"({"input": ["a cat", "the dog"], "encoding_format": "base64"})"},
    {"/similarity", "models/st_mean", "/similarity", R"({"inputs": {"source_sentence": "a cat", "sentences": ["a dog", "the cat"]}})"},
    {"/predict", "models/classifier", "/predict", R"({"inputs": [["a cat"], ["a dog"]]})"},
    {"/ of a classifier", "models/classifier", "/", R"({"inputs": "a cat", "parameters": {"top_k": 2}})"},
    {"/v2/models/m/infer", "models/classifier", "/v2/models/m/infer",
     R"({"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["a cat"]}]})"},
    {"/ of entities", "families/bert_tokens", "/", R"({"inputs": "the cat was not there"})"},
    {"/ of answers", "families/bert_qa", "/", R"({"inputs": {"question": "who sat?", "context": "the cat sat"}})"},
    {"/ of masks", "models/masked_lm", "/", R"({"inputs": "the [MASK] sat"})"},
    {"/ with labels of its own", "families/electra_nli", "/",
     R"({"inputs": "a cat", "parameters": {"candidate_labels": ["animal", "colour"]}})"},
    {"/tokenize", "models/classifier", "/tokenize", R"({"inputs": "a cat"})"},
    {"a request with a fault", "models/classifier", "/predict", R"({"inputs": 1})"},
};

struct Served {
  explicit Served(const AskedServer& asked) : request(asked.Request()) {
    std::vector<NamedModel> models;
    models.push_back({"m", OpenServedModel(FixturePath(asked.folder), {.num_threads = 1, .max_length = {}})});
    server.emplace(std::move(models), ModelServerOptions{.http = {.port = 0, .drain_idle = std::chrono::milliseconds(0)}});
    RawAnswer first = Ask();
    status = first.status;
    body = std::move(first.body);
  }

  RawAnswer Ask() const {
    const WithMemory client;
    RawClient connection(server->port());
    connection.Send(request);
    return connection.Receive();
  }
  // "" for the answer that an undisturbed server gives; throws for those without memory.
  std::string Compare() const {
    const WithMemory client;
    const RawAnswer answer = Ask();
    if (answer.status == 0) throw Error(ErrorCode::kCancelled, "the connection was closed");
    if (answer.status == 503) throw Error(ErrorCode::kResourceExhausted, answer.body);
    return answer.status == status && answer.body == body ? "" : fmt::format("{} {}", answer.status, answer.body);
  }

  const std::string request;
  std::optional<ModelServer> server;
  int status = 0;
  std::string body;
};

TEST(FailingAllocationsOfAServer, CostTheRequestItsAnswerAndNothingElse) {
  size_t num_points = 0, num_costs = 0;
  for (const AskedServer& asked : kRequests) {
    for (const size_t count : {1, 8, 64}) {
      const AllocationReport report = FailEachAllocation(Stride(41), count, [&] {
        const auto served = std::make_shared<Served>(asked);
        if (served->status == 0 || served->status >= 500)
          throw Error(ErrorCode::kInternal, fmt::format("{}: status {}", asked.name, served->status));
        return Attempt{.act = [=] { return served->Compare(); }, .behind = [=] { return served->Compare(); }};
      });
      Print(fmt::format("{}, {} in a row", asked.name, count), report);
      EXPECT_EQ(report.num_findings, 0u) << asked.name << ": " << testing::PrintToString(report.findings);
      EXPECT_EQ(report.num_spared, 0u) << asked.name << ": a request depends on memory that a destructor of nlohmann's asks for";
      num_points += report.num_points;
      num_costs += report.num_short + report.num_closed;
    }
  }
  EXPECT_GT(2 * num_costs, num_points) << "nothing failed";  // some allocations cost nothing: a log line, room for the next request
}

TEST(FailingAllocationsOfAServer, LetItStopAllTheSame) {
  const AskedServer& asked = kRequests[0];
  for (const size_t count : {1, 8}) {
    const AllocationReport report = FailEachAllocation(1, count, [&] {
      struct State {
        std::unique_ptr<Served> served;
        std::unique_ptr<RawClient> idle;
      };
      const auto state = std::make_shared<State>();
      return Attempt{.before =
                         [=, &asked] {
                           state->served = std::make_unique<Served>(asked);
                           state->idle = std::make_unique<RawClient>(state->served->server->port());
                           state->idle->Send(asked.Request());
                           state->idle->Receive();
                         },
                     .act = [=]() -> std::string {
                       const bool all_answered = state->served->server->Shutdown(std::chrono::seconds(30));
                       state->served.reset();
                       return all_answered ? "" : "not all was answered";
                     },
                     .behind = [=] { return state->idle->AtEnd() ? "" : "a connection stands"; }};
    });
    Print(fmt::format("stopping, {} in a row", count), report);
    EXPECT_EQ(report.num_findings, 0u) << testing::PrintToString(report.findings);
    EXPECT_GT(report.num_points, 0u);
  }
}

// What is let go of where there is no memory goes all the same.
TEST(FailingAllocationsOfAServer, DoNotKeepAModelThatIsServedNoMore) {
  ServeMetrics metrics;
  ModelSet models({}, metrics);
  models.Put("one", std::make_unique<FakeModel>());
  for (int i = 0; i < 40; ++i) {
    models.Put("two", std::make_unique<FakeModel>());
    ModelSet::ServicePtr held = models.Find("two");
    models.Remove("two");
    const FailingNew failing(0, FailingNew::kAllBehind);
    held.reset();
  }
}

TEST(FailingAllocationsOfAServer, LeaveTheQueueAsItWas) {
  BatchQueue queue({.row_sizes = {1, 0, 0, 0}}, [](const TokenBatch&, const RowsWanted&, std::span<float> out, Lane) { out[0] = 1; });
  for (size_t nth = 0;; ++nth) {
    std::vector<QueuedSequence> sequences(1, {.token_ids = {1}, .token_type_ids = {0}});
    std::latch done(1);
    const BatchQueue::Done count_down = [&](BatchResult) { done.count_down(); };
    bool struck, refused = false;
    {
      const FailingNew failing(nth);
      try {
        queue.Submit(std::move(sequences), count_down);
      } catch (const std::bad_alloc&) {
        refused = true;
      }
      if (!refused) done.wait();
      struck = failing.struck();
    }
    EXPECT_EQ(queue.num_waiting(), 0u) << nth;
    if (!struck) break;
  }
}

}  // namespace
}  // namespace mlac
