#include "http/connection.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <ctime>
#include <utility>
#include <vector>

#include "http/request_check.h"
#include "http/stream.h"

namespace mlac {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;

// What a client still sends after the last answer is read over, or its system would throw the answer away (RFC 9112 section 9.6); up
// to this much.
constexpr size_t kMaxLingerBytes = 32 << 20;
// What waits for the end of a client that was too slow to ask: it has had its time.
constexpr std::chrono::milliseconds kSlowLinger{500};
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
constexpr std::string_view kSpeaksTls =
    "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 40\r\nConnection: close\r\n\r\n"
    "this port speaks TLS: ask for https://\r\n";
constexpr int kClientGone = 499;

// Whether an id that a client chose may stand in answers and logs.
bool IsSaneId(std::string_view id) {
  if (id.empty() || id.size() > 128) return false;
  for (const char c : id)
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-')) return false;
  return true;
}

// The Date of an answer that goes out now, written once a second and thread.
const std::string& DateNow() {
  thread_local std::time_t second = -1;
  thread_local std::string text;
  if (const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now()); now != second) {
    text = fmt::format("{:%a, %d %b %Y %H:%M:%S} GMT", fmt::gmtime(now));
    second = now;
  }
  return text;
}

// The bytes of an answer before its body (RFC 9112). An HTTP/1.1 client takes a connection as going on, one of HTTP/1.0 as ending, unless told.
std::string HeadOf(const HttpResponse& response, std::string_view id, bool http_1_0, bool keep_alive) {
  std::string head = fmt::format("HTTP/1.{} {} {}\r\nDate: {}\r\nx-request-id: {}\r\n", http_1_0 ? 0 : 1, response.status, StatusPhrase(response.status),
                                 DateNow(), id);
  const auto add = [&head](std::string_view name, std::string_view value) { head.append(name).append(": ").append(value).append("\r\n"); };
  for (const HttpField& field : response.fields) add(field.name, field.value);
  if (response.status != 204) {
    add("Content-Type", response.content_type);
    add("Content-Length", std::to_string(response.body.size()));
  }
  if (keep_alive == http_1_0) add("Connection", keep_alive ? "keep-alive" : "close");
  return head += "\r\n";
}

}  // namespace

// ---- A connection's life

Connection::Connection(ServerShared& shared, IoThread& thread, ConnectionSlot slot, std::unique_ptr<HttpStream> stream)
    : shared_(shared),
      thread_(thread),
      slot_(std::move(slot)),
      place_(thread.connections.insert(thread.connections.end(), this)),
      stream_(std::move(stream)),
      timer_(thread.context),
      last_activity_(Clock::now()),
      guard_(shared.options.limits) {}

Connection::~Connection() { Close(); }

void Connection::Start() {
  head_is_timed_ = true;
  SetDeadline(ToSend(shared_.options.head_timeout));
  if (!stream_->is_encrypted()) return Advance();
  phase_ = Phase::kHandshake;
  stream_->Handshake([self = shared_from_this()](const error_code& error, size_t) { self->Guarded([&] { self->OnHandshake(error); }); });
}

void Connection::OnHandshake(const error_code& error) {
  if (phase_ == Phase::kClosed) return;
  if (error) {
    OnTlsFailure(HttpStream::FailureOf(error));
    return Close();
  }
  phase_ = Phase::kIdle;
  Advance();
}

void Connection::OnTlsFailure(TlsFailure failure) {
  if (failure == TlsFailure::kPlainHttp) stream_->WriteInTheClear(kSpeaksTls);
  if (shared_.options.on_tls_failure) shared_.options.on_tls_failure(failure);
}

// What has no memory to go on costs its connection, not the server.
template <typename Function>
void Connection::Guarded(Function&& function) {
  try {
    function();
  } catch (const std::exception&) {
    Close();
  }
}

