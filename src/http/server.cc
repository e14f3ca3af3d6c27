#include "http/server.h"

#include <fmt/format.h>
#include <openssl/rand.h>

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <condition_variable>
#include <new>
#include <optional>
#include <thread>

#include "http/connection.h"
#include "http/listener.h"
#include "http/stream.h"
#include "http/target.h"

namespace mlac {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

// How long accepting rests when there is no room for another connection.
constexpr std::chrono::milliseconds kAcceptPause{100};
// What a thread does before it thinks of its log and of overload, so that it comes to them though there is always more.
constexpr size_t kMostAtOnce = 64;
// Before a thread that found no memory goes on.
constexpr std::chrono::milliseconds kMemoryPause{5};
// Where there is no room, connections that have waited this long for a request give way.
constexpr std::chrono::seconds kMinIdle{1};

// Does what has to be done some time: where there is no memory for it, others end and give theirs back.
template <typename Function>
void Insist(const Function& function) {
  for (;;) {
    try {
      return function();
    } catch (const std::bad_alloc&) {
      std::this_thread::sleep_for(kMemoryPause);
    }
  }
}

// Under overload a thread of the server pauses between two looks at what has come, unless there is an answer to send. Requests that are refused together
// cost less than one by one, of the core that others compute on: one switch of threads, one write of the log, and the second finds in the caches what the
// first has brought there.
class OverloadPauses {
 public:
  explicit OverloadPauses(IoThread& thread) : thread_(thread) {}

  void PauseIfOverloaded() {
    if (thread_.num_overloaded == num_seen_) return;
    if (const auto now = Connection::Clock::now(); now - window_start_ >= kWindow) {
      const bool one_window = now - window_start_ < 2 * kWindow;
      overloaded_ = one_window && thread_.num_overloaded - num_before_ >= kManyRefusals;
      window_start_ = now;
      num_before_ = thread_.num_overloaded;
    }
    if (overloaded_) thread_.Pause(kPause);
    num_seen_ = thread_.num_overloaded;
  }

 private:
  // 1,000 a second: below that their cost is small, and an answer that is done should not wait.
  static constexpr std::chrono::milliseconds kWindow{20};
  static constexpr size_t kManyRefusals = 20;
  static constexpr std::chrono::milliseconds kPause{2};

  IoThread& thread_;
  bool overloaded_ = false;
  Connection::Clock::time_point window_start_ = {};
  size_t num_before_ = 0, num_seen_ = 0;  // of thread_.num_overloaded: when the window began, at the last look
};

std::string HostOfUrl(const std::string& url) {
  if (url.empty()) return "";
  const std::optional<HttpTarget> target = ParseTarget("GET", url);
  if (!target || target->authority.empty())
    throw Error(ErrorCode::kInvalidArgument, fmt::format("public URL '{}' is no URL", url),
                "as in --public-url https://models.example.org");
  return std::string(HostOf(target->authority));
}

// "https://app.example.org", as the Origin field writes it, or "*".
void CheckOrigin(const std::string& origin) {
  if (origin == "*") return;
  const std::optional<HttpTarget> target = ParseTarget("GET", origin);
  if (!target || target->authority.empty() || !origin.ends_with(target->authority))
    throw Error(ErrorCode::kInvalidArgument, fmt::format("CORS origin '{}' is neither an origin nor '*'", origin),
                "as in --cors-allow-origin https://app.example.org");
}

std::string RandomHex() {
  unsigned char bytes[8];
  if (RAND_bytes(bytes, sizeof bytes) != 1) throw Error(ErrorCode::kInternal, "no random bytes");
  std::string hex;
  for (const unsigned char byte : bytes) hex += fmt::format("{:02x}", byte);
  return hex;
}

}  // namespace

std::string_view Name(TlsFailure failure) {
  constexpr std::string_view kNames[] = {"plain_http", "certificate_refused", "other"};
  return kNames[static_cast<size_t>(failure)];
}

struct HttpServer::Impl {
  ServerShared shared;
  std::vector<std::unique_ptr<IoThread>> io;
  std::vector<asio::executor_work_guard<asio::io_context::executor_type>> work;
  std::vector<Listener> listeners;  // on the first of io
  size_t next_thread = 0;
  bool stopped = false;  // on the first of io
  std::string url;
  std::vector<std::thread> threads;

