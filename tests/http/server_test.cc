#include "http/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <list>
#include <mutex>
#include <new>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "tests/http/raw_client.h"
#include "tests/http/raw_requests.h"
#include "tests/support/test_support.h"

namespace mlac {
namespace {

using namespace std::chrono_literals;

const std::string kGet = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

std::string Post(const std::string& path, const std::string& body, const std::string& fields = "") {
  return "POST " + path + " HTTP/1.1\r\nHost: localhost\r\n" + fields + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

HttpResponse Text(std::string body) { return {.content_type = "text/plain", .body = std::move(body)}; }

// A value that another thread waits for.
template <typename T>
class Mailbox {
 public:
  void Put(T value) {
    const std::lock_guard lock(mutex_);
    values_.push_back(std::move(value));
    changed_.notify_all();
  }
  T Take() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !values_.empty(); });
    T value = std::move(values_.front());
    values_.erase(values_.begin());
    return value;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<T> values_;
};

struct Held {
  HttpRequest request;
  HttpResponder responder;
};

// A server with a route of each kind. POST /hold gives its request to the test, which answers it when it likes.
class ServerTest : public testing::Test {
 protected:
  HttpServer& Serve(HttpServerOptions options = {}) {
    options.port = 0;
    options.limits.max_body_bytes = std::max<size_t>(options.limits.max_body_bytes == 2'000'000 ? 1000 : options.limits.max_body_bytes, 1);
    options.drain_idle = 0ms;
    options.on_access = [this, on_access = std::move(options.on_access)](const HttpAccess& access) {
      if (on_access) on_access(access);
      accesses_.Put(access);
    };
    HttpRouter router;
    router.Add({.method = "GET", .pattern = "/", .handler = [](HttpRequest, HttpResponder responder) { responder.Send(Text("root")); }, .open = true});
    router.Add({.method = "GET", .pattern = "/items/{id}", .handler = [](HttpRequest request, HttpResponder responder) {
                  responder.Send(Text(request.parameters.at(0)));
                }});
    router.Add({.method = "POST", .pattern = "/echo", .handler = [](HttpRequest request, HttpResponder responder) {
                  responder.Send(Text(request.body));
                }});
    router.Add({.method = "POST", .pattern = "/json", .handler = [](HttpRequest, HttpResponder responder) { responder.Send(Text("json")); },
                .content_type = "application/json"});
    router.Add({.method = "POST", .pattern = "/hold", .handler = [this](HttpRequest request, HttpResponder responder) {
                  held_.Put({std::move(request), std::move(responder)});
                }});
    router.Add({.method = "POST", .pattern = "/throw", .handler = [](HttpRequest request, HttpResponder) {
                  if (request.body == "memory") throw std::bad_alloc();
                  if (request.body == "tensor") throw Error(ErrorCode::kResourceExhausted, "out of memory: a tensor asks for 64 bytes");
                  if (request.body == "thread") throw std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again));
                  if (request.body == "system") throw std::system_error(std::make_error_code(std::errc::io_error));
                  if (request.body == "stranger") throw std::runtime_error("the secret of a library");
                  if (request.body == "overload") throw HttpError(429, "not now");
                  if (request.body == "http") throw HttpError(422, "not so", "inputs", "but so");
                  throw Error(ErrorCode::kTooLarge, "above the limit");
                }});
    router.Add({.method = "POST",
                .pattern = "/sized",
                .handler = [](HttpRequest, HttpResponder responder) { responder.Send(Text("sized")); },
                .content_type = "application/json",
                .refusal_fields =
                    [](const HttpRequest&) {
                      return std::vector<HttpField>{{"x-of-route", "1"}};
                    }});
    router.Add({.method = "POST", .pattern = "/drop", .handler = [](HttpRequest, HttpResponder) {}});
    router.Add({.method = "GET", .pattern = "/large", .handler = [](HttpRequest, HttpResponder responder) {
                  responder.Send(Text(std::string(64 << 20, 'x')));
                }});
    server_.emplace(std::move(options), std::move(router));
    return *server_;
  }

  // The answer to one request on a connection of its own.
  RawAnswer Ask(std::string_view bytes) {
    RawClient client(server_->port());
    client.Send(bytes);
    return client.Receive(/*to_head=*/bytes.starts_with("HEAD"));
  }

  Mailbox<HttpAccess> accesses_;
  Mailbox<Held> held_;
  std::optional<HttpServer> server_;
};

TEST_F(ServerTest, GivesEveryRawRequestItsExactStatusAndNeverTwoAnswersToOneMessage) {
  const HttpServer& server = Serve({.public_url = "https://models.example.org/api"});
  const std::vector<RawRequest> requests = RawRequests();
  EXPECT_GE(requests.size(), 150u);
  for (const RawRequest& request : requests) {
    RawClient client(server.port());
    client.Send(request.bytes);
    client.FinishSending();
    std::vector<int> statuses;
    while (true) {
      const RawAnswer answer = client.Receive(/*to_head=*/request.bytes.starts_with("HEAD") && statuses.empty());
      if (answer.status == 0) break;
      statuses.push_back(answer.status);
      EXPECT_FALSE(answer.Field("x-request-id").empty()) << request.name;
      EXPECT_FALSE(answer.Field("Date").empty()) << request.name;
    }
    EXPECT_EQ(statuses, request.statuses) << request.name;
    EXPECT_TRUE(client.AtEnd()) << request.name;
  }
}

