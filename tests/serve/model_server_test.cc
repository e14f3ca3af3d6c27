#include "serve/model_server.h"

#include <gtest/gtest.h>

#include <ctime>
#include <regex>
#include <set>
#include <thread>

#include "base/random.h"
#include "serve/access_log.h"
#include "serve/embedded.h"
#include "serve/metrics.h"
#include "tests/serve/server_fixture.h"

namespace mlac {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

// "a a ... a", count words.
std::string Words(size_t count) {
  std::string text;
  for (size_t i = 0; i < count; ++i) text += i > 0 ? " a" : "a";
  return text;
}

TEST_F(ModelServerTest, ComputesRequestsThatArriveTogetherTogether) {
  Serve();
  model_->Hold();
  RawClient first(server_->port()), second(server_->port()), third(server_->port());
  first.Send(PostJson("/embed", R"({"inputs":"a"})"));
  model_->AwaitBatches(1);
  second.Send(PostJson("/embed", R"({"inputs":"b"})"));
  third.Send(PostJson("/v1/embeddings", R"({"input":["c","a"]})"));
  while (Ask(Get("/metrics")).body.find("mlac_sequences_waiting 3") == std::string::npos) {
  }
  model_->Release();
  EXPECT_EQ(first.Receive().status, 200);
  EXPECT_EQ(second.Receive().status, 200);
  EXPECT_EQ(third.Receive().status, 200);
  const std::string metrics = Ask(Get("/metrics")).body;
  EXPECT_NE(metrics.find("mlac_batch_sequences_bucket{le=\"1\"} 1\n"), std::string::npos);
  EXPECT_NE(metrics.find("mlac_batch_sequences_bucket{le=\"4\"} 2\n"), std::string::npos);
}

TEST_F(ModelServerTest, TurnsRequestsAwayWhereAllSlotsAreTakenAndTakesThemAgainAfterwards) {
  Serve({}, {.inference = {.max_concurrent_requests = 1}});
  model_->Hold();
  RawClient held(server_->port());
  held.Send(PostJson("/embed", R"({"inputs":"a"})"));
  model_->AwaitBatches(1);
  for (const char* path : {"/embed", "/embed_all", "/similarity", "/tokenize", "/", "/models/org%2Ffake", "/invocations", "/v1/embeddings",
                           "/v2/models/org%2Ffake/infer"}) {
    const RawAnswer answer = Ask(PostJson(path, R"({"inputs":"a","input":"a"})"));
    EXPECT_EQ(answer.status, 429) << path;
    EXPECT_EQ(answer.Field("retry-after"), "1") << path;
  }
  EXPECT_EQ(Outcome(PostJson("/embed", "{}")), R"x(429 {"error":"the model is overloaded (try again in a moment)","error_type":"Overloaded"})x");
  EXPECT_EQ(Ask(Get("/health")).status, 200);
  model_->Release();
  EXPECT_EQ(held.Receive().status, 200);
  EXPECT_EQ(Ask(PostJson("/embed", R"({"inputs":"a"})")).status, 200);
}

TEST_F(ModelServerTest, ComputesNothingForClientsThatHaveLeftAndFreesTheirSlots) {
  Serve({}, {.inference = {.max_concurrent_requests = 4}});
  model_->Hold();
  RawClient first(server_->port());
  first.Send(PostJson("/embed", R"({"inputs":"a"})"));
  model_->AwaitBatches(1);
  for (const bool reset : {false, true, false}) {
    RawClient client(server_->port());
    client.Send(PostJson("/embed", R"({"inputs":"b"})"));
    while (Ask(Get("/metrics")).body.find("mlac_sequences_waiting 1") == std::string::npos) {
    }
    reset ? client.Reset() : client.Close();
    while (Ask(Get("/metrics")).body.find("mlac_sequences_waiting 0") == std::string::npos) {
    }
    while (Ask(Get("/metrics")).body.find("mlac_requests_in_flight 1") == std::string::npos) {
    }
  }
  model_->Release();
  EXPECT_EQ(first.Receive().status, 200);
  EXPECT_EQ(Ask(PostJson("/embed", R"({"inputs":"c"})")).status, 200);
  EXPECT_EQ(model_->computed(), (std::vector<std::vector<int32_t>>{{2, 5, 3}, {2, 7, 3}}));
}

TEST_F(ModelServerTest, GivesEveryAnswerTheBitsItHasAloneUnderMixedLoad) {
  Serve({.max_length = 512}, {.inference = {.max_batch_tokens = 256, .max_turn_tokens = 64}});
  std::vector<std::string> bodies, alone;
  Random random(/*seed=*/5);
  const char* words[] = {"a", "b", "c", "hello", "world"};
  for (size_t i = 0; i < 40; ++i) {
    std::string body = R"({"inputs":[)";
    for (size_t t = 0; t <= random.Below(i % 10 == 0 ? 200 : 3); ++t) {
      body += t > 0 ? ",\"" : "\"";
      for (size_t w = 0; w <= random.Below(30); ++w) body += std::string(w > 0 ? " " : "") + words[random.Below(5)];
      body += '"';
    }
    bodies.push_back(body + "]}");
    alone.push_back(Ask(PostJson("/embed", bodies.back())).body);
  }
  std::vector<std::thread> clients;
  std::atomic<size_t> num_different = 0;
  for (size_t c = 0; c < 4; ++c)
    clients.emplace_back([&, c] {
      RawClient client(server_->port());
      for (size_t i = 0; i < 80; ++i) {
        const size_t which = (i * 7 + c * 13) % bodies.size();
        if (i % 9 == 5) {  // one that leaves
          RawClient leaver(server_->port());
          leaver.Send(PostJson("/embed", bodies[which]));
        }
        client.Send(PostJson("/embed", bodies[which]));
        num_different += client.Receive().body != alone[which];
      }
    });
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(num_different, 0u);
}

TEST_F(ModelServerTest, ShutdownAnswersWhatItHolds) {
  Serve();
  model_->Hold();
  RawClient computing(server_->port()), queued(server_->port());
  computing.Send(PostJson("/embed", R"({"inputs":"a"})"));
  model_->AwaitBatches(1);
  queued.Send(PostJson("/embed", R"({"inputs":"b"})"));
  while (Ask(Get("/metrics")).body.find("mlac_sequences_waiting 1") == std::string::npos) {
  }
  bool all_answered = false;
  std::thread shutdown([&] { all_answered = server_->Shutdown(60s); });
  model_->Release();
  EXPECT_EQ(computing.Receive().status, 200);
  EXPECT_EQ(queued.Receive().status, 200);
  computing.Close();
  queued.Close();
  shutdown.join();
  EXPECT_TRUE(all_answered);
}

TEST_F(ModelServerTest, EndsWithRequestsInTheQueueAndTheWorker) {
  Serve({.max_length = 100'000});
  model_->Hold();
  RawClient computing(server_->port()), queued(server_->port()), large(server_->port());
  computing.Send(PostJson("/embed", R"({"inputs":"a"})"));
  model_->AwaitBatches(1);
  queued.Send(PostJson("/embed", R"({"inputs":"b"})"));
  large.Send(PostJson("/embed", R"({"inputs":")" + Words(20'000) + "\"}"));
  std::thread release([&] { model_->Release(); });
  server_->Shutdown(0ms);
  release.join();
  server_.reset();
}

// The routes of /admin too.
ModelServerOptions WithAdmin(ModelServerOptions options = {}) {
  options.open = {.model = [](const std::string&) { return std::make_unique<FakeModel>(); },
                  .adapter = [](const ServedModel&, const std::string&) { return std::make_unique<FakeModel>(); }};
  options.admin = {.keys = ApiKeys::Parse("master", "test"), .model_root = MLAC_TEST_FIXTURES};
  return options;
}

TEST_F(ModelServerTest, EveryRouteStandsInTheOpenApiFileAndTheOtherWayRound) {
  Serve({}, WithAdmin());
  std::set<std::pair<std::string, std::string>> routes, documented;
  std::map<std::string, bool> open;
  for (const HttpRoute& route : server_->router().routes()) {
    std::string path = route.pattern;
    if (const size_t star = path.find("*}"); star != std::string::npos) path.erase(star, 1);
    routes.emplace(route.method, path);
    open[route.method + path] = route.open;
  }
  const json document = json::parse(kOpenApiJson);
  for (const auto& [path, operations] : document.at("paths").items())
    for (const auto& [method, operation] : operations.items()) {
      std::string name = method;
      std::transform(name.begin(), name.end(), name.begin(), [](char c) { return static_cast<char>(c - 'a' + 'A'); });
      documented.emplace(name, path);
      EXPECT_EQ(operation.contains("security") && operation.at("security").empty(), open[name + path]) << path;
      EXPECT_EQ(operation.value("security", json::array()) == json::parse(R"([{"adminKey":[]}])"), path.starts_with("/admin/")) << path;
    }
  EXPECT_EQ(routes, documented);
  EXPECT_EQ(AskJson(Get("/openapi.json")), document);
}

// What of the document is no OpenAPI 3.0.3 (https://spec.openapis.org/oas/v3.0.3): what later versions and JSON Schema have is what slips
// in.
void FindFaults(const json& document, const json& node, const std::string& place, std::vector<std::string>& faults) {
  static const std::set<std::string> kTypes = {"array", "boolean", "integer", "number", "object", "string", "http"},
                                     kLater = {"identifier",        "const",    "examples", "prefixItems",     "$defs", "if",
                                               "patternProperties", "webhooks", "$schema",  "contentMediaType"};
  if (node.is_array()) {
    for (size_t i = 0; i < node.size(); ++i) FindFaults(document, node[i], place + "/" + std::to_string(i), faults);
    return;
  }
  if (!node.is_object()) return;
  const bool names = place.ends_with("/properties") || place.ends_with("/example");  // its keys are a client's
  for (const auto& [name, value] : node.items()) {
    const std::string inner = place + "/" + name;
    if (place.ends_with("/example")) break;
    if (!names && kLater.contains(name)) faults.push_back(inner + ": of a later version");
    if (!names && name == "type" && !(value.is_string() && kTypes.contains(value.get<std::string>())))
      faults.push_back(inner + ": no type");
    if (!names && name == "nullable" && !(value.is_boolean() && node.contains("type"))) faults.push_back(inner + ": without a type");
    if (!names && name.starts_with("exclusive") && !value.is_boolean()) faults.push_back(inner + ": no boolean");
    if (!names && name == "$ref" &&
        (node.size() > 1 || !value.get<std::string>().starts_with("#/") ||
         !document.contains(json::json_pointer(value.get<std::string>().substr(1)))))
      faults.push_back(inner + ": leads nowhere, or has neighbours");
    FindFaults(document, value, inner, faults);
  }
}

TEST_F(ModelServerTest, TheOpenApiFileIsValidInItsVersion) {
  json document = json::parse(kOpenApiJson);
  EXPECT_EQ(document.at("openapi"), "3.0.3");
  std::vector<std::string> faults;
  FindFaults(document, document, "", faults);
  EXPECT_EQ(faults, std::vector<std::string>());
  std::set<std::string> ids;
  for (const auto& [path, operations] : document.at("paths").items())
    for (const auto& [method, operation] : operations.items()) {
      EXPECT_TRUE(ids.insert(operation.at("operationId")).second) << path;
      EXPECT_FALSE(operation.at("responses").empty()) << path;
      for (const auto& [status, response] : operation.at("responses").items())
        EXPECT_TRUE(response.contains("description") || response.contains("$ref")) << path << " " << status;
      std::set<std::string> parameters;
      for (const json& given : operation.value("parameters", json::array())) {
        const json& parameter =
            given.contains("$ref") ? document.at(json::json_pointer(given.at("$ref").get<std::string>().substr(1))) : given;
        if (parameter.at("in") == "path") parameters.insert("{" + parameter.at("name").get<std::string>() + "}");
        EXPECT_TRUE(parameter.at("in") != "path" || parameter.at("required") == true) << path;
      }
      const std::regex brace("\\{[^}]*\\}");
      EXPECT_EQ(parameters, std::set<std::string>(std::sregex_token_iterator(path.begin(), path.end(), brace), {})) << path;
    }
  // What is looked for is found.
  document["info"]["license"]["identifier"] = "Apache-2.0";
  document["components"]["schemas"]["A"] =
      json::parse(R"({"type":["string","null"],"properties":{"type":{"nullable":true},"b":{"$ref":"#/none"}}})");
  faults.clear();
  FindFaults(document, document, "", faults);
  EXPECT_EQ(faults, (std::vector<std::string>{"/components/schemas/A/properties/b/$ref: leads nowhere, or has neighbours",
                                              "/components/schemas/A/properties/type/nullable: without a type",
                                              "/components/schemas/A/type: no type", "/info/license/identifier: of a later version"}));
}

// Fields that a route takes, with values.
using Members = std::map<std::string, std::string>;
Members GoodMembers(const std::string& path) {
  if (path.ends_with("/v1/embeddings")) return {{"input", R"("a")"}};
  if (path.ends_with("/rerank")) return {{"query", R"("a")"}, {"texts", R"(["a"])"}};
  if (path.ends_with("/similarity")) return {{"inputs", R"({"source_sentence":"a","sentences":["b"]})"}};
  if (path.ends_with("/infer")) return {{"inputs", R"([{"name":"text","datatype":"BYTES","shape":[1],"data":["a"]}])"}};
  return {{"inputs", R"("a")"}};
}

// {"name":value,...} of all but one.
std::string Join(const Members& members, const std::string& without = "") {
  std::string text;
  for (const auto& [name, value] : members)
    if (name != without) text += (text.empty() ? "\"" : ",\"") + name + "\":" + value;
  return text;
}

// The path of a pattern.
std::string PathOf(std::string pattern) {
  for (const auto& [name, value] : Members{{"{model}", "org%2Ffake"}, {"{id*}", "org/fake"}, {"{version}", "1"}})
    if (const size_t place = pattern.find(name); place != std::string::npos) pattern.replace(place, name.size(), value);
  return pattern;
}

TEST_F(ModelServerTest, AsksForAKeyOnEveryRouteButTheOpenOnes) {
  Serve({}, WithAdmin({.http = {.api_keys = ApiKeys::Parse("right", "test")}}));
  const std::set<std::string> open = {"GET/", "GET/health", "GET/ping", "GET/v2/health/live", "GET/v2/health/ready"};
  for (const HttpRoute& route : server_->router().routes()) {
    const std::string path = PathOf(route.pattern);
    if (path.starts_with("/admin/")) continue;  // with keys of their own (AdminTest)
    const auto status = [&](const std::string& fields) {
      return Ask(route.method == "GET" ? Get(path, fields) : PostJson(path, "{" + Join(GoodMembers(path)) + "}", fields)).status;
    };
    const int closed = open.contains(route.method + path) ? 200 : 401;
    EXPECT_EQ(status(""), closed) << path;
    EXPECT_EQ(status("Authorization: Bearer wrong\r\n"), closed) << path;
    EXPECT_EQ(status("Authorization: Bearer right\r\n"), path.ends_with("/predict") || path.ends_with("/rerank") ? 422 : 200) << path;
  }
  EXPECT_EQ(json::parse(Ask(PostJson("/v1/embeddings", "{}")).body).at("error").at("code"), "invalid_api_key");
  EXPECT_EQ(json::parse(Ask(PostJson("/embed", "{}")).body).at("error_type"), "Validation");
}

// A head that is refused has no route, but the client that sent it speaks one protocol.
TEST_F(ModelServerTest, RefusesAnInvalidHeadInTheFormOfTheProtocolThatWasMeant) {
  Serve();
  const std::string message = "the target of the request is no valid path or URL";
  for (const std::string path : {"/v1/%14", "/models/%14/v1/embeddings", "/models/%14/v1/embeddings?a=%14"})
    EXPECT_EQ(json::parse(Ask(PostJson(path, "{}")).body).at("error").at("message"), message) << path;
  EXPECT_EQ(Outcome(PostJson("/v2/%14", "{}")), R"(400 {"error":")" + message + R"("})");
  for (const std::string path : {"/%14", "%14", "/models/%14/embed"})
    EXPECT_EQ(Outcome(PostJson(path, "{}")), R"(400 {"error":")" + message + R"(","error_type":"Validation"})") << path;
  EXPECT_EQ(json::parse(Ask("POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n").body).at("error").at("message"),
            "Content-Length is no number");
}

// Every field of every request in the OpenAPI file with values that it does not take, alone, first and last, and inside lists.
TEST_F(ModelServerTest, AnswersAbsurdValuesOfEveryFieldWithAStatusBelow500AndNamesTheField) {
  const json document = json::parse(kOpenApiJson);
  const std::vector<std::string> values = {
      "-1", "0", "1", "2", "3", "4", "5", "63", "64", "65", "2047", "2048", "2049", "-2147483648", "2147483647", "2147483648", "4294967296",
      "9223372036854775807", "9223372036854775808", "-9223372036854775808", "18446744073709551615", "18446744073709551616", "1e308", "-1e308", "1e309", "1e-400",
      "0.5", "1.0", "-0.0", "NaN", "Infinity", "-Infinity", "true", "false", "null", "\"\"", "\"a\"", "\"-1\"", "\"NaN\"", "\"\\u0000\"", "\"\\ud800\"", "[]", "{}",
      "[[]]", "[{}]", "[null]", "[true]", "[-1]", "[64]", "[1.5]", "[1e308]", "[\"a\"]", "[\"\"]", "[[\"a\"]]", "[[\"a\",\"b\"]]", "[[\"a\",\"b\",\"c\"]]", "[\"a\",1]",
      "[1,\"a\"]", "[[1],\"a\"]", "[[-1]]", "[[64]]", "[[[1]]]", "{\"a\":1}", "{\"a\":{\"b\":[]}}", "[[[[[[[[[[]]]]]]]]]]", "\"left\"", "\"Left\"", "\"base64\"", "tru",
      "\"unclosed"};
  size_t num_requests = 0, tried = 0;
  for (const size_t num_labels : {0, 3, 1}) {
    Serve({.is_classifier = num_labels > 0, .num_labels = num_labels == 0 ? 3 : num_labels});
    RawClient client(server_->port());
    const auto check = [&](const std::string& path, const std::string& field, const std::string& body) {
      ++num_requests;
      client.Send(PostJson(path, body));
      const RawAnswer answer = client.Receive();
      ASSERT_TRUE(answer.status >= 200 && answer.status < 500) << path << " " << body << " gives " << answer.status;
      if (answer.status < 300) return;
      const json error = json::parse(answer.body);
      const std::string text = path.ends_with("/v1/embeddings") ? error.at("error").at("message").get<std::string>() : error.at("error").get<std::string>();
      const bool wrong_model = text.starts_with("the model ");
      EXPECT_TRUE(wrong_model || text.find("'" + field) != std::string::npos || text.find("at byte ") != std::string::npos) << path << " " << body << ": " << text;
    };
    for (const auto& [pattern, operations] : document.at("paths").items()) {
      if (!operations.contains("post")) continue;
      const std::string path = PathOf(pattern);
      const json& schema = operations.at("post").at("requestBody").at("content").at("application/json").at("schema");
      json properties;
      for (const json& reference : schema.contains("anyOf") ? schema.at("anyOf") : json::array({schema})) {
        const std::string name = reference.at("$ref").get<std::string>().substr(std::string("#/components/schemas/").size());
        properties.update(document.at("components").at("schemas").at(name).at("properties"));
      }
      const Members members = GoodMembers(path);
      for (const auto& [field, description] : properties.items())
        for (size_t v = tried++ % test::kTryEvery; v < values.size(); v += test::kTryEvery) {  // where it steps, others for each field
          const std::string& value = values[v];
          const std::string member = "\"" + field + "\":" + value;
          const std::string good = Join(members, field);
          if (members.contains(field)) {
            const std::string others = good.empty() ? "" : good + ",";
            check(path, field, "{" + others + member + "}");
            for (const char* around : {"[$]", "[[$]]", "[\"a\",$]", "[[\"a\"],$]", "[[\"a\",$]]", "[1,$]", "[[1,$]]"}) {
              std::string nested = around;
              nested.replace(nested.find('$'), 1, value);
              check(path, field, "{" + others + "\"" + field + "\":" + nested + "}");
            }
          } else {
            check(path, field, "{" + good + "," + member + "}");
            check(path, field, "{" + member + "," + good + "}");
            check(path, field, "{" + good + ",\"unknown\":" + value + "," + member + "}");
          }
        }
    }
  }
  EXPECT_GE(num_requests, 80'000u / test::kTryEvery);
}

TEST_F(ModelServerTest, LogsAndCountsWhatWasComputedAndNothingThatTheClientWrote) {
  Serve({}, {.http = {.api_keys = ApiKeys::Parse("canary-key", "test")}});
  const std::string key = "Authorization: Bearer canary-key\r\n";
  const std::vector<std::string> requests = {
      PostJson("/embed", R"({"inputs":"hello canary"})", key + "X-Canary: canary\r\n"),
      PostJson("/embed?canary=canary", R"({"inputs":"canary","truncation_direction":"canary"})", key),
      PostJson("/embed", R"({"inputs":"canary","canary":{"canary":"canary","canary":1}})", key),
      PostJson("/embed", R"({"inputs":"canary","prompt_name":"canary"})", key),
      PostJson("/embed", "{\"inputs\":\"canary\xff\"}", key),
      PostJson("/embed", R"({"inputs":["canary",{"canary":1}]})", key),
      PostJson("/predict", R"({"inputs":"canary"})", key),
      PostJson("/embed", R"({"inputs":")" + Words(20) + R"( canary"})", key),
      PostJson("/v1/embeddings", R"({"input":"canary","user":"canary","model":"canary","encoding_format":"canary"})", key),
      Get("/v1/models/canary", key),
      Get("/canary/canary", key),
      PostJson("/embed", R"({"inputs":"canary"})", "Authorization: Bearer canary\r\n"),
      "CANARY /canary HTTP/1.1\r\nHost: localhost\r\n" + key + "\r\n",
      "canary canary canary\r\n",
  };
  for (const std::string& request : requests) {
    const RawAnswer answer = Ask(request);
    EXPECT_EQ(answer.body.find("canary"), std::string::npos) << request << answer.body;
    EXPECT_EQ(answer.head.find("canary"), std::string::npos) << request << answer.head;
  }
  const std::string metrics = Ask(Get("/metrics", key)).body;
  EXPECT_EQ(metrics.find("canary"), std::string::npos);
  EXPECT_EQ(metrics.find("CANARY"), std::string::npos);
  for (const HttpAccess& access : Accesses(requests.size()))
    for (const LogFormat format : {LogFormat::kText, LogFormat::kJson}) {
      const std::string line = FormatAccess(access, format);
      EXPECT_EQ(line.find("canary"), std::string::npos) << line;
      EXPECT_EQ(line.find("CANARY"), std::string::npos) << line;
      EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1) << line;
    }
  const HttpAccess access = Accesses(1)[0];
  const json line = json::parse(FormatAccess(access, LogFormat::kJson));
  EXPECT_EQ(line.at("route"), "/embed");
  EXPECT_EQ(line.at("model"), "org/fake");
  EXPECT_EQ(line.at("status"), 200);
  EXPECT_EQ(line.at("tokens"), 4);
  EXPECT_TRUE(line.at("queue_ms").is_number());
  EXPECT_TRUE(line.at("compute_ms").is_number());
  EXPECT_NE(metrics.find("mlac_http_requests_total{method=\"POST\",model=\"org/fake\",route=\"/embed\",status=\"200\"} 1\n"),
            std::string::npos)
      << metrics;
  EXPECT_NE(metrics.find("mlac_http_requests_total{method=\"-\",route=\"-\",status=\"400\"} 1\n"), std::string::npos);
  EXPECT_NE(metrics.find("mlac_tokens_total 4\n"), std::string::npos);
  EXPECT_NE(metrics.find("te_request_success{method=\"single\"} 1\n"), std::string::npos);
  EXPECT_NE(metrics.find("mlac_info{model=\"org/fake\",version="), std::string::npos);
}

TEST_F(ModelServerTest, LogsWhyARequestIsRefusedInAWordAndWhichModelItWasFor) {
  Serve({.max_length = 4}, {.http = {.api_keys = ApiKeys::Parse("key", "test")}, .inference = {.max_client_batch_size = 2}});
  const std::string key = "Authorization: Bearer key\r\n";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {PostJson("/embed", "{}", key), " 422 model=org/fake reason=bad_field"},
      {PostJson("/embed", "{", key), " 400 model=org/fake reason=bad_request"},
      {PostJson("/embed", R"({"inputs":"a a a a"})", key), " 422 model=org/fake reason=too_long"},
      {PostJson("/embed", R"({"inputs":["a","a","a"]})", key), " 413 model=org/fake reason=too_many_inputs"},
      {PostJson("/embed", R"({"inputs":""})", key), " 400 model=org/fake reason=empty_input"},
      {PostJson("/predict", R"({"inputs":"a"})", key), " 422 model=org/fake reason=no_task"},
      {PostJson("/models/other/embed", R"({"inputs":"a"})", key), " 404 reason=no_model"},
      {PostJson("/embed", R"({"inputs":"a"})"), " 401 reason=no_key"},
      {PostJson("/embed", R"({"inputs":"a"})", "Authorization: Bearer other\r\n"), " 401 reason=wrong_key"},
      {Get("/embed", key), " 405 reason=wrong_method"},
      {Get("/other", key), " 404 reason=no_route"},
      {PostJson("/v1/v1/embeddings", "{}", key), " 404 reason=no_route nearest=/v1/embeddings"},
      {PostJson("/embeddings", "{}", key), " 404 reason=no_route nearest=/v1/embeddings"},
      {PostJson("/embed/", "{}", key), " 404 reason=no_route nearest=/embed"},
      {PostJson("/embed", "{}", key + "Content-Encoding: gzip\r\n"), " 415 model=org/fake reason=wrong_content_type"},
  };
  for (size_t i = 0; i < cases.size(); ++i) {
    Ask(cases[i].first);
    const HttpAccess access = Accesses(i + 1)[i];
    std::string found = " " + std::to_string(access.status);
    for (const HttpField& note : access.notes) found += " " + note.name + "=" + note.value;
    EXPECT_EQ(found, cases[i].second) << cases[i].first;
  }
  EXPECT_EQ(
      Outcome(Get("/v1/metrics", key)),
      R"x(404 {"error":{"message":"no such route (there is /metrics)","type":"invalid_request_error","param":null,"code":"not_found"}})x");
}

TEST_F(ModelServerTest, CountsTheAnswersOfAClassifier) {
  Serve({.is_classifier = true, .max_length = 4});
  std::string metrics = Ask(Get("/metrics")).body;
  const auto expect = [&](const std::string& line) { EXPECT_NE(metrics.find(line + "\n"), std::string::npos) << line << "\n" << metrics; };
  expect(R"(mlac_predictions_total{label="good",model="org/fake"} 0)");
  expect(R"(mlac_predictions_total{label="so \"so\"",model="org/fake"} 0)");
  std::vector<size_t> counts(3);
  for (const auto& [word, id] : std::vector<std::pair<std::string, int32_t>>{{"hello", 10}, {"world", 11}, {"good", 12}}) {
    const std::vector<float> row = model_->Row({2, id, 3});
    ++counts[static_cast<size_t>(std::max_element(row.begin(), row.end()) - row.begin())];
    AskJson(PostJson("/predict", json({{"inputs", word}}).dump()));
  }
  AskJson(PostJson("/predict", R"({"inputs":[["a b c"]],"truncate":true})"));
  const std::vector<float> cut = model_->Row({2, 5, 6, 3});
  ++counts[static_cast<size_t>(std::max_element(cut.begin(), cut.end()) - cut.begin())];
  metrics = Ask(Get("/metrics")).body;
  expect(R"(mlac_predictions_total{label="good",model="org/fake"} )" + std::to_string(counts[0]));
  expect(R"(mlac_predictions_total{label="bad",model="org/fake"} )" + std::to_string(counts[1]));
  expect(R"(mlac_prediction_score_count{model="org/fake"} 4)");
  expect(R"(mlac_prediction_score_bucket{model="org/fake",le="0.3"} 0)");  // of three labels the best has a third at least
  expect(R"(mlac_prediction_score_bucket{model="org/fake",le="+Inf"} 4)");
  expect(R"(mlac_texts_total{model="org/fake"} 4)");
  expect(R"(mlac_truncated_texts_total{model="org/fake"} 1)");
  expect(R"(mlac_http_request_duration_seconds_count{model="org/fake",route="/predict"} 4)");
}

TEST_F(ModelServerTest, CountsOfSeveralLabelsEachThatApplies) {
  Serve({.is_classifier = true, .num_labels = 1});  // a sigmoid, and a score to rank by: no decision is made of it
  AskJson(PostJson("/predict", R"({"inputs":"a"})"));
  const std::string metrics = Ask(Get("/metrics")).body;
  EXPECT_EQ(metrics.find("mlac_predictions_total{"), std::string::npos);
  EXPECT_NE(metrics.find("mlac_texts_total{model=\"org/fake\"} 1\n"), std::string::npos);
  ServeMetrics counted;
  const std::unique_ptr<AnswerMetrics> answers = counted.OfAnswers("tags", FakeModel({.is_classifier = true, .is_multi_label = true}));
  answers->CountLabels(std::vector<float>{0, -1, 2, -1, -2, -3});
  const std::string rendered = counted.Render({});
  for (const char* line :
       {R"(mlac_predictions_total{label="good",model="tags"} 1)", R"(mlac_predictions_total{label="bad",model="tags"} 0)",
        R"(mlac_predictions_total{label="so \"so\"",model="tags"} 1)", R"(mlac_prediction_score_count{model="tags"} 2)",
        R"(mlac_prediction_score_bucket{model="tags",le="0.3"} 1)"})
    EXPECT_NE(rendered.find(std::string(line) + "\n"), std::string::npos) << line << "\n" << rendered;
}

