#include "http/connection.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/beast/core/buffers_generator.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message_generator.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <new>
#include <utility>

#include "base/json.h"
#include "http/target.h"

namespace mlac {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;

// What a client still sends after the last answer is read over, or its system would throw the answer away (RFC 9112 section 9.6); up
// to this much.
constexpr size_t kMaxLingerBytes = 32 << 20;
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
constexpr int kClientGone = 499;

// The methods that RFC 9110 and RFC 5789 register; others are not known to any route.
bool IsKnownMethod(std::string_view method) {
  for (const std::string_view known : {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})
    if (method == known) return true;
  return false;
}

// Whether an id that a client chose may stand in answers and logs.
bool IsSaneId(std::string_view id) {
  if (id.empty() || id.size() > 128) return false;
  for (const char c : id)
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-')) return false;
  return true;
}

// "application/json" of "application/json; charset=utf-8".
std::string_view MediaType(std::string_view content_type) { return TrimBlanks(content_type.substr(0, content_type.find(';'))); }

std::string FormatDate(std::chrono::system_clock::time_point time) {
  return fmt::format("{:%a, %d %b %Y %H:%M:%S} GMT", fmt::gmtime(std::chrono::system_clock::to_time_t(time)));
}

HttpError ToHttpError(const std::exception_ptr& exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const HttpError& error) {
    return error;
  } catch (const Error& error) {
    return HttpError(Kind(error.code()).http_status, error.message(), "", error.hint());
  } catch (const std::bad_alloc&) {
    return HttpError(503, "out of memory");
  } catch (...) {
    return HttpError(500, "internal error");  // the text of another library may hold anything
  }
}

template <typename Body>
void SetHead(http::response<Body>& message, const HttpResponse& response, const std::string& id, unsigned version, bool keep_alive) {
  message.version(version);
  message.result(static_cast<unsigned>(response.status));
  message.reason({StatusPhrase(response.status).data(), StatusPhrase(response.status).size()});
  message.set(http::field::date, FormatDate(std::chrono::system_clock::now()));
  message.set("x-request-id", id);
  for (const HttpField& field : response.fields) message.insert(field.name, field.value);
  if (response.status != 204) {
    message.set(http::field::content_type, response.content_type);
    message.content_length(response.body.size());
  }
  message.keep_alive(keep_alive);
}

}  // namespace

// ---- What connections share

std::string ServerShared::MakeId() { return fmt::format("{}-{:x}", id_prefix, next_id.fetch_add(1, std::memory_order_relaxed)); }

HttpResponse ServerShared::FormatError(const HttpError& error, std::string_view path) const {
  HttpResponse response;
  if (options.format_error) {
    response = options.format_error(error, path);
  } else {
    response.body = "{\"error\":";
    AppendJsonString(response.body, error.what());
    response.body += '}';
  }
  response.status = error.status();
  for (const HttpField& field : error.fields) response.fields.push_back(field);
  return response;
}

ConnectionSlot::ConnectionSlot(ServerShared& shared) : shared_(&shared) { shared.num_connections.fetch_add(1); }

void ConnectionSlot::Release() {
  if (!shared_) return;
  ServerShared& shared = *std::exchange(shared_, nullptr);
  const std::lock_guard lock(shared.mutex);
  shared.num_connections.fetch_sub(1);
  shared.changed.notify_all();
}

// ---- Responders

struct HttpResponder::Handle {
  explicit Handle(std::shared_ptr<HttpExchange> exchange) : exchange(std::move(exchange)) {}
  ~Handle() {
    try {
      exchange->SendError(std::make_exception_ptr(HttpError(500, "internal error: the request was dropped")));
    } catch (...) {  // no memory: the connection's client will see it close
      exchange->Cancel();
    }
  }
  std::shared_ptr<HttpExchange> exchange;
};

HttpResponder::HttpResponder(std::shared_ptr<HttpExchange> exchange) : handle_(std::make_shared<Handle>(std::move(exchange))) {}
void HttpResponder::Send(HttpResponse response) const { handle_->exchange->Send(std::move(response)); }
void HttpResponder::SendError(const std::exception_ptr& error) const { handle_->exchange->SendError(error); }
bool HttpResponder::cancelled() const { return handle_->exchange->cancelled(); }
void HttpResponder::OnCancel(std::function<void()> callback) const { handle_->exchange->OnCancel(std::move(callback)); }

