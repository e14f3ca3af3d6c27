#pragma once
// What the connections of a server share.
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "http/router.h"
#include "http/server.h"
#include "http/tls.h"

namespace mlac {

// What all connections of a server share. Constant while they live, but for the atomics.
struct ServerShared {
  HttpServerOptions options;
  HttpRouter router;
  bool is_local = false;     // nobody but this machine reaches it: loopback, or a socket of the file system
  bool checks_host = false;  // without a key and bound to loopback
  std::string public_host;
  std::string id_prefix;  // random, so that ids of two servers differ
  std::atomic<uint64_t> next_id = 0;
  std::atomic<bool> draining = false;
  std::atomic<size_t> num_connections = 0, num_unanswered = 0;  // num_unanswered: whole requests
  mutable std::mutex mutex;  // guards tls and keys; with changed: for who waits for num_connections to fall
  std::condition_variable changed;

  std::shared_ptr<const TlsContext> tls;  // null: bytes in the clear. Of connections to come: each keeps the one it began with

  std::shared_ptr<const ApiKeys> keys;  // never null; empty: everything is open. Of requests to come

  std::shared_ptr<const TlsContext> CurrentTls() const;
  std::shared_ptr<const ApiKeys> CurrentKeys() const;
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

// The error that an exception is to a client: HttpError as it is, mlac::Error by its code, 503 for lack of memory, 500 for any other.
HttpError ToHttpError(const std::exception_ptr& exception);

}  // namespace mlac