TEST_F(ModelServerTest, NamesTheFirst256LabelsInItsMetrics) {
  ServeMetrics metrics;
  const FakeModel model({.is_classifier = true, .num_labels = 300});
  const std::unique_ptr<AnswerMetrics> answers = metrics.OfAnswers("m", model);
  std::vector<float> logits(600);
  logits[299] = 1;
  logits[300 + 256] = 1;
  answers->CountLabels(logits);
  const std::string rendered = metrics.Render({});
  EXPECT_NE(rendered.find("mlac_predictions_total{label=\"(other)\",model=\"m\"} 2\n"), std::string::npos);
}

TEST_F(ModelServerTest, TellsOfTheProcessAsPrometheusNamesIt) {
  Serve();
  const std::string metrics = Ask(Get("/metrics")).body;
  const auto value = [&](const std::string& name) {
    const size_t place = metrics.find("\n" + name + " ");
    return place == std::string::npos ? 0.0 : std::stod(metrics.substr(place + name.size() + 2));
  };
  EXPECT_GT(value("process_resident_memory_bytes"), 1 << 20);
  EXPECT_GT(value("process_virtual_memory_bytes"), value("process_resident_memory_bytes"));
  EXPECT_NE(metrics.find("# TYPE process_cpu_seconds_total counter\n"), std::string::npos);
  EXPECT_GE(value("process_open_fds"), 3);
  EXPECT_GT(value("process_max_fds"), value("process_open_fds"));
  EXPECT_GT(value("process_start_time_seconds"), 1e9);
  EXPECT_LT(value("process_start_time_seconds"), static_cast<double>(std::time(nullptr)) + 10);
}

