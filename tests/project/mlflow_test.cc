#include "project/mlflow.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <limits>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>

#include "http/client.h"
#include "http/server.h"
#include "project/openlineage.h"
#include "project/tracked_apply.h"
#include "tests/project/tiny_project.h"

namespace mlac {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using test::ExpectError;
using test::RecordingObserver;
using test::TinyProject;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

struct Call {
  std::string what;  // "POST runs/create"
  std::string authorization;
  json body;
  std::string text;
};

// As much of an MLflow server as is asked: keeps what it is told.
class FakeMlflow {
 public:
  // refuse: for the answer to the call with this number, a status other than 200.
  explicit FakeMlflow(std::function<int(const std::string& what, size_t number)> refuse = {},
                      std::string artifacts = "mlflow-artifacts:/7/r1/artifacts", std::string run_id = "r1")
      : refuse_(std::move(refuse)), artifacts_(std::move(artifacts)), run_id_(std::move(run_id)) {
    HttpRouter router;
    for (const char* method : {"GET", "POST", "PUT"})
      router.Add({.method = method, .pattern = "/{rest*}", .handler = [this](HttpRequest request, HttpResponder responder) {
                    Handle(request, responder);
                  }});
    server_.emplace(HttpServerOptions{.port = 0}, std::move(router));
  }
  std::string url() const { return server_->url(); }
  std::vector<Call> calls() const {
    const std::lock_guard lock(mutex_);
    return calls_;
  }
  std::vector<Call> Of(const std::string& what) const {
    std::vector<Call> found;
    for (const Call& call : calls())
      if (call.what == what) found.push_back(call);
    return found;
  }
  // All metrics that were logged, by name.
  std::map<std::string, std::vector<std::pair<size_t, double>>> Metrics() const {
    std::map<std::string, std::vector<std::pair<size_t, double>>> metrics;
    for (const Call& call : Of("POST runs/log-batch"))
      for (const json& metric : call.body.value("metrics", json::array()))
        metrics[metric.at("key")].emplace_back(metric.at("step"), metric.at("value"));
    return metrics;
  }
  std::map<std::string, std::string> Pairs(const char* kind) const {
    std::map<std::string, std::string> pairs;
    for (const Call& call : calls())
      if (call.body.is_object())
        for (const json& pair : call.body.value(kind, json::array())) pairs[pair.at("key")] = pair.at("value");
    return pairs;
  }