void Connection::Close() {
  if (phase_ == Phase::kClosed) return;
  phase_ = Phase::kClosed;
  timer_.cancel();
  stream_->Close();
  ReleaseUnsent();
  if (const std::shared_ptr<HttpExchange> exchange = std::move(exchange_)) exchange->Cancel();
  if (has_access_) {
    access_.status = kClientGone;
    LogAccess();
  }
  thread_.connections.erase(place_);
  slot_.Release();
}

void Connection::Drain() {
  if (phase_ == Phase::kHandshake || phase_ == Phase::kHead || phase_ == Phase::kBody)
    Guarded([&] {
      SetDeadline(std::min(shared_.options.drain_timeout, std::chrono::ceil<std::chrono::milliseconds>(deadline_ - Clock::now())));
    });

  if (phase_ != Phase::kIdle) return;
  const Clock::duration quiet = Clock::now() - last_activity_;
  const Clock::duration wait = std::max<Clock::duration>(shared_.options.drain_idle - quiet, Clock::duration::zero());
  Guarded([&] { SetDeadline(std::chrono::ceil<std::chrono::milliseconds>(wait)); });
}

bool Connection::CloseIfIdleSince(Clock::time_point since) {
  if (phase_ != Phase::kIdle || last_activity_ > since) return false;
  Close();
  return true;
}

void Connection::SetDeadline(std::chrono::milliseconds from_now) {
  deadline_ = Clock::now() + from_now;
  // A timer that fires too early looks again; only one that would fire too late is set anew.
  if (!timer_waits_ || deadline_ < timer_.expiry()) WaitForDeadline();
}

std::chrono::milliseconds Connection::ToSend(std::chrono::milliseconds timeout) const {
  return shared_.draining.load(std::memory_order_relaxed) ? std::min(timeout, shared_.options.drain_timeout) : timeout;
}

void Connection::WaitForDeadline() {
  timer_waits_ = true;
  timer_.expires_at(deadline_);
  timer_.async_wait([self = shared_from_this()](const error_code& error) {
    if (error || self->phase_ == Phase::kClosed) return;  // set anew, or over
    self->timer_waits_ = false;
    if (self->deadline_ == Clock::time_point::max()) return;
    self->Guarded([&] { Clock::now() < self->deadline_ ? self->WaitForDeadline() : self->OnDeadline(); });
  });
}

void Connection::OnDeadline() {
  switch (phase_) {
    case Phase::kHead:
      if (guard_.head().empty()) return Close();
      return RefuseAndClose(HttpError(408, "the head of the request took too long"));
    case Phase::kBody: return RefuseAndClose(HttpError(408, "the body of the request took too long"));
    case Phase::kWriting:  // a client that takes a byte now and then would keep the rest in the system's memory for hours
      stream_->DropUnsent();
      return Close();
    default: return Close();
  }
}

// ---- Reading

void Connection::Read() {
  if (reading_ || peer_done_ || phase_ == Phase::kClosed) return;
  reading_ = true;
  begin_ = end_ = 0;
  stream_->Read(asio::buffer(buffer_), [self = shared_from_this()](const error_code& error, size_t num_bytes) {
    self->Guarded([&] { self->OnRead(error, num_bytes); });
  });
}

void Connection::OnRead(const error_code& error, size_t num_bytes) {
  reading_ = false;
  if (phase_ == Phase::kClosed) return;
  if (error == asio::error::eof) {
    peer_done_ = true;
    return OnPeerDone();
  }
  if (error) return Close();
  last_activity_ = Clock::now();
  if (phase_ == Phase::kLingering) {
    num_lingered_ += num_bytes;
    return num_lingered_ > kMaxLingerBytes ? Close() : Read();
  }
  end_ = num_bytes;
  if (phase_ == Phase::kHandling) return WatchForReset();  // pipelined; the next read waits, so its end would not be seen
  Advance();
}

