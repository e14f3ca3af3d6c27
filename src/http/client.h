#pragma once
// A client for small requests to services of the user's (a collector, a tracking server): one connection a request, with a limit of time.
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "http/message.h"

namespace mlac {

// Where to ask.
struct HttpUrl {
  bool is_tls = false;
  std::string host, port;      // an IPv6 address without brackets
  std::string authority;       // as the Host field has it
  std::string path;            // without a slash at its end: "" for "/"
  std::string user, password;  // of "http://USER:PASSWORD@HOST", decoded; never part of a message
};

// An http:// or https:// URL, without query. default_port: "" for that of the scheme. Throws kInvalidArgument, with what the URL is for and
// without the user and the password: "--track: expected an http:// or https:// URL, found 'ftp://host'".
HttpUrl ParseUrl(std::string_view url, std::string_view what, std::string_view default_port = "");
// What of it may be shown: no user, no password, no query.
std::string ShownUrl(std::string_view url);

struct HttpClientOptions {
  std::chrono::milliseconds timeout{5000};  // from looking up the host's name to the last byte
  std::vector<HttpField> fields = {};       // of each request: {"authorization", "Bearer ..."}
  size_t max_answer_bytes = size_t{1} << 20;
};

struct HttpAnswer {
  int status = 0;
  std::string body;
};

// Safe to use from several threads.
class HttpClient {
 public:
  // A user and password of the URL are sent as Basic authorization, unless the fields have another.
  explicit HttpClient(HttpUrl url, HttpClientOptions options = {});

  // target: behind the URL's path, "/api?x=1". body is sent where content_type is not "". Any status is an answer; none within the timeout,
  // or no connection, is Error kIo: "127.0.0.1:5000: Connection refused". Redirects are not followed.
  HttpAnswer Send(std::string_view method, std::string_view target, std::string body = "", std::string_view content_type = "") const;

  const HttpUrl& url() const { return url_; }

 private:
  class Lookup;

  const HttpUrl url_;
  HttpClientOptions options_;
  std::shared_ptr<Lookup> lookup_;
};

// "Basic dXNlcjpwYXNz".
std::string BasicAuthorization(std::string_view user, std::string_view password);
// A part of a path or a value of a query: what is not a letter, a digit or one of "-._~" becomes %XX.
std::string PercentEncoded(std::string_view text);

}  // namespace mlac
