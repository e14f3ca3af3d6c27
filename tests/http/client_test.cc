#include "http/client.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string_view>
#include <thread>

#include "http/outbox.h"
#include "http/server.h"
#include "tests/support/test_support.h"

namespace mlac {
namespace {

// A server of names that does not answer for "silent.test" before it is told to, and then knows no such name; "localhost" is found without it.
struct SilentNames {
  std::mutex mutex;
  std::condition_variable changed;
  bool answers = false;
  size_t num_asked = 0, num_answered = 0;

  static SilentNames& Get() {
    static SilentNames& names = *new SilentNames;  // threads may ask while the program ends
    return names;
  }
  int Answer() {
    std::unique_lock lock(mutex);
    ++num_asked;
    changed.notify_all();
    changed.wait(lock, [this] { return answers; });
    ++num_answered;
    changed.notify_all();
    return EAI_NONAME;
  }
};

}  // namespace
}  // namespace mlac

// In front of the C library's, by label: its header declares it with attributes of its own.
extern "C" {

int AnswerName(const char* name, const char* service, const addrinfo* hints, addrinfo** found) __asm__("getaddrinfo");
int AnswerName(const char* name, const char* service, const addrinfo* hints, addrinfo** found) {
  static const auto real = reinterpret_cast<decltype(&AnswerName)>(dlsym(RTLD_NEXT, "getaddrinfo"));
  const bool asks_server = hints == nullptr || (hints->ai_flags & AI_NUMERICHOST) == 0;
  if (!asks_server || name == nullptr) return real(name, service, hints, found);
  if (std::string_view(name) == "silent.test") return mlac::SilentNames::Get().Answer();
  return real(std::string_view(name) == "localhost" ? "127.0.0.1" : name, service, hints, found);
}

}  // extern "C"

namespace mlac {
namespace {

using test::ExpectError;
using namespace std::chrono_literals;

// Answers with what it was sent: "METHOD PATH?QUERY|AUTHORIZATION|CONTENT-TYPE|BODY", with status 418 for a body "418".
class EchoServer {
 public:
  explicit EchoServer(size_t answer_bytes = 0) {
    HttpRouter router;
    for (const char* method : {"GET", "POST", "PUT"})
      router.Add({.method = method, .pattern = "/{rest*}", .handler = [answer_bytes](HttpRequest request, HttpResponder responder) {
                    const std::string text = request.method + " " + request.path + "?" + request.query + "|" +
                                             std::string(request.Field("authorization")) + "|" +
                                             std::string(request.Field("content-type")) + "|" + request.body;
                    responder.Send(
                        {.status = request.body == "418" ? 418 : 200, .body = answer_bytes > 0 ? std::string(answer_bytes, 'x') : text});
                  }});
    server_.emplace(HttpServerOptions{.port = 0}, std::move(router));
  }
  std::string url() const { return server_->url(); }
  std::string port() const { return std::to_string(server_->port()); }