  void Listen();
  void AcceptAll();
  void Accept(Listener& listener);
  void Rest(Listener& listener);
  void RunThread(IoThread& thread);
  void Start(IoThread& thread, HttpStream::Socket socket);
  bool HasRoom() const { return shared.num_connections.load() < shared.options.max_connections; }
  void MakeRoom();
  void StopAccepting();
  void Stop();
  template <typename Function>
  void OnEachConnection(Function function);
};

void HttpServer::Impl::Listen() {
  const HttpServerOptions& options = shared.options;
  asio::io_context& context = io[0]->context;
  if (!options.descriptors.empty()) {
    for (const int descriptor : options.descriptors) listeners.push_back(Listener::OnDescriptor(context, descriptor));
  } else if (!options.unix_socket.empty()) {
    listeners.push_back(Listener::OnPath(context, options.unix_socket));
  } else {
    listeners.push_back(Listener::OnPort(context, options.host, options.port));
  }
  const Listener& first = listeners.front();
  url = fmt::format("{}{}", first.port() == 0 ? "unix:" : shared.tls ? "https://" : "http://", first.address());
  // Who can reach a Unix socket is decided by its file; a browser cannot.
  const auto is_local = [](const Listener& listener) { return listener.is_loopback() || listener.port() == 0; };
  shared.is_local = std::all_of(listeners.begin(), listeners.end(), is_local);
  shared.checks_host = options.api_keys.empty() && first.is_loopback() && shared.is_local;
}

// Those that nobody accepts at: all of them at first, and one where there was no memory to wait for the next client.
void HttpServer::Impl::AcceptAll() {
  for (Listener& listener : listeners)
    if (!listener.waits && listener.acceptor().is_open()) Accept(listener);
}

void HttpServer::Impl::Accept(Listener& listener) {
  IoThread& thread = *io[next_thread];
  next_thread = (next_thread + 1) % io.size();
  listener.acceptor().async_accept(thread.context, [this, &thread, &listener](const error_code& error, HttpStream::Socket socket) {
    listener.waits = false;
    if (!error && !stopped) Start(thread, std::move(socket));
    if (!listener.acceptor().is_open()) return;
    // An accept that fails has no descriptor or memory left; trying again at once would spin.
    if (!error && HasRoom()) return Accept(listener);
    MakeRoom();
    Rest(listener);
  });
  listener.waits = true;
}

void HttpServer::Impl::Rest(Listener& listener) {
  const auto pause = std::make_shared<asio::steady_timer>(io[0]->context, kAcceptPause);
  pause->async_wait([this, &listener, pause](const error_code&) {
    listener.waits = false;
    if (!listener.acceptor().is_open()) return;
    if (HasRoom()) return Accept(listener);
    MakeRoom();
    Rest(listener);
  });
  listener.waits = true;
}

// Runs a thread of the server. What finds no memory ends its connection; at the first of io it may have been the wait for the next client.
void HttpServer::Impl::RunThread(IoThread& thread) {
  OverloadPauses pauses(thread);
  const auto tell_quiet = [this] {
    if (shared.options.on_quiet) shared.options.on_quiet();
  };
  for (;;) {
    try {
      if (&thread == io[0].get()) AcceptAll();
      while (thread.context.run_one() > 0) {
        for (size_t i = 0; i < kMostAtOnce && thread.context.poll_one() > 0; ++i) continue;
        tell_quiet();
        pauses.PauseIfOverloaded();
      }
      return;
    } catch (const std::exception&) {
      tell_quiet();
      std::this_thread::sleep_for(kMemoryPause);
    }
  }
}

void HttpServer::Impl::Start(IoThread& thread, HttpStream::Socket socket) {
  asio::post(thread.context, [this, &thread, slot = ConnectionSlot(shared), socket = std::move(socket)]() mutable {
    auto stream = std::make_unique<HttpStream>(std::move(socket), shared.CurrentTls());
    std::make_shared<Connection>(shared, thread, std::move(slot), std::move(stream))->Start();
  });
}

// function may close the connection that it is given, and no other.
template <typename Function>
void HttpServer::Impl::OnEachConnection(Function function) {
  for (const std::unique_ptr<IoThread>& thread : io)
    asio::post(thread->context, [&thread = *thread, function] {
      for (auto place = thread.connections.begin(); place != thread.connections.end();) {
        Connection& connection = **place++;  // closing takes it from the list
        if (const auto held = connection.weak_from_this().lock()) function(connection);
      }
    });
}

void HttpServer::Impl::MakeRoom() {
  const auto since = Connection::Clock::now() - kMinIdle;
  OnEachConnection([since](Connection& connection) { connection.CloseIfIdleSince(since); });
}