// The client sends no more. It may have gone, or may still wait for the answer.
void Connection::OnPeerDone() {
  switch (phase_) {
    case Phase::kHead:
    case Phase::kBody:
      if (phase_ == Phase::kHead && guard_.head().empty()) return Close();
      return RefuseAndClose(HttpError(400, "the connection ended before the request did"));
    case Phase::kHandling:
      // A FIN says the same for both. An interim answer, which every HTTP/1.1 client has to skip (RFC 9110 section 15.2), tells them
      // apart: the system of a client that has gone answers it with a reset. Nobody ends one half of TLS and waits.
      if (stream_->is_encrypted() || (!guard_.http_1_0() && !stream_->WriteInterim(kContinue))) return Close();
      return WatchForReset();
    case Phase::kWriting: return;
    default: return Close();
  }
}

void Connection::WatchForReset() {
  if (std::exchange(watches_, true)) return;
  stream_->AwaitReset([self = shared_from_this()](const error_code&, size_t) { self->Close(); });
}

// Works through the bytes that are there, until more are needed or an answer is due.
void Connection::Advance() {
  while (phase_ == Phase::kIdle || phase_ == Phase::kHead || phase_ == Phase::kBody) {
    const std::string_view bytes(buffer_.data() + begin_, end_ - begin_);
    if (phase_ == Phase::kBody) {
      begin_ += guard_.TakeBody(bytes, refusal_ || early_answer_ ? nullptr : &request_.body);
    } else if (!bytes.empty()) {
      phase_ = Phase::kHead;
      begin_ += guard_.TakeHead(bytes);
    }
    switch (guard_.stage()) {
      case FramingGuard::Stage::kRefused:
        if (guard_.status() == 413) return RefuseBody();
        return RefuseAndClose(HttpError(guard_.status(), std::string(guard_.reason())));
      case FramingGuard::Stage::kHead:
        if (phase_ == Phase::kHead && !head_is_timed_) {
          head_is_timed_ = true;
          SetDeadline(ToSend(shared_.options.head_timeout));
        }
        return Read();
      case FramingGuard::Stage::kBody:
        if (phase_ == Phase::kBody) return Read();
        BeginRequest();
        break;
      case FramingGuard::Stage::kComplete:
        if (phase_ != Phase::kBody) BeginRequest();
        if (phase_ == Phase::kBody) FinishRequest();
        break;
    }
  }
}

// The head is whole: has Beast parse it, and decides what the head alone can decide.
void Connection::BeginRequest() {
  http::request_parser<http::empty_body> parser;
  parser.header_limit(static_cast<uint32_t>(shared_.options.limits.max_head_bytes + 1));
  parser.body_limit(boost::none);
  parser.eager(false);
  error_code error;
  parser.put(asio::buffer(guard_.head()), error);
  if (error && error != http::error::need_more) return RefuseAndClose(HttpError(400, "the head of the request is malformed"));
  if (!parser.is_header_done()) return RefuseAndClose(HttpError(400, "the head of the request is malformed"));
  const auto& head = parser.get();

  const auto text = [](beast::string_view view) { return std::string(view.data(), view.size()); };
  keep_alive_ = head.keep_alive();
  request_.method = text(head.method_string());
  for (const auto& field : head) request_.fields.push_back({text(field.name_string()), text(field.value())});
  const std::string_view id = request_.Field("x-request-id");
  request_.id = IsSaneId(id) ? std::string(id) : shared_.MakeId();
  is_head_request_ = request_.method == "HEAD";
  origin_ = AllowedOrigin(shared_, request_);
  access_ = {.time = std::chrono::system_clock::now(),
             .id = request_.id,
             .method = IsKnownMethod(request_.method) ? request_.method : "-",
             .route = "-",
             .trace = ParseTraceparent(request_.Field("traceparent"))};
  request_start_ = Clock::now();
  has_access_ = true;

  phase_ = Phase::kBody;
  try {
    RequestTarget target = CheckRequest(shared_, text(head.target()), origin_ != nullptr, request_, access_.route);
    route_ = target.route;
    early_answer_ = std::move(target.early_answer);
  } catch (const HttpError& refusal) {
    // A body that the client has announced but not begun is not asked for; one that is under way is read over first, so that the
    // connection can go on.
    if (guard_.expects_continue()) return RefuseAndClose(refusal);
    refusal_ = refusal;
  }
  if (guard_.body_too_large()) return RefuseBody();
  if (guard_.stage() != FramingGuard::Stage::kBody) return;
  SetDeadline(ToSend(shared_.options.body_timeout));
  if (guard_.expects_continue() && begin_ == end_) {
    if (!stream_->WriteInterim(kContinue)) Close();
  }
}

