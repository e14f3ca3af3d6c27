#include "serve/span_exporter.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <set>

#include "serve/access_log.h"
#include "tests/serve/server_fixture.h"

namespace mlac {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

const std::string kTrace = "4bf92f3577b34da6a3ce929d0e0e4736", kParent = "00f067aa0ba902b7";

// A collector: keeps what is posted to /v1/traces.
class Collector {
 public:
  explicit Collector(int status = 200) {
    HttpRouter router;
    router.Add({.method = "POST", .pattern = "/v1/traces", .handler = [this, status](HttpRequest request, HttpResponder responder) {
                  {
                    const json body = json::parse(request.body);
                    const std::lock_guard lock(mutex_);
                    for (const json& span : body.at("resourceSpans")[0].at("scopeSpans")[0].at("spans")) spans_.push_back(span);
                    changed_.notify_all();
                  }
                  responder.Send({.status = status, .body = "{}"});
                }});
    server_.emplace(HttpServerOptions{.port = 0}, std::move(router));
  }
  std::string url() const { return server_->url(); }
  std::vector<json> Spans(size_t at_least) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return spans_.size() >= at_least; });
    return spans_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<json> spans_;
  std::optional<HttpServer> server_;
};

class SpanExporterTest : public ModelServerTest {};

json AttributesOf(const json& span) {
  json attributes;
  for (const json& attribute : span.at("attributes")) attributes[attribute.at("key").get<std::string>()] = attribute.at("value");
  return attributes;
}

TEST_F(SpanExporterTest, SendsASpanForEachRequestInTheClientsTrace) {
  Collector collector;
  Serve({}, {.otlp_endpoint = collector.url()});
  AskJson(PostJson("/embed", R"({"inputs":"hello"})", "traceparent: 00-" + kTrace + "-" + kParent + "-01\r\n"));
  std::vector<json> spans = collector.Spans(1);
  EXPECT_EQ(spans[0].at("traceId"), kTrace);
  EXPECT_EQ(spans[0].at("parentSpanId"), kParent);
  EXPECT_EQ(spans[0].at("spanId").get<std::string>().size(), 16u);
  EXPECT_EQ(spans[0].at("name"), "POST /embed");
  EXPECT_EQ(spans[0].at("kind"), 2);
  EXPECT_LE(std::stoull(spans[0].at("startTimeUnixNano").get<std::string>()),
            std::stoull(spans[0].at("endTimeUnixNano").get<std::string>()));
  const json attributes = AttributesOf(spans[0]);
  EXPECT_EQ(attributes.at("http.response.status_code"), json({{"intValue", "200"}}));
  EXPECT_EQ(attributes.at("http.route"), json({{"stringValue", "/embed"}}));
  EXPECT_EQ(attributes.at("mlac.model"), json({{"stringValue", "org/fake"}}));
  EXPECT_EQ(attributes.at("mlac.tokens"), json({{"intValue", "3"}}));
  for (const char* name : {"mlac.queue_ms", "mlac.compute_ms"}) {
    EXPECT_EQ(attributes.at(name).size(), 1u) << name;
    EXPECT_TRUE(attributes.at(name).at("doubleValue").is_number()) << name;
  }
  // Without a trace of the client's: one of its own. A trace that the client does not record is left out.
  Ask(Get("/none", "traceparent: 00-" + kTrace + "-" + kParent + "-00\r\n"));
  Ask(Get("/none"));
  spans = collector.Spans(2);
  ASSERT_EQ(spans.size(), 2u);
  EXPECT_FALSE(spans[1].contains("parentSpanId"));
  EXPECT_EQ(spans[1].at("traceId").get<std::string>().size(), 32u);
  EXPECT_NE(spans[1].at("traceId"), kTrace);
}

TEST_F(SpanExporterTest, WritesTheTraceIdIntoTheLogLine) {
  Serve();
  Ask(Get("/health", "traceparent: 00-" + kTrace + "-" + kParent + "-00\r\n"));
  const HttpAccess access = Accesses(1)[0];
  EXPECT_NE(FormatAccess(access, LogFormat::kText).find(" trace_id=" + kTrace), std::string::npos);
  EXPECT_EQ(json::parse(FormatAccess(access, LogFormat::kJson)).at("trace_id"), kTrace);
  Ask(Get("/health", "traceparent: canary\r\n"));
  EXPECT_EQ(FormatAccess(Accesses(2)[1], LogFormat::kText).find("trace"), std::string::npos);
}

TEST_F(SpanExporterTest, LosesSpansAndNoRequestWhereNobodyTakesThem) {
  Collector refusing(500);
  SpanExporter exporter(refusing.url());
  exporter.Add({.id = "a"});
  while (exporter.num_lost() == 0) std::this_thread::yield();
  EXPECT_EQ(exporter.num_sent(), 0u);
  std::string closed;  // a port that nobody listens on
  {
    const Collector gone;
    closed = gone.url();
  }
  SpanExporter alone(closed);
  for (size_t i = 0; i < 2 * SpanExporter::kMaxWaiting; ++i) alone.Add({.id = "a"});
  while (alone.num_lost() < 2 * SpanExporter::kMaxWaiting) std::this_thread::yield();
  EXPECT_EQ(alone.num_lost(), 2 * SpanExporter::kMaxWaiting);
}

TEST_F(SpanExporterTest, SendsWhatWaitsWhenItEnds) {
  Collector collector;
  {
    SpanExporter exporter(collector.url());
    for (size_t i = 0; i < 700; ++i) exporter.Add({.id = "a", .method = "GET", .route = "/"});
  }
  const std::vector<json> spans = collector.Spans(700);
  std::set<std::string> ids;
  for (const json& span : spans) ids.insert(span.at("spanId").get<std::string>());
  EXPECT_EQ(ids.size(), 700u);
}

TEST_F(SpanExporterTest, RefusesEndpointsThatAreNone) {
  for (const char* endpoint : {"", "127.0.0.1:4318", "ftp://localhost:4318", "http://", "localhost"})
    test::ExpectError(ErrorCode::kInvalidArgument,
                      std::string("OTLP endpoint: expected an http:// or https:// URL, found '") + endpoint + "'",
                      [&] { const SpanExporter exporter(endpoint); });
}

}  // namespace
}  // namespace mlac