 private:
  std::optional<HttpServer> server_;
};

TEST(ParseUrl, TakesHostPortPathAndUser) {
  const HttpUrl plain = ParseUrl("http://localhost", "x");
  EXPECT_FALSE(plain.is_tls);
  EXPECT_EQ(plain.host, "localhost");
  EXPECT_EQ(plain.port, "80");
  EXPECT_EQ(plain.path, "");
  EXPECT_EQ(ParseUrl("https://example.org/", "x").port, "443");
  EXPECT_EQ(ParseUrl("https://example.org", "x", "4318").port, "4318");
  const HttpUrl whole = ParseUrl("https://ann%40home:p%3Aw@[::1]:8443/a/b//", "x");
  EXPECT_TRUE(whole.is_tls);
  EXPECT_EQ(whole.host, "::1");
  EXPECT_EQ(whole.port, "8443");
  EXPECT_EQ(whole.authority, "[::1]:8443");
  EXPECT_EQ(whole.path, "/a/b");
  EXPECT_EQ(whole.user, "ann@home");
  EXPECT_EQ(whole.password, "p:w");
  EXPECT_EQ(ParseUrl("http://ann@h", "x").password, "");
}

TEST(ParseUrl, RefusesWhatIsNoneAndNeverShowsUserOrPassword) {
  for (const std::string url : {"", "localhost", "ftp://h", "http://", "http:///a", "http://h:70000x", "http://h/a?b=c", "http://h#f",
                                "http://h/%zz", "http://a b"})
    EXPECT_THROW(ParseUrl(url, "x"), Error) << url;
  ExpectError(ErrorCode::kInvalidArgument, "--track: expected an http:// or https:// URL, found 'ftp://host/path'",
              [] { ParseUrl("ftp://ann:secret@host/path?token=secret", "--track"); });
  for (const char sign : {'/', '?', '#'}) {  // they end the part of a URL that a password stands in
    const std::string url = std::string("http://ann:my") + sign + "secret@host";
    const Error error =
        ExpectError(ErrorCode::kInvalidArgument, "--track: expected an http:// or https:// URL", [&] { ParseUrl(url, "--track"); });
    EXPECT_EQ(error.hint(), "in a user and a password '/' is written %2F, '?' %3F, '#' %23 and '@' %40");
  }
  EXPECT_EQ(ShownUrl("https://ann:secret@host:1/p?q=secret"), "https://host:1/p");
  EXPECT_EQ(ShownUrl("http://a:p@ss@host"), "http://host");
}

TEST(HttpClient, SendsMethodPathFieldsAndBody) {
  const EchoServer server;
  const HttpClient client(ParseUrl(server.url() + "/base/", "x"), {.fields = {{"authorization", "Bearer t"}}});
  HttpAnswer answer = client.Send("POST", "/a?b=c", "hello", "text/plain");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "POST /base/a?b=c|Bearer t|text/plain|hello");
  EXPECT_EQ(client.Send("GET", "").body, "GET /base?|Bearer t||");
  EXPECT_EQ(client.Send("PUT", "/x", "418", "text/plain").status, 418);
  const HttpClient with_user(ParseUrl("http://ann:pass@127.0.0.1:" + server.port(), "x"));
  EXPECT_EQ(with_user.Send("GET", "/x").body, "GET /x?|" + BasicAuthorization("ann", "pass") + "||");
  EXPECT_EQ(BasicAuthorization("Aladdin", "open sesame"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");  // RFC 7617, section 2
}

TEST(HttpClient, SaysWhoDidNotAnswer) {
  std::string closed;
  {
    const EchoServer gone;
    closed = gone.url();
  }
  const HttpUrl url = ParseUrl(closed, "x");
  ExpectError(ErrorCode::kIo, url.authority + ": Connection refused", [&] { HttpClient(url).Send("GET", "/"); });
  const EchoServer large(5000);
  EXPECT_EQ(HttpClient(ParseUrl(large.url(), "x"), {.max_answer_bytes = 5000}).Send("GET", "/x").body.size(), 5000u);
  EXPECT_THROW(HttpClient(ParseUrl(large.url(), "x"), {.max_answer_bytes = 4999}).Send("GET", "/x"), Error);
  HttpUrl tls = ParseUrl(large.url(), "x");
  tls.is_tls = true;  // what answers speaks no TLS
  EXPECT_THROW(HttpClient(tls).Send("GET", "/"), Error);
}

TEST(HttpClient, WaitsNoLongerThanItsTimeout) {
  const int listening = socket(AF_INET, SOCK_STREAM, 0);  // accepts, and never answers
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(bind(listening, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(listening, 1), 0);
  getsockname(listening, reinterpret_cast<sockaddr*>(&address), &size);
  const std::string authority = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  ExpectError(ErrorCode::kIo, authority + ": no answer within 50 ms",
              [&] { HttpClient(ParseUrl("http://" + authority, "x"), {.timeout = 50ms}).Send("GET", "/"); });
  close(listening);
}

TEST(HttpClient, WaitsNoLongerThanItsTimeoutForANameAndAsksOnce) {
  SilentNames& names = SilentNames::Get();
  const HttpClient client(ParseUrl("http://silent.test:1", "x"), {.timeout = 50ms});
  for (int i = 0; i < 3; ++i) ExpectError(ErrorCode::kIo, "silent.test:1: no answer within 50 ms", [&] { client.Send("GET", "/"); });
  {
    std::unique_lock lock(names.mutex);
    EXPECT_EQ(names.num_asked, 1u) << "a look-up that hangs is not joined by others";
    names.answers = true;
    names.changed.notify_all();
    names.changed.wait(lock, [&] { return names.num_answered == 1; });
  }
  const HttpClient patient(ParseUrl("http://silent.test:1", "x"), {.timeout = 60s});
  ExpectError(ErrorCode::kIo, "silent.test:1: Host not found (authoritative)", [&] { patient.Send("GET", "/"); });
  EXPECT_EQ(names.num_asked, 2u);
}

TEST(HttpClient, FindsAServerByItsName) {
  const EchoServer server;
  EXPECT_EQ(HttpClient(ParseUrl("http://localhost:" + server.port(), "x")).Send("GET", "/x").status, 200);
}

TEST(PercentEncoded, LeavesLettersAndDigits) { EXPECT_EQ(PercentEncoded("aZ9-._~/ é"), "aZ9-._~%2F%20%C3%A9"); }

TEST(Outbox, DoesAllInOrder) {
  std::vector<int> done;
  Outbox outbox({.what = "x"});
  for (int i = 0; i < 100; ++i) outbox.Post([&done, i] { done.push_back(i); });
  outbox.Finish(60s);
  ASSERT_EQ(done.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(done[static_cast<size_t>(i)], i);
  outbox.Post([&] { done.clear(); });
  EXPECT_EQ(done.size(), 100u);
  EXPECT_EQ(outbox.num_lost(), 1u);
}

TEST(Outbox, TriesAgainWhatMayPassAndWarnsOnceOfTheRest) {
  std::vector<std::string> warnings;
  size_t num_tries = 0, num_done = 0;
  Outbox outbox(
      {.what = "tracking", .on_warning = [&](const std::string& warning) { warnings.push_back(warning); }, .num_tries = 3, .pause = 0ms});
  outbox.Post([&] {
    if (++num_tries < 3) throw Error(ErrorCode::kIo, "nobody there");
    ++num_done;
  });
  outbox.Post([&] { throw Error(ErrorCode::kInvalidInput, "refused"); });
  outbox.Post([&] { throw std::runtime_error("other"); });
  outbox.Post([&] { ++num_done; });
  outbox.Finish(60s);
  EXPECT_EQ(num_tries, 3u);
  EXPECT_EQ(num_done, 2u);
  EXPECT_EQ(warnings, std::vector<std::string>{"tracking: refused"});
  EXPECT_EQ(outbox.num_lost(), 2u);
}

TEST(Outbox, GivesUpWhereNothingIsTaken) {
  std::atomic<size_t> num_tries = 0;
  Outbox outbox({.what = "x", .num_tries = 2, .pause = 0ms, .max_failures = 3});
  for (int i = 0; i < 10; ++i)
    outbox.Post([&] {
      ++num_tries;
      throw Error(ErrorCode::kIo, "nobody there");
    });
  outbox.Finish(60s);
  EXPECT_EQ(num_tries, 6u);
  EXPECT_EQ(outbox.num_lost(), 10u);
}

TEST(Outbox, HoldsNoMoreThanItMayAndDropsWhatWaitsAtTheEnd) {
  std::mutex held;
  held.lock();
  std::atomic<size_t> num_done = 0;
  std::vector<std::string> warnings;
  Outbox outbox({.what = "x", .on_warning = [&](const std::string& warning) { warnings.push_back(warning); }, .max_waiting = 2});
  std::atomic<bool> begun = false;
  outbox.Post([&] {
    begun = true;
    const std::lock_guard lock(held);
    ++num_done;
  });
  while (!begun) std::this_thread::yield();
  for (int i = 0; i < 5; ++i) outbox.Post([&] { ++num_done; });
  EXPECT_EQ(outbox.num_lost(), 3u);
  std::thread finish([&] { outbox.Finish(0ms); });
  held.unlock();
  finish.join();
  EXPECT_EQ(num_done + outbox.num_lost(), 6u);
  EXPECT_EQ(warnings, std::vector<std::string>{"x: not all could be sent in time"});
}

TEST(Outbox, EndsWithoutAnotherTryAndSaysSo) {
  std::vector<std::string> warnings;
  std::atomic<size_t> num_tries = 0;
  Outbox outbox({.what = "x", .on_warning = [&](const std::string& warning) { warnings.push_back(warning); }, .pause = 1h});
  outbox.Post([&] {
    ++num_tries;
    throw Error(ErrorCode::kIo, "nobody there");
  });
  while (num_tries == 0) std::this_thread::yield();
  outbox.Finish(0ms);
  EXPECT_EQ(num_tries, 1u);
  EXPECT_EQ(outbox.num_lost(), 1u);
  EXPECT_EQ(warnings, std::vector<std::string>{"x: not all could be sent in time"});
}

}  // namespace
}  // namespace mlac
