#pragma once
// One client's connection, for the .cc files of this folder: it includes Asio.
#include <array>
#include <atomic>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <condition_variable>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "http/exchange.h"
#include "http/framing_guard.h"
#include "http/server_shared.h"

namespace mlac {

class HttpStream;

// A thread of the server with the connections that it serves; they are touched by this thread alone. The context goes first, and
// connections with it.
struct IoThread {
  std::list<Connection*> connections;
  size_t num_unsent_bytes = 0;  // of answers that are being written
  size_t num_overloaded = 0;    // answers of status 429 so far

  // Waits, but not beyond the next answer that another thread has for one of its connections.
  void Pause(std::chrono::milliseconds time) {
    std::unique_lock lock(mutex);
    posted.wait_for(lock, time, [this] { return std::exchange(has_answer, false); });
  }
  void EndPause() {
    const std::lock_guard lock(mutex);
    has_answer = true;
    posted.notify_one();
  }
  std::mutex mutex;
  std::condition_variable posted;
  bool has_answer = false;  // since the last pause

  boost::asio::io_context context{1};
};

// Reads a request, has it answered, reads the next one: pipelined requests are answered in order, one at a time.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  using Clock = std::chrono::steady_clock;

  Connection(ServerShared& shared, IoThread& thread, ConnectionSlot slot, std::unique_ptr<HttpStream> stream);
  ~Connection();
  Connection(const Connection&) = delete;

  void Start();
  // At shutdown: closes when quiet for long enough, and after the answer that is due.
  void Drain();
  void Close();
  // Closes if it has waited for a request since before `since`; returns whether it did.
  bool CloseIfIdleSince(Clock::time_point since);

  void OnAnswer(HttpResponse response);  // on this connection's thread
  IoThread& thread() { return thread_; }
  const ServerShared& shared() const { return shared_; }

 private:
  enum class Phase { kHandshake, kIdle, kHead, kBody, kHandling, kWriting, kLingering, kClosed };

  template <typename Function>
  void Guarded(Function&& function);
  void OnHandshake(const boost::system::error_code& error);
  void OnTlsFailure(TlsFailure failure);
  void Read();
  void OnRead(const boost::system::error_code& error, size_t num_bytes);
  void OnPeerDone();
  void WatchForReset();
  void Advance();
  void BeginRequest();
  void FinishRequest();
  void RefuseAndClose(const HttpError& error);
  void RefuseBody();
  void Write(HttpResponse response);
  void NoteFields(const HttpResponse& response);
  void HoldUnsent(size_t num_bytes);
  void ReleaseUnsent();
  void CloseSlowReaders(size_t num_bytes);
  void OnWritten(const boost::system::error_code& error);
  void LogAccess();
  void Linger();
  void AddCorsFields(HttpResponse& response) const;

  void SetDeadline(std::chrono::milliseconds from_now);
  // What a client may take to send its request: the timeout, at shutdown drain_timeout at most.
  std::chrono::milliseconds ToSend(std::chrono::milliseconds timeout) const;
  void ClearDeadline() { deadline_ = Clock::time_point::max(); }
  void WaitForDeadline();
  void OnDeadline();

  ServerShared& shared_;
  IoThread& thread_;
  ConnectionSlot slot_;
  std::list<Connection*>::iterator place_;
  const std::unique_ptr<HttpStream> stream_;
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
  bool has_access_ = false, counted_unanswered_ = false;  // access_ is of a request that is not logged yet; that request is whole
  std::shared_ptr<HttpExchange> exchange_;
  size_t num_unsent_bytes_ = 0;  // while it is written
  Clock::time_point write_start_;
  size_t num_lingered_ = 0;
};

}  // namespace mlac