 private:
  void Handle(const HttpRequest& request, const HttpResponder& responder) {
    const size_t prefix = request.path.find("/mlflow");
    std::string path = request.path.substr(request.path.find('/', prefix + 1) + 1);
    Call call = {request.method + " " + path, std::string(request.Field("authorization")), json::parse(request.body, nullptr, false),
                 request.body};
    size_t number = 0;
    {
      const std::lock_guard lock(mutex_);
      number = calls_.size();
      calls_.push_back(call);
    }
    if (const int status = refuse_ ? refuse_(call.what, number) : 0; status != 0)
      return responder.Send({.status = status, .body = R"({"error_code":"X","message":"not \u001b[31mnow"})"});
    if (path == "experiments/get-by-name") return responder.Send({.status = 404, .body = R"({"error_code":"RESOURCE_DOES_NOT_EXIST"})"});
    if (path == "experiments/create") return responder.Send({.body = R"({"experiment_id":"7"})"});
    if (path == "runs/create")
      return responder.Send({.body = json({{"run", {{"info", {{"run_id", run_id_}, {"artifact_uri", artifacts_}}}}}}).dump()});
    responder.Send({.body = "{}"});
  }

  std::function<int(const std::string& what, size_t number)> refuse_;
  std::string artifacts_, run_id_;
  mutable std::mutex mutex_;
  std::vector<Call> calls_;
  std::optional<HttpServer> server_;
};

class MlflowTest : public testing::Test {
 protected:
  MlflowOptions Options(const std::string& url) {
    return {.url = url, .on_warning = [this](const std::string& warning) { warnings_.push_back(warning); }, .pause = 0ms, .patience = 60s};
  }
  std::vector<std::string> warnings_;
};

TEST_F(MlflowTest, LogsARunFromItsBeginningToItsEnd) {
  const FakeMlflow server;
  const test::TemporaryFolder folder;
  MlflowRun run(Options(server.url()), "topics", {{"epochs", "3"}, {"long", std::string(900, 'x')}},
                {{"mlflow.source.name", "mlac train"}});
  for (size_t step = 1; step <= 3; ++step) run.LogMetric("loss", 1.0 / static_cast<double>(step), step);
  run.LogMetric("odd name: ä", 1, 3);
  run.LogMetric("nan", std::numeric_limits<double>::quiet_NaN(), 3);
  run.Flush();
  run.LogTags({{"mlac.published", "true"}});
  run.LogDataset("training", "train.csv", std::string(64, 'a'));
  run.LogFile(folder.Write("metrics.json", R"({"accuracy": 1})"));
  run.LogFile(folder / "none");
  EXPECT_EQ(run.Page(), "");
  run.Finish(MlflowRun::Status::kFinished);
  EXPECT_EQ(run.Page(), server.url() + "/#/experiments/7/runs/r1");
  EXPECT_THAT(warnings_, testing::IsEmpty());
  std::vector<std::string> order;
  for (const Call& call : server.calls()) order.push_back(call.what);
  EXPECT_THAT(order, ElementsAre("GET experiments/get-by-name", "POST experiments/create", "POST runs/create", "POST runs/log-batch",
                                 "POST runs/log-batch", "POST runs/log-batch", "POST runs/log-inputs",
                                 "PUT artifacts/7/r1/artifacts/metrics.json", "POST runs/update"));
  EXPECT_EQ(server.Of("POST experiments/create")[0].body.at("name"), "mlac");
  EXPECT_EQ(server.Of("POST runs/create")[0].body.at("run_name"), "topics");
  EXPECT_EQ(server.Pairs("params").at("epochs"), "3");
  EXPECT_EQ(server.Pairs("params").at("long").size(), 500u);
  EXPECT_EQ(server.Pairs("tags").at("mlac.published"), "true");
  EXPECT_THAT(server.Metrics().at("loss"), ElementsAre(std::pair<size_t, double>(1, 1.0), std::pair<size_t, double>(2, 0.5), testing::_));
  EXPECT_TRUE(server.Metrics().contains("odd name_ __"));
  EXPECT_FALSE(server.Metrics().contains("nan"));
  const json dataset = server.Of("POST runs/log-inputs")[0].body.at("datasets")[0];
  EXPECT_EQ(dataset.at("dataset").at("digest").get<std::string>().size(), 32u);
  EXPECT_EQ(dataset.at("tags")[0].at("value"), "training");
  EXPECT_EQ(server.Of("PUT artifacts/7/r1/artifacts/metrics.json")[0].text, R"({"accuracy": 1})");
  EXPECT_EQ(server.Of("POST runs/update")[0].body.at("status"), "FINISHED");
}

TEST_F(MlflowTest, ARunThatNobodyFinishesFailed) {
  const FakeMlflow server;
  { const MlflowRun run(Options(server.url()), "topics", {}, {}); }
  EXPECT_EQ(server.Of("POST runs/update")[0].body.at("status"), "FAILED");
}

TEST_F(MlflowTest, TriesAgainWhatMayPass) {
  const FakeMlflow server([](const std::string& what, size_t number) {
    return what == "POST runs/create" && number == 2 ? 503 : number == 0 ? 429 : 0;
  });
  MlflowRun run(Options(server.url()), "topics", {{"a", "b"}}, {});
  run.Finish(MlflowRun::Status::kKilled);
  EXPECT_THAT(warnings_, testing::IsEmpty());
  EXPECT_EQ(server.Pairs("params").at("a"), "b");
  EXPECT_EQ(server.Of("POST runs/update")[0].body.at("status"), "KILLED");
}

TEST_F(MlflowTest, LogsTheParametersAgainWhereTheFirstTryFailed) {
  std::atomic<bool> failed = false;
  const FakeMlflow server(
      [&](const std::string& what, size_t) { return what == "POST runs/log-batch" && !failed.exchange(true) ? 503 : 0; });
  MlflowRun run(Options(server.url()), "topics", {{"a", "b"}}, {});
  run.Finish(MlflowRun::Status::kFinished);
  EXPECT_THAT(warnings_, testing::IsEmpty());
  ASSERT_EQ(server.Of("POST runs/log-batch").size(), 2u);
  EXPECT_EQ(server.Of("POST runs/log-batch")[1].body.at("params")[0].at("key"), "a");
  EXPECT_EQ(server.Of("POST runs/create").size(), 1u);
  EXPECT_NE(run.Page(), "");
}

TEST_F(MlflowTest, ParametersThatAreRefusedTakeNothingElseWithThem) {
  const FakeMlflow server([](const std::string& what, size_t number) { return what == "POST runs/log-batch" && number == 3 ? 400 : 0; });
  MlflowRun run(Options(server.url()), "topics", {{"a", "b"}}, {});
  run.LogMetric("loss", 1, 1);
  run.Finish(MlflowRun::Status::kFinished);
  EXPECT_THAT(warnings_, ElementsAre(HasSubstr("runs/log-batch: HTTP 400")));
  EXPECT_EQ(server.Metrics().at("loss").size(), 1u);
  EXPECT_EQ(server.Of("POST runs/log-batch").size(), 2u) << "the parameters are not sent again";
  EXPECT_EQ(run.Page(), "") << "not all was taken";
}

TEST_F(MlflowTest, WarnsOnceAndShowsNoSecret) {
  for (const int status : {401, 500}) {
    warnings_.clear();
    const FakeMlflow server([status](const std::string&, size_t) { return status; });
    const std::string port = server.url().substr(server.url().rfind(':'));
    MlflowOptions options = Options("http://ann:secret@127.0.0.1" + port);
    MlflowRun run(options, "topics", {}, {});
    for (size_t step = 0; step < 50; ++step) {
      run.LogMetric("loss", 1, step);
      run.Flush();
    }
    run.Finish(MlflowRun::Status::kFinished);
    EXPECT_THAT(warnings_, ElementsAre("tracking at http://127.0.0.1" + port + ": experiments/get-by-name: HTTP " + std::to_string(status) +
                                       ": not \\x1b[31mnow"));
    EXPECT_EQ(run.Page(), "");
    EXPECT_LE(server.calls().size(), 9u) << "three pieces of work, three tries each";
    EXPECT_EQ(server.calls()[0].authorization, BasicAuthorization("ann", "secret"));
  }
}

TEST_F(MlflowTest, ATokenGoesBeforeAUser) {
  const FakeMlflow server;
  MlflowOptions options = Options(server.url());
  options.token = "t0ken";
  options.user = "ann";
  MlflowRun(options, "topics", {}, {}).Finish(MlflowRun::Status::kFinished);
  EXPECT_EQ(server.calls()[0].authorization, "Bearer t0ken");
  options.token = "";
  options.password = "p";
  MlflowRun(options, "topics", {}, {}).Finish(MlflowRun::Status::kFinished);
  EXPECT_EQ(server.calls().back().authorization, BasicAuthorization("ann", "p"));
}

TEST_F(MlflowTest, AServerThatIsNotThereOrIsNoneIsAWarning) {
  std::string closed;
  {
    const FakeMlflow gone;
    closed = gone.url();
  }
  MlflowRun(Options(closed), "topics", {}, {}).Finish(MlflowRun::Status::kFinished);
  EXPECT_THAT(warnings_, ElementsAre(HasSubstr("Connection refused")));
  ExpectError(ErrorCode::kInvalidArgument, "tracking: expected an http:// or https:// URL, found 'file:///runs'",
              [&] { MlflowRun(Options("file:///runs"), "topics", {}, {}); });
}

TEST_F(MlflowTest, ArtefactsThatTheServerDoesNotTakeAreLeftOut) {
  const FakeMlflow server({}, "s3://bucket/7/r1");
  const test::TemporaryFolder folder;
  MlflowRun run(Options(server.url()), "topics", {}, {});
  run.LogFile(folder.Write("metrics.json", "{}"));
  run.Finish(MlflowRun::Status::kFinished);
  for (const Call& call : server.calls()) EXPECT_FALSE(call.what.starts_with("PUT")) << call.what;
  EXPECT_NE(run.Page(), "");
}

TEST_F(MlflowTest, WhatTheServerNamesReachesNeitherARequestNorATerminalAsItIs) {
  const FakeMlflow server({}, "mlflow-artifacts:/my place/r1 x", "r\x1b[31m1");
  const test::TemporaryFolder folder;
  MlflowRun run(Options(server.url()), "topics", {}, {});
  run.LogFile(folder.Write("metrics.json", "{}"));
  run.Finish(MlflowRun::Status::kFinished);
  EXPECT_THAT(warnings_, testing::IsEmpty());
  EXPECT_EQ(server.Of("PUT artifacts/my place/r1 x/metrics.json").size(), 1u);
  EXPECT_EQ(run.Page(), server.url() + "/#/experiments/7/runs/r%1B%5B31m1");
}

// ---- apply ----

// Events as they are posted.
class FakeCollector {
 public:
  FakeCollector() {
    HttpRouter router;
    router.Add({.method = "POST", .pattern = "/api/v1/lineage", .handler = [this](HttpRequest request, HttpResponder responder) {
                  const std::lock_guard lock(mutex_);
                  events_.push_back(json::parse(request.body));
                  responder.Send({.status = 201, .body = "{}"});
                }});
    server_.emplace(HttpServerOptions{.port = 0}, std::move(router));
  }
  std::string url() const { return server_->url(); }
  std::vector<json> events() const {
    const std::lock_guard lock(mutex_);
    return events_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<json> events_;
  std::optional<HttpServer> server_;
};

class TrackedApplyTest : public MlflowTest {
 protected:
  ApplyResult Apply() {
    const ApplyTracking tracking = {.mlflow = Options(mlflow_.url()), .lineage = LineageOptions{.url = collector_.url(), .pause = 0ms}};
    const ProjectConfig config = project_.Config();
    const Store store = project_.OpenStore();
    const Plan plan = mlac::MakePlan(config);
    TrackedApply tracked(tracking, config, plan, store, observer_);
    try {
      ApplyResult result = mlac::Apply(config, plan, store, {}, tracked, observer_.stop);
      if (before_finish_) before_finish_(store);
      tracked.Finish(result);
      return result;
    } catch (const Error& error) {
      tracked.Finish(error);
      return {};
    }
  }
  std::string StatusOfRun() { return mlflow_.Of("POST runs/update").back().body.at("status"); }