TEST(FormatEvent, WritesTimeLevelAndWhatHappenedInEitherForm) {
  const LogEvent event = {
      .level = LogLevel::kWarning, .event = "refused", .message = "m@a: \"no\"", .fields = {{"model", "m"}, {"after", ""}}};
  const auto time = std::chrono::system_clock::time_point(1'700'000'000'007ms);
  EXPECT_EQ(FormatEvent(event, LogFormat::kText, time), "2023-11-14T22:13:20.007Z warning m@a: \"no\"\n");
  EXPECT_EQ(FormatEvent(event, LogFormat::kJson, time),
            R"({"time":"2023-11-14T22:13:20.007Z","level":"warning","event":"refused","model":"m","message":"m@a: \"no\""})"
            "\n");
}

TEST(FormatAccess, WritesOneLineOfEitherForm) {
  const HttpAccess access = {.time = std::chrono::system_clock::time_point(1'700'000'000'007ms),
                             .id = "abc",
                             .method = "POST",
                             .route = "/embed",
                             .status = 200,
                             .num_request_bytes = 12,
                             .num_response_bytes = 34,
                             .duration_ms = 2.25,
                             .notes = {{"model", "7"}, {"tokens", "21"}, {"queue_ms", "0.100"}}};
  EXPECT_EQ(FormatAccess(access, LogFormat::kText), "2023-11-14T22:13:20.007Z POST /embed 200 2.2 ms id=abc model=7 tokens=21 queue_ms=0.100\n");
  EXPECT_EQ(FormatAccess(access, LogFormat::kJson),
            R"({"time":"2023-11-14T22:13:20.007Z","id":"abc","method":"POST","route":"/embed","status":200,"duration_ms":2.250,)"
            R"("request_bytes":12,"response_bytes":34,"model":"7","tokens":21,"queue_ms":0.100})"
            "\n");
}

