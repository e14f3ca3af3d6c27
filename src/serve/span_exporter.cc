#include "serve/span_exporter.h"

#include <fmt/format.h>
#include <openssl/rand.h>

#include <algorithm>
#include <iterator>

#include "base/error.h"
#include "base/json.h"
#include "version.h"

namespace mlac {
namespace {

// How long spans gather before they are sent.
constexpr std::chrono::milliseconds kGathering{200};

std::string RandomId(size_t num_bytes) {
  unsigned char bytes[16];
  if (RAND_bytes(bytes, static_cast<int>(num_bytes)) != 1) throw Error(ErrorCode::kInternal, "no random bytes");
  std::string hex;
  for (size_t i = 0; i < num_bytes; ++i) hex += fmt::format("{:02x}", bytes[i]);
  return hex;
}

enum class Value { kText, kInteger, kNumber };

void AppendAttribute(std::string& out, std::string_view name, std::string_view value, Value kind = Value::kText) {
  constexpr const char* kNames[] = {"stringValue", "intValue", "doubleValue"};
  out += fmt::format(R"({}{{"key":"{}","value":{{"{}":)", out.ends_with('[') ? "" : ",", name, kNames[static_cast<size_t>(kind)]);
  if (kind == Value::kNumber) {
    out += value;
  } else {
    AppendJsonString(out, value);  // 64-bit integers are strings in protobuf's JSON
  }
  out += "}}";
}

// Of a note: the name of a model may look like a number.
Value KindOf(const HttpField& note) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  if (note.name == "model" || note.value.empty() || note.value.size() >= 19) return Value::kText;
  if (std::all_of(note.value.begin(), note.value.end(), is_digit)) return Value::kInteger;
  return note.name.ends_with("_ms") ? Value::kNumber : Value::kText;  // "0.125"
}

void AppendSpan(std::string& out, const HttpAccess& access) {
  const auto start = std::chrono::duration_cast<std::chrono::nanoseconds>(access.time.time_since_epoch()).count();
  const auto end = start + static_cast<int64_t>(access.duration_ms * 1e6);
  out += fmt::format(R"({{"traceId":"{}","spanId":"{}",)", access.trace ? access.trace->trace_id : RandomId(16), RandomId(8));
  if (access.trace) out += fmt::format(R"("parentSpanId":"{}",)", access.trace->parent_id);
  // Kind 2 is a server's; status 2 an error, which a client's own mistake is not.
  out += fmt::format(R"("name":"{} {}","kind":2,"startTimeUnixNano":"{}","endTimeUnixNano":"{}","attributes":[)", access.method,
                     access.route, start, end);
  AppendAttribute(out, "http.request.method", access.method);
  AppendAttribute(out, "http.route", access.route);
  AppendAttribute(out, "http.response.status_code", fmt::to_string(access.status), Value::kInteger);
  AppendAttribute(out, "http.request.body.size", fmt::to_string(access.num_request_bytes), Value::kInteger);
  AppendAttribute(out, "http.response.body.size", fmt::to_string(access.num_response_bytes), Value::kInteger);
  AppendAttribute(out, "mlac.request_id", access.id);
  for (const HttpField& note : access.notes) AppendAttribute(out, "mlac." + note.name, note.value, KindOf(note));
  out += fmt::format(R"(],"status":{{{}}}}})", access.status >= 500 ? "\"code\":2" : "");
}

}  // namespace

std::string FormatSpans(const std::vector<HttpAccess>& accesses) {
  std::string body = R"({"resourceSpans":[{"resource":{"attributes":[)";
  AppendAttribute(body, "service.name", "mlac");
  AppendAttribute(body, "service.version", kMlacVersion);
  body += R"(]},"scopeSpans":[{"scope":{"name":"mlac"},"spans":[)";
  for (const HttpAccess& access : accesses) {
    if (!body.ends_with('[')) body += ',';
    AppendSpan(body, access);
  }
  return body + "]}]}]}";
}

SpanExporter::SpanExporter(const std::string& endpoint)
    : client_(ParseUrl(endpoint, "OTLP endpoint", "4318")), path_(client_.url().path.empty() ? "/v1/traces" : "") {
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
    } catch (const std::exception&) {  // nobody there, no memory, or no random bytes
    }
    (sent ? num_sent_ : num_lost_) += batch.size();
    lock.lock();
    if (last) return;
  }
}

// Whether the collector took it. Throws as HttpClient.
bool SpanExporter::Post(const std::string& body) const { return client_.Send("POST", path_, body, "application/json").status / 100 == 2; }

}  // namespace mlac