  TinyProject project_;
  std::function<void(const Store& store)> before_finish_;
  RecordingObserver observer_;
  FakeMlflow mlflow_;
  FakeCollector collector_;
};

TEST_F(TrackedApplyTest, LogsWhatWasTrainedMeasuredAndPublished) {
  ASSERT_FALSE(Apply().refused());
  EXPECT_EQ(mlflow_.Of("POST runs/create")[0].body.at("run_name"), "topics");
  EXPECT_EQ(mlflow_.Pairs("params").at("train.epochs"), "2");
  EXPECT_EQ(mlflow_.Pairs("tags").at("mlac.revision"), project_.Latest());
  const auto metrics = mlflow_.Metrics();
  EXPECT_GE(metrics.at("loss").size(), 10u);
  EXPECT_EQ(metrics.at("train_loss").size(), 2u);
  EXPECT_EQ(metrics.at("test_accuracy").size(), 1u);
  std::vector<std::string> sets, files;
  for (const Call& call : mlflow_.calls()) {
    if (call.what == "POST runs/log-inputs") sets.push_back(call.body.at("datasets")[0].at("dataset").at("name"));
    if (call.what.starts_with("PUT ")) files.push_back(call.what.substr(call.what.rfind('/') + 1));
  }
  EXPECT_THAT(sets, testing::UnorderedElementsAre("train.csv", "test.csv"));
  EXPECT_THAT(files,
              testing::UnorderedElementsAre("README.md", "metrics.json", "training.json", "learning-curves.svg", "confusion-matrix.svg"));
  EXPECT_EQ(StatusOfRun(), "FINISHED");
}

TEST_F(TrackedApplyTest, SaysWhatWasMadeFromWhat) {
  ASSERT_FALSE(Apply().refused());
  const std::vector<json> events = collector_.events();
  ASSERT_EQ(events.size(), 4u);
  EXPECT_EQ(events[0].at("eventType"), "START");
  EXPECT_EQ(events[0].at("job").at("name"), "topics.train");
  EXPECT_EQ(events[1].at("eventType"), "COMPLETE");
  EXPECT_EQ(events[1].at("run"), events[0].at("run"));
  EXPECT_NE(events[2].at("run"), events[0].at("run"));
  EXPECT_EQ(events[1].at("inputs")[1].at("name"), "train.csv");
  EXPECT_EQ(events[1].at("inputs")[1].at("facets").at("version").at("datasetVersion").get<std::string>().size(), 64u);
  EXPECT_EQ(events[3].at("job").at("name"), "topics.publish");
  EXPECT_EQ(events[3].at("inputs").size(), 3u);
  EXPECT_EQ(events[3].at("outputs")[0].at("namespace"), "mlac");
  EXPECT_EQ(events[3].at("outputs")[0].at("facets").at("version").at("datasetVersion"), project_.Latest());
  const std::string run = events[0].at("run").at("runId");
  EXPECT_EQ(run.size(), 36u);
  EXPECT_EQ(run[14], '4');
}

TEST_F(TrackedApplyTest, WhatAGateRefusesFailed) {
  project_.lines["gates"] = "[accuracy > 1]";
  EXPECT_TRUE(Apply().refused());
  EXPECT_EQ(StatusOfRun(), "FAILED");
  EXPECT_EQ(mlflow_.Pairs("tags").at("mlac.refused_by"), "gate");
  EXPECT_EQ(mlflow_.Pairs("tags").at("mlac.published"), "false");
  EXPECT_TRUE(mlflow_.Metrics().contains("test_accuracy"));
}

TEST_F(TrackedApplyTest, WhatIsInterruptedWasKilled) {
  observer_.on_training_step = [this](size_t step) { observer_.stop = step == 3; };
  Apply();
  EXPECT_EQ(StatusOfRun(), "KILLED");
  EXPECT_EQ(collector_.events().back().at("eventType"), "ABORT");
}

TEST_F(TrackedApplyTest, WhatBreaksFailedWithItsReason) {
  project_.folder.Write("train.csv", "text,label\na,x\n");
  Apply();
  EXPECT_EQ(StatusOfRun(), "FAILED");
  EXPECT_NE(mlflow_.Pairs("tags").at("mlac.error"), "");
}

// A run whose model was trained before is not measured at a step of the run before it.
TEST_F(MlflowTest, CountsTheStepsOfEachRunAlone) {
  const FakeMlflow server;
  MlflowRun first(Options(server.url()), "first", {}, {}), second(Options(server.url()), "second", {}, {});
  RecordingObserver observer;
  TrackedTraining<FineTuneObserver> tracked(observer);
  tracked.Track(&first);
  tracked.OnEpoch({.epoch = 1, .step = 12});
  EXPECT_EQ(tracked.last_step(), 12u);
  tracked.Track(&second);
  EXPECT_EQ(tracked.last_step(), 0u);
}

TEST_F(TrackedApplyTest, WhatCannotBeReadOfAStepFailsNothing) {
  before_finish_ = [&](const Store& store) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(store.folder()))
      if (entry.is_regular_file() && entry.path().filename() == "metrics.json") std::ofstream(entry.path()) << "{";
  };
  ApplyResult result;
  ASSERT_NO_THROW(result = Apply());
  EXPECT_FALSE(result.refused());
  EXPECT_EQ(result.models.size(), 1u);
  EXPECT_EQ(StatusOfRun(), "FINISHED");
  EXPECT_THAT(warnings_, ElementsAre(HasSubstr("tracking of topics: ")));
}

TEST_F(MlflowTest, ATrainingThatIsDoneDoesNotFailByItsRecord) {
  const FakeMlflow server;
  const test::TemporaryFolder folder;
  FineTuneResult result;
  result.evaluated_on = "test";
  for (const char* record : {"{", "[]", R"({"data": 1})", R"({"data": [7]})"}) {
    folder.Write("training.json", record);
    MlflowRun run(Options(server.url()), "topics", {}, {});
    EXPECT_NO_THROW(LogResult(run, result, folder.path(), 3)) << record;
  }
}

TEST_F(TrackedApplyTest, GivesTheSameModelAsUntracked) {
  ASSERT_FALSE(Apply().refused());
  const TinyProject other;
  ASSERT_FALSE(other.Apply().refused());
  EXPECT_EQ(project_.Latest(), other.Latest());
}

}  // namespace
}  // namespace mlac
