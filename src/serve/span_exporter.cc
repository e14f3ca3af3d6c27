#include "serve/span_exporter.h"

#include <fmt/format.h>
#include <openssl/rand.h>

#include <algorithm>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <iterator>

#include "base/error.h"
#include "base/json.h"
#include "http/target.h"
#include "version.h"

namespace mlac {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;

constexpr std::chrono::seconds kTimeout{5};
// How long spans gather before they are sent.
constexpr std::chrono::milliseconds kGathering{200};

std::string RandomId(size_t num_bytes) {
  unsigned char bytes[16];
  if (RAND_bytes(bytes, static_cast<int>(num_bytes)) != 1) throw Error(ErrorCode::kInternal, "no random bytes");
  std::string hex;
  for (size_t i = 0; i < num_bytes; ++i) hex += fmt::format("{:02x}", bytes[i]);
  return hex;
}

void AppendAttribute(std::string& out, std::string_view name, std::string_view value, bool is_integer) {
  out += fmt::format(R"({}{{"key":"{}","value":{{"{}":)", out.ends_with('[') ? "" : ",", name, is_integer ? "intValue" : "stringValue");
  AppendJsonString(out, value);  // 64-bit integers are strings in protobuf's JSON
  out += "}}";
}

bool IsInteger(const std::string& text) {
  return !text.empty() && text.size() < 19 && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

void AppendSpan(std::string& out, const HttpAccess& access) {
  const auto start = std::chrono::duration_cast<std::chrono::nanoseconds>(access.time.time_since_epoch()).count();
  const auto end = start + static_cast<int64_t>(access.duration_ms * 1e6);
  out += fmt::format(R"({{"traceId":"{}","spanId":"{}",)", access.trace ? access.trace->trace_id : RandomId(16), RandomId(8));
  if (access.trace) out += fmt::format(R"("parentSpanId":"{}",)", access.trace->parent_id);
  // Kind 2 is a server's; status 2 an error, which a client's own mistake is not.
  out += fmt::format(R"("name":"{} {}","kind":2,"startTimeUnixNano":"{}","endTimeUnixNano":"{}","attributes":[)", access.method,
                     access.route, start, end);
  AppendAttribute(out, "http.request.method", access.method, false);
  AppendAttribute(out, "http.route", access.route, false);
  AppendAttribute(out, "http.response.status_code", fmt::to_string(access.status), true);
  AppendAttribute(out, "http.request.body.size", fmt::to_string(access.num_request_bytes), true);
  AppendAttribute(out, "http.response.body.size", fmt::to_string(access.num_response_bytes), true);
  AppendAttribute(out, "mlac.request_id", access.id, false);
  for (const HttpField& note : access.notes)
    AppendAttribute(out, "mlac." + note.name, note.value, note.name != "model" && IsInteger(note.value));
  out += fmt::format(R"(],"status":{{{}}}}})", access.status >= 500 ? "\"code\":2" : "");
}

}  // namespace

std::string FormatSpans(const std::vector<HttpAccess>& accesses) {
  std::string body = R"({"resourceSpans":[{"resource":{"attributes":[)";
  AppendAttribute(body, "service.name", "mlac", false);
  AppendAttribute(body, "service.version", kMlacVersion, false);
  body += R"(]},"scopeSpans":[{"scope":{"name":"mlac"},"spans":[)";
  for (const HttpAccess& access : accesses) {
    if (!body.ends_with('[')) body += ',';
    AppendSpan(body, access);
  }
  return body + "]}]}]}";
}

SpanExporter::SpanExporter(const std::string& endpoint) {
  const std::optional<HttpTarget> target = ParseTarget("GET", endpoint);
  if (!target || target->authority.empty() || !endpoint.starts_with("http://"))
    throw Error(ErrorCode::kInvalidArgument, fmt::format("OTLP endpoint '{}' is no http:// URL", endpoint),
                "as in --otlp-endpoint http://127.0.0.1:4318");
  authority_ = target->authority;
  host_ = HostOf(authority_);
  port_ = authority_.substr(std::min(host_.size() + 1, authority_.size()));
  if (port_.empty()) port_ = "4318";
  if (host_.starts_with('[')) host_ = host_.substr(1, host_.size() - 2);
  path_ = target->path == "/" ? "/v1/traces" : target->path;
  thread_ = std::thread([this] { Work(); });
}

SpanExporter::~SpanExporter() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

void SpanExporter::Add(const HttpAccess& access) noexcept {
  if (access.trace && !access.trace->sampled) return;
  try {
    const std::lock_guard lock(mutex_);
    if (waiting_.size() < kMaxWaiting) {
      waiting_.push_back(access);
      if (waiting_.size() == 1 || waiting_.size() == kMaxBatch) changed_.notify_all();
      return;
    }
  } catch (const std::exception&) {  // no memory: the span is lost, the request is not
  }
  ++num_lost_;
}

void SpanExporter::Work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    changed_.wait_for(lock, kGathering, [this] { return stopping_ || waiting_.size() >= kMaxBatch; });
    const bool last = stopping_;
    const size_t count = last ? waiting_.size() : std::min(waiting_.size(), kMaxBatch);
    std::vector<HttpAccess> batch(std::make_move_iterator(waiting_.begin()),
                                  std::make_move_iterator(waiting_.begin() + static_cast<ptrdiff_t>(count)));
    waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<ptrdiff_t>(count));
    lock.unlock();
    bool sent = false;
    try {
      sent = Post(FormatSpans(batch));
    } catch (const std::exception&) {  // no memory, or no random bytes
    }
    (sent ? num_sent_ : num_lost_) += batch.size();
    lock.lock();
    if (last) return;
  }
}

// Whether the collector took it.
bool SpanExporter::Post(const std::string& body) const {
  asio::io_context context;
  beast::tcp_stream stream(context);
  stream.expires_after(kTimeout);
  asio::ip::tcp::resolver resolver(context);
  http::request<http::string_body> request(http::verb::post, path_, 11, body);
  request.set(http::field::host, authority_);
  request.set(http::field::content_type, "application/json");
  request.set(http::field::connection, "close");
  request.prepare_payload();
  beast::flat_buffer buffer;
  http::response_parser<http::string_body> response;
  response.body_limit(1 << 16);
  bool taken = false;
  error_code error;
  const auto found = resolver.resolve(host_, port_, error);
  if (error) return false;
  stream.async_connect(found, [&](const error_code& failure, const auto&) {
    if (failure) return;
    http::async_write(stream, request, [&](const error_code& not_written, size_t) {
      if (not_written) return;
      http::async_read(stream, buffer, response,
                       [&](const error_code& not_read, size_t) { taken = !not_read && response.get().result_int() / 100 == 2; });
    });
  });
  context.run();
  return taken;
}

}  // namespace mlac