TEST_F(ModelServerTest, ServesAPageThatLoadsNothingFromElsewhere) {
  Serve();
  const RawAnswer page = Ask(Get("/"));
  EXPECT_EQ(page.status, 200);
  EXPECT_EQ(page.Field("Content-Type"), "text/html; charset=utf-8");
  EXPECT_EQ(page.Field("content-security-policy").substr(0, 18), "default-src 'none'");
  EXPECT_TRUE(page.body == kIndexHtml);
  EXPECT_EQ(page.body.find("http://"), std::string::npos);
  EXPECT_EQ(page.body.find("https://"), std::string::npos);
}

TEST_F(ModelServerTest, RefusesLimitsThatCannotBe) {
  const auto failure = [](ModelServerOptions options) -> std::string {
    try {
      options.http.port = 0;
      std::vector<NamedModel> models;
      models.push_back({"fake", std::make_unique<FakeModel>()});
      const ModelServer server(std::move(models), std::move(options));
    } catch (const Error& error) {
      return error.message();
    }
    return "";
  };
  EXPECT_EQ(failure({.inference = {.max_batch_tokens = 0}}), "--max-batch-tokens is 0; it is at least 1");
  EXPECT_EQ(failure({.inference = {.max_concurrent_requests = 0}}), "--max-concurrent-requests is 0; it is at least 1");
  EXPECT_EQ(failure({.inference = {.max_client_batch_size = 0}}), "--max-client-batch-size is 0; it is at least 1");
  EXPECT_EQ(failure({.http = {.limits = {.max_body_bytes = 0}}}), "--payload-limit is 0; it is at least 1");
}

}  // namespace
}  // namespace mlac
