#pragma once
// An HTTP/1.1 server: connections, time limits, keys, the framing guard and Beast's parser behind it. It knows nothing of models.
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/api_keys.h"
#include "http/framing_guard.h"
#include "http/message.h"
#include "http/router.h"
#include "http/tls.h"
#include "http/trace_context.h"

namespace mlac {

// One answered request, for the access log and the metrics. Nothing in it comes from the client but id, which is checked.
struct HttpAccess {
  std::chrono::system_clock::time_point time = {};  // when the head of the request was whole
  std::string id = "";
  std::string method = "";  // a registered one, else "-"
  std::string route = "";   // the pattern, "-" where none fits
  int status = 0;      // 499: the client went before it was answered
  size_t num_request_bytes = 0, num_response_bytes = 0;  // of the bodies
  double duration_ms = 0;                                // from then to the answer's last byte
  std::vector<HttpField> notes = {};                     // HttpResponse::notes
  std::optional<TraceContext> trace = std::nullopt;      // the traceparent that the client sent, if it is a valid one
};

// Why a connection to a server that speaks TLS did not come to its first request.
enum class TlsFailure {
  kPlainHttp,           // the client does not speak TLS; it is told so in the clear
  kCertificateRefused,  // by the client
  kOther,               // no version in common, no TLS at all, or nothing: a look at the port
};
// "plain_http", "certificate_refused", "other".
std::string_view Name(TlsFailure failure);

struct HttpServerOptions {
  std::string host = "127.0.0.1";  // a name or an address
  int port = 8080;                 // 0: any free one
  std::string unix_socket = "";    // a path to listen on instead
  std::vector<int> descriptors = {};  // sockets that listen already, to serve instead (systemd's)
  std::optional<TlsFiles> tls = std::nullopt;  // speak TLS alone
  int num_io_threads = 1;
  HttpLimits limits = {};
  std::chrono::milliseconds head_timeout{10'000};   // from the first byte of a head (the first from the accept on) to its end
  std::chrono::milliseconds body_timeout{60'000};   // for the whole body
  std::chrono::milliseconds write_timeout{60'000};  // for the client to take the whole answer
  std::chrono::milliseconds idle_timeout{75'000};   // between requests
  std::chrono::milliseconds linger_timeout{2'000};  // after the last answer, for the client to read it and close
  // At shutdown, how long a connection has to have been quiet to be closed: a request may be on its way. And how long one that has begun
  // may take to become whole (408 then, and whether all was answered does not depend on it).
  std::chrono::milliseconds drain_idle{1'000}, drain_timeout{5'000};
  size_t max_connections = 16'384;  // more wait in the system's queue; connections that idle give way
  // Of bodies of answers that clients have not taken yet, on each thread of the server: beyond that, those that have been at one for
  // longer than slow_write lose their connection, the longest first.
  size_t max_unsent_bytes = size_t{256} << 20;
  std::chrono::milliseconds slow_write{1'000};

  ApiKeys api_keys = {};                             // to begin with; SetApiKeys
  std::string public_url = "";                       // "https://models.example.org": its host is ours too
  std::vector<std::string> cors_allow_origins = {};  // "https://app.example.org", or "*"; empty: no CORS

  // The body of an error in the form of the protocol that path belongs to ("" if the target was not read). Must not throw.
  std::function<HttpResponse(const HttpError& error, std::string_view path)> format_error = {};
  // Fields of answers that HttpAccess::notes begins with, and the names that they have there: {{"x-model", "model"}}.
  std::vector<HttpField> noted_fields = {};
  // Called from the server's threads after each request.
  std::function<void(const HttpAccess& access)> on_access = {};
  // Likewise.
  std::function<void(TlsFailure failure)> on_tls_failure = {};
  // Called from each of the server's threads when it has done what there was to do, or much of it; before it waits for more and at its end. Must not throw.
  std::function<void()> on_quiet = {};
};

class HttpServer {
 public:
  // Listens, and answers from its own threads until Shutdown. Throws kIo if it cannot listen, kInvalidArgument for options that
  // cannot be.
  HttpServer(HttpServerOptions options, HttpRouter router);
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;
  ~HttpServer();  // closes everything at once

  int port() const;         // 0 without one
  std::string url() const;  // "http://127.0.0.1:8080", "https://...", "unix:/run/mlac.sock"; of several sockets the first
  // Reads the files of options.tls again, for connections to come. Throws as LoadTls, and goes on with what it has.
  void ReloadTls();
  // Asks for these from now on; at least one. Throws kInvalidArgument for none: a server that was closed does not open.
  void SetApiKeys(ApiKeys keys);
  bool is_local() const;  // whether this machine alone reaches it: loopback, or a socket of the file system
  size_t num_connections() const;

  // Accepts no more, answers what it holds, and returns when all is closed or after grace, when the rest is closed unanswered.
  // Returns whether every request that had become whole was answered. Safe to call once, from any thread but the server's own.
  bool Shutdown(std::chrono::milliseconds grace);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mlac