void HttpExchange::Send(HttpResponse response) {
  std::shared_ptr<Connection> connection;
  std::function<void()> on_cancel;  // goes after the lock: what it holds may end here
  {
    const std::lock_guard lock(mutex_);
    if (!connection_) return;
    connection = std::move(connection_);
    connection_ = nullptr;
    on_cancel = std::move(on_cancel_);
    on_cancel_ = nullptr;
    // Posted under the lock: a connection ends only after Cancel, which takes it too, so the thread that is posted to still runs.
    if (!connection->thread().context.get_executor().running_in_this_thread()) {
      asio::post(connection->thread().context,
                 [connection, response = std::move(response)]() mutable {
                   connection->Guarded([&] { connection->OnAnswer(std::move(response)); });
                 });
      return;
    }
  }
  connection->OnAnswer(std::move(response));
}

void HttpExchange::SendError(const std::exception_ptr& error) {
  std::shared_ptr<Connection> connection;
  {
    const std::lock_guard lock(mutex_);
    connection = connection_;
  }
  if (connection) Send(connection->shared().FormatError(ToHttpError(error), path_));
}

void HttpExchange::OnCancel(std::function<void()> callback) {
  {
    const std::lock_guard lock(mutex_);
    if (connection_) {
      on_cancel_.swap(callback);
      return;
    }
  }
  if (cancelled()) callback();
}

void HttpExchange::Cancel() {
  std::shared_ptr<Connection> connection;
  std::function<void()> on_cancel;
  {
    const std::lock_guard lock(mutex_);
    if (!connection_) return;
    connection = std::move(connection_);
    connection_ = nullptr;
    on_cancel = std::move(on_cancel_);
    on_cancel_ = nullptr;
    cancelled_.store(true, std::memory_order_relaxed);
  }
  if (on_cancel) on_cancel();
}

// ---- A connection's life

Connection::Connection(ServerShared& shared, IoThread& thread, ConnectionSlot slot, Socket socket)
    : shared_(shared),
      thread_(thread),
      slot_(std::move(slot)),
      place_(thread.connections.insert(thread.connections.end(), this)),
      socket_(std::move(socket)),
      timer_(thread.context),
      last_activity_(Clock::now()),
      guard_(shared.options.limits) {}

Connection::~Connection() { Close(); }

void Connection::Start() {
  error_code ignored;
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
  socket_.non_blocking(true, ignored);
  head_is_timed_ = true;
  SetDeadline(shared_.options.head_timeout);
  Advance();
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
  error_code ignored;
  timer_.cancel();
  socket_.close(ignored);
  if (const std::shared_ptr<HttpExchange> exchange = std::move(exchange_)) exchange->Cancel();
  if (counted_unanswered_) {
    access_.status = kClientGone;
    LogAccess();
  }
  thread_.connections.erase(place_);
  slot_.Release();
}