// The request is whole: has it answered.
void Connection::FinishRequest() {
  access_.num_request_bytes = request_.body.size();
  counted_unanswered_ = true;
  shared_.num_unanswered.fetch_add(1);
  if (refusal_) return Write(shared_.FormatError(*refusal_, request_.path));
  if (early_answer_) return Write(std::move(*early_answer_));
  phase_ = Phase::kHandling;
  ClearDeadline();
  exchange_ = std::make_shared<HttpExchange>(shared_from_this(), request_.path);
  {
    const HttpResponder responder(exchange_);  // outlives what the handler throws
    try {
      route_->handler(std::move(request_), responder);
    } catch (...) {
      responder.SendError(std::current_exception());
    }
  }
  if (phase_ != Phase::kHandling) return;
  if (begin_ < end_) return WatchForReset();
  Read();  // to see the client go
}

// ---- Answering

void Connection::OnAnswer(HttpResponse response) {
  exchange_ = nullptr;
  Guarded([&] {
    if (phase_ == Phase::kHandling) Write(std::move(response));
  });
}

// Answers what cannot go on: the rest of the connection's bytes is not read as requests.
void Connection::RefuseAndClose(const HttpError& error) {
  keep_alive_ = false;
  begin_ = end_ = 0;
  if (!has_access_) {  // the head was not whole
    has_access_ = true;
    access_ = {};
    access_.time = std::chrono::system_clock::now();
    access_.id = shared_.MakeId();
    access_.method = access_.route = "-";
    request_start_ = Clock::now();
  }
  // A head that is refused has come to no path; its target says which protocol the client speaks.
  if (request_.path.empty()) request_.path = guard_.target().substr(0, guard_.target().find('?'));
  Write(shared_.FormatError(error, request_.path));
}

// Of a body above the limit: it is not read over, even where the head was refused for something else.
void Connection::RefuseBody() {
  if (refusal_) return RefuseAndClose(*refusal_);
  const HttpError error(413, fmt::format("the body is larger than {} bytes", shared_.options.limits.max_body_bytes), "",
                        "send less at a time, or start the server with a larger --payload-limit");
  RefuseAndClose(route_ ? WithFields(error, *route_, request_) : error);
}

void Connection::Write(HttpResponse response) {
  phase_ = Phase::kWriting;
  keep_alive_ = keep_alive_ && !peer_done_ && !shared_.draining.load(std::memory_order_relaxed);
  AddCorsFields(response);
  access_.status = response.status;
  if (response.status == 429) ++thread_.num_overloaded;
  access_.notes = std::move(response.notes);
  NoteFields(response);
  access_.num_response_bytes = is_head_request_ ? 0 : response.body.size();
  HoldUnsent(access_.num_response_bytes);
  SetDeadline(shared_.options.write_timeout);
  std::string head = HeadOf(response, access_.id, guard_.http_1_0(), keep_alive_);
  const bool has_body = !is_head_request_ && response.status != 204;
  stream_->Write(std::move(head), has_body ? std::move(response.body) : std::string(),
                 [self = shared_from_this()](const error_code& error, size_t) { self->Guarded([&] { self->OnWritten(error); }); });
}

void Connection::NoteFields(const HttpResponse& response) {
  for (const HttpField& noted : shared_.options.noted_fields) {
    const auto named = [&](const HttpField& field) { return field.name == noted.name; };
    const auto field = std::find_if(response.fields.begin(), response.fields.end(), named);
    if (field != response.fields.end()) access_.notes.insert(access_.notes.begin(), {noted.value, field->value});
  }
}