TEST_F(ServerTest, ClosesAfterAFramingErrorAndSaysSo) {
  Serve();
  RawClient client(server_->port());
  client.Send("GET / HTTP/1.1\r\n\r\n" + kGet);
  const RawAnswer answer = client.Receive();
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(answer.Field("Connection"), "close");
  EXPECT_EQ(answer.body, "{\"error\":\"Host is missing\"}");
  EXPECT_TRUE(client.AtEnd());
}

TEST_F(ServerTest, JoinsChunksOfOneByte) {
  constexpr size_t kNumBytes = 100'000;
  HttpServerOptions options;
  options.limits.max_body_bytes = kNumBytes;
  Serve(std::move(options));
  std::string bytes = "POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n", expected;
  for (size_t i = 0; i < kNumBytes; ++i) {
    expected += static_cast<char>('a' + i % 26);
    bytes += "1\r\n" + expected.substr(i) + "\r\n";
  }
  const RawAnswer answer = Ask(bytes + "0\r\n\r\n");
  EXPECT_EQ(answer.status, 200);
  EXPECT_TRUE(answer.body == expected);
}

TEST_F(ServerTest, AsksForTheBodyOfAnExpectingClientUnlessTheHeadDecides) {
  Serve();
  RawClient client(server_->port());
  client.Send("POST /echo HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
  char interim[25];
  ASSERT_EQ(recv(client.fd(), interim, sizeof interim, MSG_WAITALL), 25);
  EXPECT_EQ(std::string_view(interim, 25), "HTTP/1.1 100 Continue\r\n\r\n");
  client.Send("hello");
  EXPECT_EQ(client.Receive().body, "hello");

  RawClient refused(server_->port());
  refused.Send("POST /none HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
  EXPECT_EQ(refused.Receive().status, 404);
  EXPECT_EQ(refused.num_interim(), 0u);
  EXPECT_TRUE(refused.AtEnd());
}

// A body above the limit is refused as anything else is: by the head, in the protocol's form, under the client's id.
TEST_F(ServerTest, RefusesABodyAboveTheLimitInTheFormOfItsProtocolAndUnderItsId) {
  HttpServerOptions options;
  options.format_error = [](const HttpError& error, std::string_view path) {
    return HttpResponse{.body = std::string(path) + "|" + error.what()};
  };
  options.cors_allow_origins = {"https://app.example"};
  Serve(std::move(options));
  const std::string fields = "Host: localhost\r\nX-Request-Id: mine\r\nOrigin: https://app.example\r\n";
  const std::vector<std::string> rests = {"Content-Length: 1001\r\n\r\n", "Content-Length: 1001\r\nExpect: 100-continue\r\n\r\n",
                                          "Transfer-Encoding: chunked\r\n\r\n3e7\r\n" + std::string(999, 'a') + "\r\n2\r\naa\r\n"};
  for (const std::string& rest : rests) {
    RawClient client(server_->port());
    client.Send("POST /sized HTTP/1.1\r\n" + fields + rest);
    const RawAnswer answer = client.Receive();
    EXPECT_EQ(client.num_interim(), 0u) << rest;
    EXPECT_EQ(answer.status, 413) << rest;
    EXPECT_EQ(answer.body,
              "/sized|the body is larger than 1000 bytes (send less at a time, or start the server with a larger --payload-limit)")
        << rest;
    EXPECT_EQ(answer.Field("x-request-id"), "mine") << rest;
    EXPECT_EQ(answer.Field("access-control-allow-origin"), "https://app.example") << rest;
    EXPECT_EQ(answer.Field("x-of-route"), "1") << rest;
    EXPECT_TRUE(client.AtEnd()) << rest;
    const HttpAccess access = accesses_.Take();
    EXPECT_EQ(access.method, "POST") << rest;
    EXPECT_EQ(access.route, "/sized") << rest;
    EXPECT_EQ(access.status, 413) << rest;
    EXPECT_EQ(access.id, "mine") << rest;
  }
  // What the head decides comes first, and the body is not read over.
  RawClient none(server_->port());
  none.Send("POST /none HTTP/1.1\r\n" + fields + "Content-Length: 1001\r\n\r\n");
  EXPECT_EQ(none.Receive().status, 404);
  EXPECT_TRUE(none.AtEnd());
  RawClient type(server_->port());
  type.Send("POST /sized HTTP/1.1\r\n" + fields + "Content-Type: text/html\r\nContent-Length: 1\r\n\r\na");
  const RawAnswer answer = type.Receive();
  EXPECT_EQ(answer.status, 415);
  EXPECT_EQ(answer.Field("x-of-route"), "1");
}

TEST_F(ServerTest, AnswersPipelinedRequestsInOrderThoughTheyAreAnsweredLate) {
  Serve();
  RawClient client(server_->port());
  client.Send(Post("/hold", "1") + Post("/echo", "2") + Post("/hold", "3"));
  Held first = held_.Take();
  std::thread([&] { first.responder.Send(Text("one")); }).join();
  EXPECT_EQ(client.Receive().body, "one");
  EXPECT_EQ(client.Receive().body, "2");
  held_.Take().responder.Send(Text("three"));
  EXPECT_EQ(client.Receive().body, "three");
}

TEST_F(ServerTest, TellsAHandlerThatTheClientHasClosedOrReset) {
  Serve();
  for (const bool reset : {false, true}) {
    RawClient client(server_->port());
    client.Send(Post("/hold", ""));
    Held held = held_.Take();
    EXPECT_FALSE(held.responder.cancelled());
    Mailbox<bool> cancelled;
    held.responder.OnCancel([&] { cancelled.Put(true); });
    reset ? client.Reset() : client.Close();
    EXPECT_TRUE(cancelled.Take());
    EXPECT_TRUE(held.responder.cancelled());
    held.responder.Send(Text("for nobody"));
    const HttpAccess access = accesses_.Take();
    EXPECT_EQ(access.status, 499);
    EXPECT_EQ(access.route, "/hold");
    bool at_once = false;
    held.responder.OnCancel([&] { at_once = true; });
    EXPECT_TRUE(at_once);
  }
}

TEST_F(ServerTest, SeesAResetBehindPipelinedRequests) {
  Serve();
  RawClient client(server_->port());
  client.Send(Post("/hold", ""));
  Held held = held_.Take();
  Mailbox<bool> cancelled;
  held.responder.OnCancel([&] { cancelled.Put(true); });
  client.Send(kGet);
  client.Reset();
  EXPECT_TRUE(cancelled.Take());
}

TEST_F(ServerTest, AnswersAClientThatOnlyClosedItsSendingSide) {
  Serve();
  RawClient client(server_->port());
  client.Send(Post("/hold", ""));
  Held held = held_.Take();
  client.FinishSending();
  char interim[25];  // by which the server tells it from one that has gone
  ASSERT_EQ(recv(client.fd(), interim, sizeof interim, MSG_WAITALL), 25);
  EXPECT_EQ(std::string_view(interim, 25), "HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_FALSE(held.responder.cancelled());
  held.responder.Send(Text("late"));
  EXPECT_EQ(client.Receive().body, "late");
  EXPECT_TRUE(client.AtEnd());
}

TEST_F(ServerTest, TurnsWhatAHandlerThrowsOrForgetsIntoAnAnswer) {
  Serve();
  EXPECT_EQ(Ask(Post("/throw", "")).status, 413);
  EXPECT_EQ(Ask(Post("/throw", "")).body, "{\"error\":\"above the limit\"}");
  EXPECT_EQ(Ask(Post("/throw", "http")).status, 422);
  EXPECT_EQ(Ask(Post("/throw", "http")).body, "{\"error\":\"not so (but so)\"}");
  EXPECT_EQ(Ask(Post("/throw", "memory")).status, 503);
  EXPECT_EQ(Ask(Post("/throw", "tensor")).status, 503);
  EXPECT_EQ(Ask(Post("/throw", "thread")).status, 503);
  EXPECT_EQ(Ask(Post("/throw", "system")).status, 500);
  EXPECT_EQ(Ask(Post("/throw", "stranger")).status, 500);
  EXPECT_EQ(Ask(Post("/throw", "stranger")).body, "{\"error\":\"internal error\"}");
  EXPECT_EQ(Ask(Post("/drop", "")).status, 500);
  RawClient client(server_->port());
  client.Send(Post("/hold", ""));
  held_.Take();  // and is gone
  EXPECT_EQ(client.Receive().status, 500);
}

TEST_F(ServerTest, WritesErrorsInTheFormOfTheirProtocol) {
  HttpServerOptions options;
  options.format_error = [](const HttpError& error, std::string_view path) {
    return HttpResponse{.status = 1, .content_type = "x/y", .body = std::string(path) + "|" + error.field() + "|" + error.message()};
  };
  Serve(std::move(options));
  const RawAnswer answer = Ask(Post("/throw", "http"));
  EXPECT_EQ(answer.status, 422);
  EXPECT_EQ(answer.Field("Content-Type"), "x/y");
  EXPECT_EQ(answer.body, "/throw|inputs|not so");
  EXPECT_EQ(Ask("GET /v1/none HTTP/1.1\r\nHost: a\r\n\r\n").body, "/v1/none||the Host of the request is neither this machine nor the public URL of the server");
  EXPECT_EQ(Ask("nonsense\r\n").body, "||the request line is not 'METHOD TARGET HTTP/1.1'");
}

TEST_F(ServerTest, AsksForAKeyOnAllButTheOpenRoutes) {
  Serve({.api_keys = ApiKeys::Parse("secret\nother", "test")});
  const auto status = [&](const std::string& request_line, const std::string& fields) {
    return Ask(request_line + " HTTP/1.1\r\nHost: anything.example\r\nConnection: close\r\n" + fields + "\r\n").status;
  };
  const std::string right = "Authorization: Bearer secret\r\n";
  for (const char* line : {"POST /echo", "GET /items/a", "POST /json", "GET /none", "DELETE /echo", "OPTIONS /echo", "OPTIONS *", "DELETE /"}) {
    EXPECT_EQ(status(line, ""), 401) << line;
    EXPECT_EQ(status(line, "Authorization: Bearer wrong\r\n"), 401) << line;
    EXPECT_NE(status(line, right), 401) << line;
  }
  EXPECT_EQ(status("GET /", ""), 200);
  EXPECT_EQ(status("HEAD /", ""), 200);
  EXPECT_EQ(status("POST /echo", "Authorization: bearer  other \r\n"), 200);
  for (const char* fields : {"Authorization: secret\r\n", "Authorization: Basic secret\r\n", "Authorization: Bearer\r\n", "Authorization: Bearer secret x\r\n",
                             "Authorization: Bearersecret\r\n", "Authorization:\r\n", "Authorization: Bearer secret\r\nAuthorization: Bearer secret\r\n",
                             "X-Api-Key: secret\r\n"})
    EXPECT_EQ(status("POST /echo", fields), 401) << fields;
  const RawAnswer answer = Ask("POST /echo HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(answer.Field("www-authenticate"), "Bearer");
  server_->SetApiKeys(ApiKeys::Parse("third", "test"));
  EXPECT_EQ(status("POST /echo", right), 401);
  EXPECT_EQ(status("POST /echo", "Authorization: Bearer third\r\n"), 200);
  test::ExpectError(ErrorCode::kInvalidArgument, "a server does not go on without the keys that it asked for",
                    [&] { server_->SetApiKeys({}); });
  EXPECT_EQ(answer.body, "{\"error\":\"an API key is needed (send the header 'Authorization: Bearer KEY')\"}");
}

TEST_F(ServerTest, ReadsTheBodyOfARefusedRequestOverAndGoesOn) {
  Serve({.api_keys = ApiKeys::Parse("secret", "test")});
  RawClient client(server_->port());
  client.Send(Post("/echo", "hello") + Post("/echo", "hello", "Authorization: Bearer secret\r\n"));
  EXPECT_EQ(client.Receive().status, 401);
  EXPECT_EQ(client.Receive().body, "hello");
}

TEST_F(ServerTest, KeepsASaneRequestIdAndMakesOneElse) {
  Serve();
  const auto id = [&](const std::string& field) { return Ask("GET / HTTP/1.1\r\nHost: localhost\r\n" + field + "\r\n").Field("x-request-id"); };
  EXPECT_EQ(id("X-Request-Id: a.B_c-9\r\n"), "a.B_c-9");
  EXPECT_EQ(id("X-Request-Id: " + std::string(128, 'a') + "\r\n"), std::string(128, 'a'));
  const std::string made = id("");
  EXPECT_FALSE(made.empty());
  for (const std::string& bad : {std::string(129, 'a'), std::string("a b"), std::string("a/b"), std::string("\xc3\xa9"), std::string("a\"b"), std::string()}) {
    const std::string found = id("X-Request-Id: " + bad + "\r\n");
    EXPECT_NE(found, bad);
    EXPECT_NE(found, made);
    EXPECT_FALSE(found.empty());
  }
}

TEST_F(ServerTest, AllowsOtherOriginsOnlyWhereTold) {
  const std::string preflight = "OPTIONS /echo HTTP/1.1\r\nHost: localhost\r\nOrigin: https://app.example\r\nAccess-Control-Request-Method: POST\r\n\r\n";
  const std::string plain = Post("/echo", "x", "Origin: https://app.example\r\n");
  Serve();
  EXPECT_EQ(Ask(plain).Field("vary"), "");
  EXPECT_EQ(Ask(preflight).Field("access-control-allow-origin"), "");
  EXPECT_EQ(Ask(plain).Field("access-control-allow-origin"), "");
  server_.reset();

  Serve({.api_keys = ApiKeys::Parse("secret", "test"), .cors_allow_origins = {"https://app.example"}});
  const RawAnswer answer = Ask(preflight);
  EXPECT_EQ(answer.status, 204);
  EXPECT_EQ(answer.Field("access-control-allow-origin"), "https://app.example");
  EXPECT_EQ(answer.Field("access-control-allow-methods"), "POST, OPTIONS");
  EXPECT_EQ(answer.Field("vary"), "origin");
  EXPECT_EQ(Ask(plain).status, 401);
  EXPECT_EQ(Ask(plain).Field("access-control-allow-origin"), "https://app.example");
  std::string stranger = preflight;
  stranger.replace(stranger.find("app.example"), 11, "not.example");
  EXPECT_EQ(Ask(stranger).status, 401);
  EXPECT_EQ(Ask(stranger).Field("access-control-allow-origin"), "");
  EXPECT_EQ(Ask(stranger).Field("vary"), "origin");  // or a cache would give it to those who are allowed
  EXPECT_EQ(Ask(kGet).Field("vary"), "origin");
  server_.reset();

  Serve({.cors_allow_origins = {"*"}});
  EXPECT_EQ(Ask(plain).Field("access-control-allow-origin"), "*");
}

TEST_F(ServerTest, PutsAFieldThatWasAddedOnWhateverAnswerIsSent) {
  Serve({.cors_allow_origins = {"*"}});
  for (const bool fails : {false, true}) {
    RawClient client(server_->port());
    client.Send(Post("/hold", "x", "Origin: https://app.example\r\n"));
    const Held held = held_.Take();
    held.responder.AddField({"x-model-revision", "r1"});
    if (fails) {
      held.responder.SendError(std::make_exception_ptr(HttpError(429, "too many")));
    } else {
      held.responder.Send({.body = "x", .fields = {{"x-other", "1"}}});
    }
    const RawAnswer answer = client.Receive();
    EXPECT_EQ(answer.status, fails ? 429 : 200);
    EXPECT_EQ(answer.Field("x-model-revision"), "r1");
    EXPECT_EQ(answer.Field("access-control-expose-headers"), fails ? "x-request-id, x-model-revision" : "x-request-id, x-other, x-model-revision");
  }
}

TEST_F(ServerTest, LogsEachRequestOnceAndNothingOfItsContent) {
  Serve();
  Ask(Post("/items/canary?canary", "canary", "Authorization: Bearer canary\r\nX-Canary: canary\r\n"));
  HttpAccess access = accesses_.Take();
  EXPECT_EQ(access.status, 405);
  EXPECT_EQ(access.method, "POST");
  EXPECT_EQ(access.route, "-");
  Ask("CANARY /canary HTTP/1.1\r\nHost: localhost\r\n\r\n");
  access = accesses_.Take();
  EXPECT_EQ(access.status, 404);
  EXPECT_EQ(access.method, "-");
  Ask("canary\r\n");
  access = accesses_.Take();
  EXPECT_EQ(access.status, 400);
  EXPECT_EQ(access.route, "-");
  RawClient client(server_->port());
  client.Send(Post("/hold", "hello", "X-Request-Id: mine\r\n"));
  HttpResponse response = Text("four");
  response.notes = {{"tokens", "21"}};
  held_.Take().responder.Send(response);
  access = accesses_.Take();
  EXPECT_EQ(access.id, "mine");
  EXPECT_EQ(access.route, "/hold");
  EXPECT_EQ(access.num_request_bytes, 5u);
  EXPECT_EQ(access.num_response_bytes, 4u);
  ASSERT_EQ(access.notes.size(), 1u);
  EXPECT_EQ(access.notes[0].value, "21");
}

// What keeps lines back to write several at once may rely on it.
TEST_F(ServerTest, SaysThatItIsQuietAfterEachRequestAlsoUnderOverloadAndAtItsEnd) {
  thread_local size_t num_waiting;  // of the server's one thread
  std::atomic<size_t> num_logged = 0, num_written = 0;
  HttpServerOptions options;
  options.on_access = [&](const HttpAccess&) { ++num_waiting, ++num_logged; };
  options.on_quiet = [&] { num_written += std::exchange(num_waiting, 0); };
  Serve(std::move(options));
  const auto await = [&](size_t count) {
    for (int i = 0; i < 10'000 && num_written < count; ++i) std::this_thread::sleep_for(1ms);
    return num_written.load();
  };
  std::array<std::optional<RawClient>, 8> clients;
  for (auto& client : clients) client.emplace(server_->port());
  clients[0]->Send(kGet);
  EXPECT_EQ(clients[0]->Receive().status, 200);
  EXPECT_EQ(await(1), 1u);  // though the connection stays and nothing else comes
  constexpr size_t kRounds = 100;
  for (size_t round = 0; round < kRounds; ++round) {  // 800 refusals in a row
    for (auto& client : clients) client->Send(Post("/throw", "overload"));
    for (auto& client : clients) ASSERT_EQ(client->Receive().status, 429);
  }
  EXPECT_EQ(await(1 + kRounds * clients.size()), 1 + kRounds * clients.size());
  clients[0]->Send(kGet);
  EXPECT_EQ(clients[0]->Receive().body, "root");
  clients[1]->Send(Post("/hold", ""));
  const Held held = held_.Take();
  server_.reset();  // which closes the connection of the one that waits
  EXPECT_EQ(num_logged, 3 + kRounds * clients.size());
  EXPECT_EQ(num_written, num_logged);
}

TEST_F(ServerTest, NotesTheFieldsOfAnswersThatItIsToldToAndWhyItRefuses) {
  Serve({.noted_fields = {{"x-of-route", "route"}}});
  Ask(Post("/sized", "{}"));
  EXPECT_TRUE(accesses_.Take().notes.empty());
  Ask(Post("/sized", "{}", "Content-Type: text/plain\r\n"));
  const HttpAccess access = accesses_.Take();
  ASSERT_EQ(access.notes.size(), 2u);
  EXPECT_EQ(access.notes[0].name + "=" + access.notes[0].value, "route=1");
  EXPECT_EQ(access.notes[1].name + "=" + access.notes[1].value, "reason=wrong_content_type");
  Ask(Post("/throw", "memory"));
  EXPECT_EQ(accesses_.Take().notes.at(0).value, "out_of_memory");
  Ask(Post("/a/b/echo", ""));
  EXPECT_EQ(accesses_.Take().notes.at(1).value, "/echo");
}

TEST_F(ServerTest, SaysWhetherOthersThanThisMachineReachIt) {
  EXPECT_TRUE(Serve().is_local());
  EXPECT_FALSE(Serve({.host = "0.0.0.0"}).is_local());
  const test::TemporaryFolder folder;
  EXPECT_TRUE(Serve({.unix_socket = folder / "socket"}).is_local());
}

TEST_F(ServerTest, AnswersHeadWithTheLengthAndNoBody) {
  Serve();
  RawClient client(server_->port());
  client.Send("HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n" + kGet);
  EXPECT_EQ(client.Receive(/*to_head=*/true).Field("Content-Length"), "4");
  EXPECT_EQ(client.Receive().body, "root");
}

TEST_F(ServerTest, WritesTheHeadOfAnAnswerAsItsVersionAndTheConnectionAskFor) {
  Serve();
  const auto head_of = [&](const std::string& request_line, const std::string& fields = "") {
    std::string head = Ask(request_line + "\r\nHost: localhost\r\nx-request-id: me\r\n" + fields + "\r\n").head;
    const size_t date = head.find("Date: ");
    EXPECT_THAT(head.substr(date, 37), testing::MatchesRegex("Date: [A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT\r\n"));
    return date == std::string::npos ? head : head.erase(date, 37);
  };
  const std::string rest = "x-request-id: me\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n";
  EXPECT_EQ(head_of("GET / HTTP/1.1"), "HTTP/1.1 200 OK\r\n" + rest + "\r\n");
  EXPECT_EQ(head_of("HEAD / HTTP/1.1"), "HTTP/1.1 200 OK\r\n" + rest + "\r\n");
  EXPECT_EQ(head_of("GET / HTTP/1.1", "Connection: close\r\n"), "HTTP/1.1 200 OK\r\n" + rest + "Connection: close\r\n\r\n");
  EXPECT_EQ(head_of("GET / HTTP/1.0"), "HTTP/1.0 200 OK\r\n" + rest + "\r\n");
  EXPECT_EQ(head_of("GET / HTTP/1.0", "Connection: keep-alive\r\n"), "HTTP/1.0 200 OK\r\n" + rest + "Connection: keep-alive\r\n\r\n");
  EXPECT_EQ(head_of("OPTIONS /echo HTTP/1.1"), "HTTP/1.1 204 No Content\r\nx-request-id: me\r\nallow: POST, OPTIONS\r\n\r\n");
}

TEST_F(ServerTest, SendsBodiesOfEverySizeWholeAndBehindTheirHeads) {
  Serve({.limits = {.max_body_bytes = 1 << 20}});
  RawClient client(server_->port());
  for (const size_t size : {0, 1, 4095, 4096, 4097, 5000, 65536, 1 << 20}) {
    std::string body;
    for (size_t i = 0; i < size; ++i) body += static_cast<char>('a' + i % 23);
    client.Send(Post("/echo", body));
    EXPECT_EQ(client.Receive().body, body) << size;
  }
}

TEST_F(ServerTest, ClosesClientsThatAreTooSlow) {
  HttpServerOptions options;
  options.head_timeout = options.body_timeout = options.write_timeout = options.idle_timeout = 300ms;
  Serve(std::move(options));
  RawClient silent(server_->port());
  RawClient head(server_->port());  // each sends at once: on a busy machine it may be long until the next one has connected
  head.Send("GET / HT");
  RawClient body(server_->port());
  body.Send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhel");
  RawClient idle(server_->port());
  idle.Send(kGet);
  RawClient reader(server_->port());
  reader.Send("GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_TRUE(silent.AtEnd());
  EXPECT_EQ(head.Receive().status, 408);
  EXPECT_TRUE(head.AtEnd());
  EXPECT_EQ(body.Receive().status, 408);
  EXPECT_TRUE(body.AtEnd());
  EXPECT_EQ(idle.Receive().status, 200);
  EXPECT_TRUE(idle.AtEnd());
  // The reader takes nothing until the server has given up; nor does the system keep what is left for it.
  for (HttpAccess access = accesses_.Take(); access.status != 499; access = accesses_.Take()) {
  }
  std::string taken(1 << 16, '\0');
  ssize_t count;
  while ((count = recv(reader.fd(), taken.data(), taken.size(), 0)) > 0) {
  }
  EXPECT_EQ(count, -1);  // a reset; 0 would be an end in good order
}

TEST_F(ServerTest, ClosesThoseWhoTakeTheirAnswersSlowlyWhereTheyHoldTooMuch) {
  const std::string get = "GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n";  // 64 MiB
  for (const size_t num_answers : {2, 1}) {
    HttpServerOptions options;
    options.max_unsent_bytes = num_answers * (size_t{64} << 20);
    options.slow_write = 0ms;
    Serve(std::move(options));
    RawClient slow(server_->port()), other(server_->port());
    char byte;
    slow.Send(get);
    ASSERT_EQ(recv(slow.fd(), &byte, 1, MSG_PEEK), 1);  // its answer is being written
    other.Send(get);
    EXPECT_EQ(other.Receive().body.size(), size_t{64} << 20);
    EXPECT_EQ(slow.Receive().status, num_answers == 2 ? 200 : 0);
  }
}

TEST_F(ServerTest, WaitsLittleForTheEndOfAClientThatWasTooSlow) {
  Serve({.head_timeout = 300ms, .body_timeout = 300ms, .linger_timeout = 1h});
  for (const char* bytes : {"GET / HT", "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\n\r\nhel"}) {
    RawClient client(server_->port());
    client.Send(bytes);
    EXPECT_EQ(client.Receive().status, 408) << bytes;
    while (client.Send("x")) std::this_thread::yield();  // fails once the server has closed, not before
  }
}

TEST_F(ServerTest, AConnectionThatWaitsKeepsLittleMemory) {
  HttpServerOptions options;
  options.limits.max_body_bytes = 100'000;
  Serve(std::move(options));
  const std::string large_echo = Post("/echo", std::string(100'000, 'x'));
  // The client keeps nothing of it.
  const auto take_large_answer = [](int fd) {
    std::array<char, 16384> part;
    for (size_t taken = 0, size = part.size(); taken < size;) {
      const ssize_t count = recv(fd, part.data(), part.size(), 0);
      ASSERT_GT(count, 0);
      if (taken == 0) size = std::string_view(part.data(), static_cast<size_t>(count)).find("\r\n\r\n") + 4 + 100'000;
      taken += static_cast<size_t>(count);
    }
  };
  std::string large_head = "GET / HTTP/1.1\r\nHost: localhost\r\n";
  large_head += "A: " + std::string(8000, 'a') + "\r\nB: " + std::string(8000, 'b') + "\r\n\r\n";
  const std::string large_body = Post("/json", std::string(100'000, 'x'));
  std::list<RawClient> clients;
  const auto connect = [&](size_t count) {
    for (size_t i = 0; i < count; ++i) {
      RawClient& client = clients.emplace_back(server_->port());
      for (const std::string& bytes : {large_head, large_body, kGet}) {
        client.Send(bytes);
        ASSERT_EQ(client.Receive().status, 200);
      }
      client.Send(large_echo);
      take_large_answer(client.fd());
    }
  };
  connect(10);  // what is made once
  constexpr size_t kCount = 100;
  const size_t before = mallinfo2().uordblks;
  connect(kCount);
  EXPECT_LE((mallinfo2().uordblks - before) / kCount, size_t{16} << 10);  // of which the client's side has a little, too
}

TEST_F(ServerTest, HoldsNoMoreConnectionsThanToldAndServesTheNextWhenOneGoes) {
  HttpServerOptions options;
  options.max_connections = 2;
  Serve(std::move(options));
  RawClient first(server_->port()), second(server_->port()), third(server_->port());
  first.Send(Post("/hold", ""));
  second.Send(Post("/hold", ""));
  Held a = held_.Take(), b = held_.Take();
  third.Send(kGet);
  EXPECT_EQ(server_->num_connections(), 2u);
  first.Close();
  EXPECT_EQ(third.Receive().status, 200);
  b.responder.Send(Text("b"));
  EXPECT_EQ(second.Receive().status, 200);
}

TEST_F(ServerTest, WaitsForARoomAndTakesNoneBeyondWhileItIsFull) {
  HttpServerOptions options;
  options.max_connections = 2;
  Serve(std::move(options));
  RawClient busy(server_->port()), idle(server_->port());
  busy.Send(Post("/hold", ""));
  const Held held = held_.Take();
  idle.Send(kGet);
  EXPECT_EQ(idle.Receive().status, 200);
  RawClient next(server_->port());
  next.Send(Post("/hold", ""));
  const Held taken = held_.Take();  // when the one that idles has given way
  EXPECT_LE(server_->num_connections(), 2u);
  EXPECT_TRUE(idle.AtEnd());
}

TEST_F(ServerTest, ShutdownAnswersWhatItHoldsAndRefusesTheRest) {
  Serve();
  const int port = server_->port();
  RawClient idle(port), busy(port), pipelined(port);
  idle.Send(kGet);
  EXPECT_EQ(idle.Receive().status, 200);
  busy.Send(Post("/hold", ""));
  Held held = held_.Take();
  bool all_answered = false;
  std::thread shutdown([&] { all_answered = server_->Shutdown(60s); });
  EXPECT_TRUE(idle.AtEnd());
  held.responder.Send(Text("kept"));
  const RawAnswer answer = busy.Receive();
  EXPECT_EQ(answer.body, "kept");
  EXPECT_EQ(answer.Field("Connection"), "close");
  busy.Close();
  shutdown.join();
  EXPECT_TRUE(all_answered);
  EXPECT_FALSE(RawClient(port).connected());
}

// What never became whole is not held: it is told so soon, and does not make the end a failure.
TEST_F(ServerTest, ShutdownWaitsLittleForRequestsThatAreNotWhole) {
  for (const bool answers : {true, false}) {  // whether the deadline comes before the grace time ends
    Serve({.head_timeout = 1h, .body_timeout = 1h, .linger_timeout = 1h, .drain_timeout = answers ? 50ms : std::chrono::milliseconds(1h)});
    RawClient head(server_->port()), body(server_->port()), next(server_->port());
    head.Send("GET / HTTP/1.1\r\nHost: loc");
    body.Send("POST /echo HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    char interim[25];
    ASSERT_EQ(recv(body.fd(), interim, sizeof interim, MSG_WAITALL), 25);
    body.Send("hel");
    next.Send(kGet + "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhel");
    EXPECT_EQ(next.Receive().status, 200);
    EXPECT_TRUE(server_->Shutdown(answers ? std::chrono::milliseconds(60s) : 1ms));
    if (!answers) continue;
    EXPECT_EQ(body.Receive().status, 408);
    EXPECT_EQ(next.Receive().status, 408);
    EXPECT_EQ(head.Receive().status, 408);
  }
}

TEST_F(ServerTest, ShutdownGivesUpAfterTheGraceTime) {
  Serve();
  RawClient client(server_->port());
  client.Send(Post("/hold", ""));
  Held held = held_.Take();
  EXPECT_FALSE(server_->Shutdown(1ms));
  EXPECT_TRUE(held.responder.cancelled());
  server_.reset();
  held.responder.Send(Text("too late"));
  EXPECT_EQ(client.Receive().status, 0);
}

TEST_F(ServerTest, SaysInOneLineThatThePortIsTaken) {
  Serve();
  try {
    const HttpServer second({.port = server_->port()}, HttpRouter());
    FAIL() << "two servers on one port";
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()), "cannot listen on 127.0.0.1:" + std::to_string(server_->port()) +
                                             ": Address already in use (another program has the port; choose one with --port)");
  }
}

TEST_F(ServerTest, RefusesOptionsThatCannotBe) {
  const auto failure = [](HttpServerOptions options) -> std::string {
    try {
      const HttpServer server(std::move(options), HttpRouter());
    } catch (const Error& error) {
      return error.message();
    }
    return "";
  };
  EXPECT_EQ(failure({.port = 65536}), "port 65536 is not between 0 and 65535");
  EXPECT_EQ(failure({.port = -1}), "port -1 is not between 0 and 65535");
  EXPECT_EQ(failure({.port = 0, .num_io_threads = 0}), "the server needs at least one thread");
  EXPECT_EQ(failure({.host = "300.1.1.1", .port = 0}).substr(0, 18), "host '300.1.1.1': ");
  EXPECT_EQ(failure({.port = 0, .cors_allow_origins = {"https://a.example/"}}), "CORS origin 'https://a.example/' is neither an origin nor '*'");
  EXPECT_EQ(failure({.port = 0, .cors_allow_origins = {"a.example"}}), "CORS origin 'a.example' is neither an origin nor '*'");
  EXPECT_EQ(failure({.port = 0, .public_url = "models.example"}), "public URL 'models.example' is no URL");
}

size_t NumSockets() {
  size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;  // the descriptor of the iteration itself
    count += std::filesystem::read_symlink(entry.path(), gone).string().starts_with("socket:");
  }
  return count;
}

TEST_F(ServerTest, ClosesBehindAnAnswerDuringWhichTheClientFinishedSending) {
  Serve();
  RawClient client(server_->port());
  client.Send(Post("/hold", ""));
  held_.Take().responder.Send(Text(std::string(64 << 20, 'x')));
  char byte;
  ASSERT_EQ(recv(client.fd(), &byte, 1, MSG_PEEK), 1);  // the answer is on its way, and much too large for the sockets
  client.FinishSending();
  EXPECT_EQ(client.Receive().body.size(), size_t{64} << 20);
  EXPECT_EQ(recv(client.fd(), &byte, 1, 0), 0);  // -1 if the connection stayed open
}

TEST_F(ServerTest, LosesNoDescriptorToClientsThatLeaveAtAnyPoint) {
  const size_t before = NumSockets();
  HttpServerOptions options;
  options.num_io_threads = 2;
  Serve(std::move(options));
  const std::string request = Post("/echo", "hello") + "GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n";
  for (size_t i = 0; i <= request.size(); ++i) {
    RawClient client(server_->port());
    client.Send(std::string_view(request).substr(0, i));
    if (i % 2 == 0) client.Reset();
  }
  EXPECT_TRUE(server_->Shutdown(60s));
  EXPECT_EQ(server_->num_connections(), 0u);
  EXPECT_EQ(NumSockets(), before);
}

}  // namespace
}  // namespace mlac