// Takes what the system has accepted for us already, then closes the door.
void HttpServer::Impl::StopAccepting() {
  error_code error;
  for (Listener& listener : listeners) {
    while (listener.acceptor().is_open()) {
      IoThread& thread = *io[0];
      HttpStream::Socket socket(thread.context);
      listener.acceptor().accept(socket, error);
      if (error) break;
      try {
        Start(thread, std::move(socket));
      } catch (const std::bad_alloc&) {  // for that one, which is closed thereby
      }
    }
    listener.acceptor().close(error);
  }
}

void HttpServer::Impl::Stop() {
  if (threads.empty()) return;
  Insist([&] {
    asio::post(io[0]->context, [this] {  // where connections begin, so that none begins behind the closing
      stopped = true;
      error_code ignored;
      for (Listener& listener : listeners) listener.acceptor().close(ignored);
      Insist([&] { OnEachConnection([](Connection& connection) { connection.Close(); }); });
      work.clear();
    });
  });
  for (std::thread& thread : threads) thread.join();
  threads.clear();
}

HttpServer::HttpServer(HttpServerOptions options, HttpRouter router) : impl_(std::make_unique<Impl>()) {
  if (options.num_io_threads < 1) throw Error(ErrorCode::kInvalidArgument, "the server needs at least one thread");
  if (options.port < 0 || options.port > 65535)
    throw Error(ErrorCode::kInvalidArgument, fmt::format("port {} is not between 0 and 65535", options.port));
  ServerShared& shared = impl_->shared;
  shared.options = std::move(options);
  shared.router = std::move(router);
  shared.keys = std::make_shared<const ApiKeys>(shared.options.api_keys);
  for (const std::string& origin : shared.options.cors_allow_origins) CheckOrigin(origin);
  shared.public_host = HostOfUrl(shared.options.public_url);
  shared.id_prefix = RandomHex();
  for (int i = 0; i < shared.options.num_io_threads; ++i) {
    impl_->io.push_back(std::make_unique<IoThread>());
    impl_->work.push_back(asio::make_work_guard(impl_->io.back()->context));
  }
  if (shared.options.tls) shared.tls = LoadTls(*shared.options.tls);
  impl_->Listen();
  for (const std::unique_ptr<IoThread>& thread : impl_->io)
    impl_->threads.emplace_back([impl = impl_.get(), &thread = *thread] { impl->RunThread(thread); });
}

HttpServer::~HttpServer() { impl_->Stop(); }

int HttpServer::port() const { return impl_->listeners.front().port(); }
std::string HttpServer::url() const { return impl_->url; }
void HttpServer::ReloadTls() {
  ServerShared& shared = impl_->shared;
  if (!shared.options.tls) return;
  auto loaded = LoadTls(*shared.options.tls);
  const std::lock_guard lock(shared.mutex);
  shared.tls.swap(loaded);
}

void HttpServer::SetApiKeys(ApiKeys keys) {
  if (keys.empty()) throw Error(ErrorCode::kInvalidArgument, "a server does not go on without the keys that it asked for");
  auto shared_keys = std::make_shared<const ApiKeys>(std::move(keys));
  const std::lock_guard lock(impl_->shared.mutex);
  impl_->shared.keys.swap(shared_keys);
}

bool HttpServer::is_local() const { return impl_->shared.is_local; }

size_t HttpServer::num_connections() const { return impl_->shared.num_connections.load(); }

bool HttpServer::Shutdown(std::chrono::milliseconds grace) {
  const auto end = std::chrono::steady_clock::now() + grace;
  ServerShared& shared = impl_->shared;
  shared.draining = true;
  bool stopped = false;  // accepting
  Insist([&] {
    asio::post(impl_->io[0]->context, [impl = impl_.get(), &stopped] {
      impl->StopAccepting();
      Insist([&] { impl->OnEachConnection([](Connection& connection) { connection.Drain(); }); });
      const std::lock_guard lock(impl->shared.mutex);
      stopped = true;
      impl->shared.changed.notify_all();
    });
  });
  {
    std::unique_lock lock(shared.mutex);
    shared.changed.wait(lock, [&] { return stopped; });
    shared.changed.wait_until(lock, end, [&] { return shared.num_connections == 0; });
  }
  const bool all_answered = shared.num_unanswered == 0;
  impl_->Stop();
  return all_answered;
}

}  // namespace mlac