void Connection::HoldUnsent(size_t num_bytes) {
  CloseSlowReaders(num_bytes);
  write_start_ = Clock::now();
  num_unsent_bytes_ = num_bytes;
  thread_.num_unsent_bytes += num_bytes;
}

void Connection::ReleaseUnsent() { thread_.num_unsent_bytes -= std::exchange(num_unsent_bytes_, 0); }

// Makes room for num_bytes: a client that asks for much and takes little holds the memory of its answer for the whole of write_timeout,
// and many would hold it all.
void Connection::CloseSlowReaders(size_t num_bytes) {
  const auto has_room = [&] { return thread_.num_unsent_bytes + num_bytes <= shared_.options.max_unsent_bytes; };
  if (has_room()) return;
  const Clock::time_point since = Clock::now() - shared_.options.slow_write;
  std::vector<std::shared_ptr<Connection>> slow;
  for (Connection* connection : thread_.connections) {
    if (connection->num_unsent_bytes_ == 0 || connection->write_start_ >= since) continue;
    if (auto held = connection->weak_from_this().lock()) slow.push_back(std::move(held));
  }
  std::sort(slow.begin(), slow.end(), [](const auto& a, const auto& b) { return a->write_start_ < b->write_start_; });
  for (const std::shared_ptr<Connection>& connection : slow) {
    if (has_room()) return;
    connection->stream_->DropUnsent();
    connection->Close();
  }
}

void Connection::AddCorsFields(HttpResponse& response) const {
  if (shared_.options.cors_allow_origins.empty()) return;
  response.fields.push_back({"vary", "origin"});  // of every answer: a cache may not give that to one origin to another
  if (!origin_) return;
  response.fields.push_back({"access-control-allow-origin", *origin_});
  std::string exposed = "x-request-id";
  for (const HttpField& field : response.fields)
    if (field.name.starts_with("x-")) exposed += ", " + field.name;
  response.fields.push_back({"access-control-expose-headers", std::move(exposed)});
}

void Connection::OnWritten(const error_code& error) {
  if (phase_ == Phase::kClosed) return;
  ReleaseUnsent();
  if (error) return Close();
  LogAccess();
  if (!keep_alive_ || peer_done_) return Linger();  // the client may have finished while the answer went out
  guard_.Reset();
  request_ = {};
  refusal_.reset();
  early_answer_.reset();
  route_ = nullptr;
  origin_ = nullptr;
  is_head_request_ = false;
  phase_ = Phase::kIdle;
  head_is_timed_ = false;
  last_activity_ = Clock::now();
  SetDeadline(shared_.draining.load(std::memory_order_relaxed) ? shared_.options.drain_idle : shared_.options.idle_timeout);
  Advance();
}

void Connection::LogAccess() {
  has_access_ = false;
  if (std::exchange(counted_unanswered_, false)) shared_.num_unanswered.fetch_sub(1);
  access_.duration_ms = std::chrono::duration<double, std::milli>(Clock::now() - request_start_).count();
  if (!shared_.options.on_access) return;
  try {
    shared_.options.on_access(access_);
  } catch (const std::exception&) {  // no memory for a line of the log: closing, too, comes by here
  }
}

// The last answer is out. Closing at once would throw it away where bytes of the client are unread, so its end is waited for.
void Connection::Linger() {
  phase_ = Phase::kLingering;
  SetDeadline(access_.status == 408 ? std::min(kSlowLinger, shared_.options.linger_timeout) : shared_.options.linger_timeout);
  stream_->FinishSending([self = shared_from_this()](const error_code&, size_t) {
    self->Guarded([&] {
      if (self->phase_ != Phase::kLingering) return;
      self->peer_done_ ? self->Close() : self->Read();
    });
  });
}

}  // namespace mlac
