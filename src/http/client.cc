#include "http/client.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <charconv>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <sstream>
#include <system_error>
#include <thread>

#include "base/display.h"
#include "base/error.h"
#include "http/target.h"
#include "version.h"

namespace mlac {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;
using Endpoints = std::vector<asio::ip::tcp::endpoint>;

Endpoints Resolve(const std::string& host, const std::string& port, asio::ip::resolver_base::flags flags, error_code& error) {
  asio::io_context context;
  asio::ip::tcp::resolver resolver(context);
  Endpoints endpoints;
  for (const auto& entry : resolver.resolve(host, port, flags, error)) endpoints.push_back(entry.endpoint());
  return endpoints;
}

// Where the user information of a URL ends: behind '@', or at the host.
size_t HostBegin(std::string_view url, size_t begin) {
  const size_t end = std::min(url.find_first_of("/?#", begin), url.size());
  const size_t at = url.substr(0, end).rfind('@');
  return at == std::string_view::npos || at < begin ? begin : at + 1;
}

std::string Decoded(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned value = 0;
    if (text[i] == '%' && i + 2 < text.size() &&
        std::from_chars(text.data() + i + 1, text.data() + i + 3, value, 16).ptr == text.data() + i + 3) {
      out += static_cast<char>(value);
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

[[noreturn]] void Fail(const HttpUrl& url, const HttpClientOptions& options, const error_code& error) {
  const std::string why = error == beast::error::timeout ? fmt::format("no answer within {} ms", options.timeout.count()) : error.message();
  throw Error(ErrorCode::kIo, fmt::format("{}: {}", Printable(url.authority, 200), why));
}

// A request and its answer over a connection of its own. Bytes are written and read here, and Beast only makes and reads the message: its own read and write
// over two kinds of stream took longer to compile than all else of this folder.
class Exchange {
 public:
  Exchange(const HttpUrl& url, const HttpClientOptions& options, const http::request<http::string_body>& request)
      : url_(url), options_(options), body_(request.body()), socket_(context_) {
    std::ostringstream head;
    head << request.base();
    head_ = std::move(head).str();
    answer_.eager(true);  // the body as well as the head
    answer_.body_limit(options.max_answer_bytes);
  }

  HttpAnswer Run(const Endpoints& found, Clock::time_point deadline) {
    error_ = beast::error::timeout;  // unless something else happens until then
    asio::async_connect(socket_, found, [this](const error_code& error, const auto&) { Then(error, [this] { Shake(); }); });
    context_.run_until(deadline);
    if (error_) Fail(url_, options_, error_);
    return {static_cast<int>(answer_.get().result_int()), std::move(answer_.get().body())};
  }

 private:
  using Tls = asio::ssl::stream<asio::ip::tcp::socket&>;

  void Then(const error_code& error, const std::function<void()>& next) {
    if (error) {
      error_ = error;
    } else {
      next();
    }
  }

  void Shake() {
    if (!url_.is_tls) return Write();
    tls_context_.emplace(asio::ssl::context::tls_client);
    tls_context_->set_default_verify_paths();
    tls_.emplace(socket_, *tls_context_);
    tls_->set_verify_mode(asio::ssl::verify_peer);
    tls_->set_verify_callback(asio::ssl::host_name_verification(url_.host));
    error_code no_address;  // only names are sent: RFC 6066, section 3
    asio::ip::make_address(url_.host, no_address);
    if (no_address) SSL_set_tlsext_host_name(tls_->native_handle(), url_.host.c_str());
    tls_->async_handshake(asio::ssl::stream_base::client, [this](const error_code& error) { Then(error, [this] { Write(); }); });
  }

  void Write() {
    const std::array<asio::const_buffer, 2> message = {asio::buffer(head_), asio::buffer(body_)};
    const auto written = [this](const error_code& error, size_t) { Then(error, [this] { Read(); }); };
    if (tls_) {
      asio::async_write(*tls_, message, written);
    } else {
      asio::async_write(socket_, message, written);
    }
  }

  void Read() {
    const auto space = buffer_.prepare(size_t{16} << 10);
    const auto was_read = [this](const error_code& error, size_t num_bytes) { Parse(error, num_bytes); };
    if (tls_) {
      tls_->async_read_some(space, was_read);
    } else {
      socket_.async_read_some(space, was_read);
    }
  }

  void Parse(const error_code& not_read, size_t num_bytes) {
    buffer_.commit(num_bytes);
    error_code error;
    if (not_read == asio::error::eof && answer_.got_some()) {
      answer_.put_eof(error);  // the end of an answer that says no length, or of half an answer
    } else if (not_read == asio::error::eof) {
      error = http::error::end_of_stream;
    } else if (not_read) {
      error = not_read;
    } else {
      buffer_.consume(answer_.put(buffer_.data(), error));
      if (error == http::error::need_more) error = {};
    }
    if (error || answer_.is_done()) {
      error_ = error;
    } else {
      Read();
    }
  }

  const HttpUrl& url_;
  const HttpClientOptions& options_;
  std::string head_;
  const std::string& body_;
  asio::io_context context_;
  asio::ip::tcp::socket socket_;
  std::optional<asio::ssl::context> tls_context_;
  std::optional<Tls> tls_;
  beast::flat_buffer buffer_;
  http::response_parser<http::string_body> answer_;
  error_code error_;
};

}  // namespace

// The addresses of a name. The system's resolver has a limit of time of its own, half a minute where no server of names answers, and cannot
// be ended; so it runs in a thread that nobody waits for longer than his own limit. One at a time: who comes meanwhile waits for it, too.
class HttpClient::Lookup : public std::enable_shared_from_this<Lookup> {
 public:
  Endpoints Find(const HttpUrl& url, Clock::time_point deadline, error_code& error) {
    Endpoints written = Resolve(url.host, url.port, asio::ip::resolver_base::numeric_host, error);
    if (!error) return written;
    std::unique_lock lock(mutex_);
    if (!running_) {
      try {
        std::thread([self = shared_from_this(), host = url.host, port = url.port] { self->Run(host, port); }).detach();
      } catch (const std::system_error&) {  // the system gives no thread
        error = asio::error::no_memory;
        return {};
      }
      running_ = true;
    }
    if (!changed_.wait_until(lock, deadline, [this] { return !running_; })) {
      error = beast::error::timeout;
      return {};
    }
    error = error_;
    return found_;
  }

 private:
  void Run(const std::string& host, const std::string& port) noexcept {
    error_code error;
    Endpoints found;
    try {
      found = Resolve(host, port, {}, error);
    } catch (const std::exception&) {
      error = asio::error::no_memory;
    }
    const std::lock_guard lock(mutex_);
    found_ = std::move(found);
    error_ = error;
    running_ = false;
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool running_ = false;
  Endpoints found_;  // by the last one
  error_code error_;
};

std::string ShownUrl(std::string_view url) {
  const size_t scheme = url.find("://");
  const size_t begin = scheme == std::string_view::npos ? 0 : scheme + 3;
  const std::string shown = std::string(url.substr(0, begin)) + std::string(url.substr(HostBegin(url, begin)));
  return Printable(std::string_view(shown).substr(0, shown.find_first_of("?#")), 200);
}

HttpUrl ParseUrl(std::string_view given, std::string_view what, std::string_view default_port) {
  HttpUrl url;
  const auto refuse = [&]() {
    const size_t end = given.find_first_of("/?#", HostBegin(given, given.find("://") + 3));
    const bool may_hold_password = end != std::string_view::npos && given.find('@', end) != std::string_view::npos;
    if (may_hold_password)
      throw Error(ErrorCode::kInvalidArgument, fmt::format("{}: expected an http:// or https:// URL", what),
                  "in a user and a password '/' is written %2F, '?' %3F, '#' %23 and '@' %40");
    throw Error(ErrorCode::kInvalidArgument, fmt::format("{}: expected an http:// or https:// URL, found '{}'", what, ShownUrl(given)),
                fmt::format("as in http://127.0.0.1:{}", default_port.empty() ? "5000" : default_port));
  };
  url.is_tls = given.starts_with("https://");
  if (!url.is_tls && !given.starts_with("http://")) refuse();
  const size_t begin = url.is_tls ? 8 : 7, host = HostBegin(given, begin);
  if (host > begin) {
    const std::string_view information = given.substr(begin, host - begin - 1);
    const size_t colon = std::min(information.find(':'), information.size());
    url.user = Decoded(information.substr(0, colon));
    url.password = colon < information.size() ? Decoded(information.substr(colon + 1)) : "";
  }
  const size_t path = std::min(given.find('/', host), given.size());
  url.authority = std::string(given.substr(host, path - host));
  url.path = std::string(given.substr(path));
  while (url.path.ends_with('/')) url.path.pop_back();
  if (url.path.find_first_of("?#") != std::string::npos || !IsValidAuthority(url.authority)) refuse();
  if (!ParseTarget("GET", url.path.empty() ? "/" : url.path)) refuse();
  url.host = HostOf(url.authority);
  url.port = url.authority.substr(std::min(url.host.size() + 1, url.authority.size()));
  if (url.port.empty()) url.port = !default_port.empty() ? default_port : url.is_tls ? "443" : "80";
  if (url.host.starts_with('[')) url.host = url.host.substr(1, url.host.size() - 2);
  if (url.host.empty()) refuse();
  return url;
}

HttpClient::HttpClient(HttpUrl url, HttpClientOptions options)
    : url_(std::move(url)), options_(std::move(options)), lookup_(std::make_shared<Lookup>()) {
  const bool has_own = std::any_of(options_.fields.begin(), options_.fields.end(),
                                   [](const HttpField& field) { return EqualsIgnoringCase(field.name, "authorization"); });
  if (!url_.user.empty() && !has_own) options_.fields.push_back({"authorization", BasicAuthorization(url_.user, url_.password)});
}

HttpAnswer HttpClient::Send(std::string_view method, std::string_view target, std::string body, std::string_view content_type) const {
  http::request<http::string_body> request;
  request.method_string(method);
  const std::string whole = url_.path + std::string(target);
  request.target(whole.empty() ? "/" : whole);
  request.version(11);
  request.set(http::field::host, url_.authority);
  request.set(http::field::user_agent, std::string("mlac/") + kMlacVersion);
  request.set(http::field::connection, "close");
  for (const HttpField& field : options_.fields) request.set(field.name, field.value);
  if (!content_type.empty()) request.set(http::field::content_type, content_type);
  request.body() = std::move(body);
  request.prepare_payload();
  const Clock::time_point deadline = Clock::now() + options_.timeout;
  error_code error;
  const Endpoints found = lookup_->Find(url_, deadline, error);
  if (error) Fail(url_, options_, error);
  return Exchange(url_, options_, request).Run(found, deadline);
}

std::string BasicAuthorization(std::string_view user, std::string_view password) {
  const std::string plain = std::string(user) + ":" + std::string(password);
  std::string encoded(4 * ((plain.size() + 2) / 3) + 1, '\0');
  const int length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(encoded.data()), reinterpret_cast<const unsigned char*>(plain.data()),
                                     static_cast<int>(plain.size()));
  encoded.resize(static_cast<size_t>(length));
  return "Basic " + encoded;
}

std::string PercentEncoded(std::string_view text) {
  constexpr std::string_view kPlain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  std::string out;
  for (const char c : text)
    out += kPlain.find(c) != std::string_view::npos ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  return out;
}

}  // namespace mlac
