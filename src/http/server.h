#pragma once
// An HTTP/1.1 server: connections, time limits, keys, the framing guard and Beast's parser behind it. It knows nothing of models.
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "http/api_keys.h"
#include "http/framing_guard.h"
#include "http/message.h"
#include "http/router.h"

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
};

struct HttpServerOptions {
  std::string host = "127.0.0.1";  // a name or an address
  int port = 8080;                 // 0: any free one
  int num_io_threads = 1;
  HttpLimits limits = {};
  std::chrono::milliseconds head_timeout{10'000};   // from the first byte of a head (the first from the accept on) to its end
  std::chrono::milliseconds body_timeout{60'000};   // for the whole body
  std::chrono::milliseconds write_timeout{60'000};  // for the client to take the whole answer
  std::chrono::milliseconds idle_timeout{75'000};   // between requests
  std::chrono::milliseconds linger_timeout{2'000};  // after the last answer, for the client to read it and close
  // At shutdown, how long a connection has to have been quiet to be closed: a request may be on its way.
  std::chrono::milliseconds drain_idle{1'000};
  size_t max_connections = 16'384;  // more wait in the system's queue; connections that idle give way

  ApiKeys api_keys = {};
  std::string public_url = "";                       // "https://models.example.org": its host is ours too
  std::vector<std::string> cors_allow_origins = {};  // "https://app.example.org", or "*"; empty: no CORS

  // The body of an error in the form of the protocol that path belongs to ("" if the target was not read). Must not throw.
  std::function<HttpResponse(const HttpError& error, std::string_view path)> format_error = {};
  // Called from the server's threads after each request.
  std::function<void(const HttpAccess& access)> on_access = {};
};

class HttpServer {
 public:
  // Listens, and answers from its own threads until Shutdown. Throws kIo if it cannot listen, kInvalidArgument for options that
  // cannot be.
  HttpServer(HttpServerOptions options, HttpRouter router);
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;
  ~HttpServer();  // closes everything at once

  int port() const;
  std::string url() const;  // "http://127.0.0.1:8080"
  size_t num_connections() const;

  // Accepts no more, answers what it holds, and returns when all is closed or after grace, when the rest is closed unanswered.
  // Returns whether everything was answered. Safe to call once, from any thread but the server's own.
  bool Shutdown(std::chrono::milliseconds grace);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mlac