void Connection::Drain() {
  if (phase_ != Phase::kIdle) return;
  const Clock::duration quiet = Clock::now() - last_activity_;
  const Clock::duration wait = std::max<Clock::duration>(shared_.options.drain_idle - quiet, Clock::duration::zero());
  SetDeadline(std::chrono::ceil<std::chrono::milliseconds>(wait));
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

void Connection::WaitForDeadline() {
  timer_waits_ = true;
  timer_.expires_at(deadline_);
  timer_.async_wait([self = shared_from_this()](const error_code& error) {
    if (error || self->phase_ == Phase::kClosed) return;  // set anew, or over
    self->timer_waits_ = false;
    if (self->deadline_ == Clock::time_point::max()) return;
    if (Clock::now() < self->deadline_) return self->WaitForDeadline();
    self->OnDeadline();
  });
}

void Connection::OnDeadline() {
  switch (phase_) {
    case Phase::kHead:
      if (guard_.head().empty()) return Close();
      return RefuseAndClose(HttpError(408, "the head of the request took too long"));
    case Phase::kBody: return RefuseAndClose(HttpError(408, "the body of the request took too long"));
    default: return Close();
  }
}

// ---- Reading

void Connection::Read() {
  if (reading_ || peer_done_ || phase_ == Phase::kClosed) return;
  reading_ = true;
  begin_ = end_ = 0;
  socket_.async_read_some(asio::buffer(buffer_),
                          [self = shared_from_this()](const error_code& error, size_t num_bytes) {
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
    case Phase::kHandling: {
      // A FIN says the same for both. An interim answer, which every HTTP/1.1 client has to skip (RFC 9110 section 15.2), tells them
      // apart: the system of a client that has gone answers it with a reset.
      if (!guard_.http_1_0()) {
        error_code error;
        const size_t sent = socket_.write_some(asio::buffer(kContinue), error);
        if (error != asio::error::would_block && (error || sent != kContinue.size())) return Close();
      }
      return WatchForReset();
    }
    case Phase::kWriting: return;
    default: return Close();
  }
}

void Connection::WatchForReset() {
  if (std::exchange(watches_, true)) return;
  socket_.async_wait(Socket::wait_error, [self = shared_from_this()](const error_code&) { self->Close(); });
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
      case FramingGuard::Stage::kRefused: return RefuseAndClose(HttpError(guard_.status(), std::string(guard_.reason())));
      case FramingGuard::Stage::kHead:
        if (phase_ == Phase::kHead && !head_is_timed_) {
          head_is_timed_ = true;
          SetDeadline(shared_.options.head_timeout);
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
  origin_ = AllowedOrigin();
  access_ = {.time = std::chrono::system_clock::now(),
             .id = request_.id,
             .method = IsKnownMethod(request_.method) ? request_.method : "-",
             .route = "-"};
  request_start_ = Clock::now();
  counted_unanswered_ = true;
  shared_.num_unanswered.fetch_add(1);

  phase_ = Phase::kBody;
  try {
    CheckRequest(text(head.target()));
  } catch (const HttpError& refusal) {
    // A body that the client has announced but not begun is not asked for; one that is under way is read over first, so that the
    // connection can go on.
    if (guard_.expects_continue()) return RefuseAndClose(refusal);
    refusal_ = refusal;
  }
  if (guard_.stage() != FramingGuard::Stage::kBody) return;
  SetDeadline(shared_.options.body_timeout);
  if (guard_.expects_continue() && begin_ == end_) {
    const size_t sent = socket_.write_some(asio::buffer(kContinue), error);
    if (error || sent != kContinue.size()) Close();
  }
}

// Throws the HttpError that refuses the request. What comes first decides: host, key, route, type of the body.
void Connection::CheckRequest(std::string_view target_text) {
  const std::optional<HttpTarget> target = ParseTarget(request_.method, target_text);
  if (!target) throw HttpError(400, "the target of the request is no valid path or URL");
  request_.path = target->path;
  request_.query = target->query;

  // RFC 9112 section 3.2.2: the absolute form overrides Host.
  const std::string_view host = target->authority.empty() ? request_.Field("host") : std::string_view(target->authority);
  if (shared_.checks_host && !host.empty() && !IsLoopback(host) && !EqualsIgnoringCase(HostOf(host), shared_.public_host))
    throw HttpError(403, "the Host of the request is neither this machine nor the public URL of the server", "",
                    "start the server with --public-url if it stands behind a proxy");

  HttpRouter::Match match;
  if (!target->asterisk) match = shared_.router.Find(request_.method, target->segments);
  if (target->asterisk) match.allow = "GET, HEAD, POST, OPTIONS";
  route_ = match.route;
  request_.parameters = std::move(match.parameters);
  if (route_) access_.route = route_->pattern;

  const bool is_options = request_.method == "OPTIONS" && !route_ && !match.allow.empty();
  if (is_options && origin_ && !request_.Field("access-control-request-method").empty()) {
    early_answer_ = HttpResponse{.status = 204};
    early_answer_->fields = {{"access-control-allow-methods", match.allow},
                             {"access-control-allow-headers", "authorization, content-type, x-request-id"},
                             {"access-control-max-age", "600"}};
    return;  // a browser shows no key here
  }
  if (!shared_.options.api_keys.empty() && !(route_ && route_->open)) CheckKey();
  if (is_options) {
    early_answer_ = HttpResponse{.status = 204, .fields = {{"allow", match.allow}}};
    return;
  }
  if (!route_) {
    if (match.allow.empty()) throw HttpError(404, "no such route");
    if (!IsKnownMethod(request_.method)) throw HttpError(501, "the method is not known");
    HttpError error(405, fmt::format("the route does not take {}", request_.method), "", fmt::format("it takes {}", match.allow));
    error.fields = {{"allow", match.allow}};
    throw error;
  }
  if (const std::string_view coding = request_.Field("content-encoding"); !coding.empty() && !EqualsIgnoringCase(coding, "identity"))
    throw HttpError(415, "compressed bodies are not taken");
  const std::string_view type = request_.Field("content-type");
  if (!route_->content_type.empty() && !type.empty() && !EqualsIgnoringCase(MediaType(type), route_->content_type))
    throw HttpError(415, fmt::format("the body has to be {}", route_->content_type), "", "set the header Content-Type so, or leave it out");
}

void Connection::CheckKey() const {
  size_t num_fields = 0;
  std::string_view key;
  for (const HttpField& field : request_.fields) {
    if (!EqualsIgnoringCase(field.name, "authorization")) continue;
    ++num_fields;
    const std::string_view value = field.value;
    if (const size_t blank = value.find(' '); EqualsIgnoringCase(value.substr(0, blank), "bearer"))
      key = TrimBlanks(value.substr(std::min(blank, value.size())));
  }
  if (shared_.options.api_keys.Contains(key) && num_fields == 1) return;
  HttpError error(401, num_fields == 0 ? "an API key is needed" : "the API key is not known", "",
                  num_fields == 0 ? "send the header 'Authorization: Bearer KEY'" : "");
  error.fields = {{"www-authenticate", "Bearer"}};
  throw error;
}

const std::string* Connection::AllowedOrigin() const {
  const std::string_view origin = request_.Field("origin");
  if (origin.empty()) return nullptr;
  for (const std::string& allowed : shared_.options.cors_allow_origins)
    if (allowed == "*" || allowed == origin) return &allowed;
  return nullptr;
}

// The request is whole: has it answered.
void Connection::FinishRequest() {
  access_.num_request_bytes = request_.body.size();
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
  if (phase_ == Phase::kHandling) Write(std::move(response));
}

// Answers what cannot go on: the rest of the connection's bytes is not read as requests.
void Connection::RefuseAndClose(const HttpError& error) {
  keep_alive_ = false;
  begin_ = end_ = 0;
  if (!counted_unanswered_) {  // the head was not whole
    counted_unanswered_ = true;
    shared_.num_unanswered.fetch_add(1);
    access_ = {};
    access_.time = std::chrono::system_clock::now();
    access_.id = shared_.MakeId();
    access_.method = access_.route = "-";
    request_start_ = Clock::now();
  }
  Write(shared_.FormatError(error, request_.path));
}

void Connection::Write(HttpResponse response) {
  phase_ = Phase::kWriting;
  keep_alive_ = keep_alive_ && !peer_done_ && !shared_.draining.load(std::memory_order_relaxed);
  AddCorsFields(response);
  access_.status = response.status;
  access_.notes = std::move(response.notes);
  access_.num_response_bytes = is_head_request_ ? 0 : response.body.size();
  const unsigned version = guard_.http_1_0() ? 10 : 11;
  SetDeadline(shared_.options.write_timeout);
  const auto done = [self = shared_from_this()](const error_code& error, size_t) { self->Guarded([&] { self->OnWritten(error); }); };
  const auto send = [&](auto message) { beast::async_write(socket_, http::message_generator(std::move(message)), done); };
  if (is_head_request_ || response.status == 204) {
    http::response<http::empty_body> message;
    SetHead(message, response, access_.id, version, keep_alive_);
    return send(std::move(message));
  }
  http::response<http::string_body> message;
  SetHead(message, response, access_.id, version, keep_alive_);
  message.body() = std::move(response.body);
  send(std::move(message));
}

void Connection::AddCorsFields(HttpResponse& response) const {
  if (!origin_) return;
  response.fields.push_back({"access-control-allow-origin", *origin_});
  response.fields.push_back({"access-control-expose-headers", "x-request-id"});
  response.fields.push_back({"vary", "origin"});
}

void Connection::OnWritten(const error_code& error) {
  if (phase_ == Phase::kClosed) return;
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
  counted_unanswered_ = false;
  shared_.num_unanswered.fetch_sub(1);
  access_.duration_ms = std::chrono::duration<double, std::milli>(Clock::now() - request_start_).count();
  if (shared_.options.on_access) shared_.options.on_access(access_);
}

// The last answer is out. Closing at once would throw it away where bytes of the client are unread, so its end is waited for.
void Connection::Linger() {
  phase_ = Phase::kLingering;
  error_code ignored;
  socket_.shutdown(Socket::shutdown_send, ignored);
  if (peer_done_) return Close();
  SetDeadline(shared_.options.linger_timeout);
  Read();
}

}  // namespace mlac
