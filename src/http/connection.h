#pragma once
// One client's connection, for the .cc files of this folder: it includes Asio.
#include <array>
#include <atomic>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <condition_variable>
#include <exception>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "http/framing_guard.h"
#include "http/server.h"

namespace mlac {

class Connection;

// What all connections of a server share. Constant while they live, but for the atomics.
struct ServerShared {
  HttpServerOptions options;
  HttpRouter router;
  bool checks_host = false;  // without a key and bound to loopback
  std::string public_host;
  std::string id_prefix;  // random, so that ids of two servers differ
  std::atomic<uint64_t> next_id = 0;
  std::atomic<bool> draining = false;
  std::atomic<size_t> num_connections = 0, num_unanswered = 0;
  std::mutex mutex;                       // with changed: for who waits for num_connections to fall
  std::condition_variable changed;

  std::string MakeId();
  HttpResponse FormatError(const HttpError& error, std::string_view path) const;
};

// Counts one connection from its accept to its end.
class ConnectionSlot {
 public:
  explicit ConnectionSlot(ServerShared& shared);
  ConnectionSlot(ConnectionSlot&& other) noexcept : shared_(std::exchange(other.shared_, nullptr)) {}
  ~ConnectionSlot() { Release(); }
  void Release();

 private:
  ServerShared* shared_;
};

// A thread of the server with the connections that it serves; they are touched by this thread alone. The context goes first, and
// connections with it.
struct IoThread {
  std::list<Connection*> connections;
  boost::asio::io_context context{1};
};

// Where a responder and a connection, which either may outlive, meet.
class HttpExchange {
 public:
  HttpExchange(std::shared_ptr<Connection> connection, std::string path) : connection_(std::move(connection)), path_(std::move(path)) {}

  void Send(HttpResponse response);
  void SendError(const std::exception_ptr& error);
  void OnCancel(std::function<void()> callback);
  void Cancel();  // by the connection: the client has gone
  bool cancelled() const { return cancelled_.load(std::memory_order_relaxed); }

 private:
  std::mutex mutex_;  // guards connection_ and on_cancel_
  std::shared_ptr<Connection> connection_;  // null when answered or cancelled
  std::function<void()> on_cancel_;
  std::atomic<bool> cancelled_ = false;
  const std::string path_;
};

// Reads a request, has it answered, reads the next one: pipelined requests are answered in order, one at a time.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  using Socket = boost::asio::basic_stream_socket<boost::asio::ip::tcp, boost::asio::io_context::executor_type>;
  using Clock = std::chrono::steady_clock;

  Connection(ServerShared& shared, IoThread& thread, ConnectionSlot slot, Socket socket);
  ~Connection();
  Connection(const Connection&) = delete;

  void Start();
  // At shutdown: closes when quiet for long enough, and after the answer that is due.
  void Drain();
  void Close();
  // Closes if it has waited for a request since before `since`; returns whether it did.
  bool CloseIfIdleSince(Clock::time_point since);

  void OnAnswer(HttpResponse response);
  template <typename Function>
  void Guarded(Function&& function);
  IoThread& thread() { return thread_; }
  const ServerShared& shared() const { return shared_; }

 private:
  enum class Phase { kIdle, kHead, kBody, kHandling, kWriting, kLingering, kClosed };

  void Read();
  void OnRead(const boost::system::error_code& error, size_t num_bytes);
  void OnPeerDone();
  void WatchForReset();
  void Advance();
  void BeginRequest();
  void CheckRequest(std::string_view target_text);
  void CheckKey() const;
  const std::string* AllowedOrigin() const;
  void FinishRequest();
  void RefuseAndClose(const HttpError& error);
  void Write(HttpResponse response);
  void OnWritten(const boost::system::error_code& error);
  void LogAccess();
  void Linger();
  void AddCorsFields(HttpResponse& response) const;

  void SetDeadline(std::chrono::milliseconds from_now);
  void ClearDeadline() { deadline_ = Clock::time_point::max(); }
  void WaitForDeadline();
  void OnDeadline();

  ServerShared& shared_;
  IoThread& thread_;
  ConnectionSlot slot_;
  std::list<Connection*>::iterator place_;
  Socket socket_;
  boost::asio::basic_waitable_timer<Clock, boost::asio::wait_traits<Clock>, boost::asio::io_context::executor_type> timer_;
  bool timer_waits_ = false;
  Clock::time_point deadline_ = Clock::time_point::max(), last_activity_;

  Phase phase_ = Phase::kIdle;
  bool reading_ = false, watches_ = false, peer_done_ = false, keep_alive_ = true, head_is_timed_ = false;
  FramingGuard guard_;
  // 8 KiB: most requests come in one read, and an idle connection stays small.
  std::array<char, 8192> buffer_;
  size_t begin_ = 0, end_ = 0;  // of what is in the buffer and not taken yet

  // The request under way.
  HttpRequest request_;
  const HttpRoute* route_ = nullptr;
  std::optional<HttpError> refusal_;          // decided by the head; sent when the body has been read over
  std::optional<HttpResponse> early_answer_;  // likewise: to OPTIONS
  const std::string* origin_ = nullptr;  // what CORS lets read the answer
  bool is_head_request_ = false;
  HttpAccess access_;
  Clock::time_point request_start_;
  bool counted_unanswered_ = false;
  std::shared_ptr<HttpExchange> exchange_;
  size_t num_lingered_ = 0;
};

}  // namespace mlac
