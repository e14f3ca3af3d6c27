#include "http/exchange.h"

#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/post.hpp>
#include <memory>
#include <utility>

#include "http/connection.h"

namespace mlac {

namespace asio = boost::asio;

struct HttpResponder::Handle {
  explicit Handle(std::shared_ptr<HttpExchange> exchange) : exchange(std::move(exchange)) {}
  ~Handle() {
    if (!exchange->is_open()) return;
    try {
      exchange->SendError(HttpError(500, "internal error: the request was dropped"));
    } catch (const std::exception&) {  // no memory to say so
      exchange->SendError(std::current_exception());
    }
  }
  std::shared_ptr<HttpExchange> exchange;
};

HttpResponder::HttpResponder(std::shared_ptr<HttpExchange> exchange) : handle_(std::make_shared<Handle>(std::move(exchange))) {}
void HttpResponder::Send(HttpResponse response) const { handle_->exchange->Send(std::move(response)); }
void HttpResponder::SendError(const std::exception_ptr& error) const { handle_->exchange->SendError(error); }
void HttpResponder::SendError(const HttpError& error) const { handle_->exchange->SendError(error); }
void HttpResponder::AddField(HttpField field) const { handle_->exchange->AddField(std::move(field)); }
bool HttpResponder::cancelled() const { return handle_->exchange->cancelled(); }
void HttpResponder::OnCancel(std::function<void()> callback) const { handle_->exchange->OnCancel(std::move(callback)); }

// ---- Answers

template <typename T>
class HttpExchange::PostAllocator {
 public:
  using value_type = T;
  explicit PostAllocator(HttpExchange& exchange) : exchange_(&exchange) {}
  template <typename U>
  PostAllocator(const PostAllocator<U>& other) : exchange_(other.exchange_) {}  // NOLINT(google-explicit-constructor): as allocators are

  // Once, for the one handler of an exchange.
  T* allocate(size_t count) {
    if (count * sizeof(T) > kPostBytes) return std::allocator<T>().allocate(count);
    return reinterpret_cast<T*>(exchange_->post_memory_.data());
  }
  void deallocate(T* memory, size_t count) {
    if (count * sizeof(T) > kPostBytes) std::allocator<T>().deallocate(memory, count);
  }
  template <typename U>
  bool operator==(const PostAllocator<U>& other) const {
    return exchange_ == other.exchange_;
  }

 private:
  template <typename U>
  friend class PostAllocator;
  HttpExchange* exchange_;
};

// Once. The handler keeps the exchange, and so the memory that it lies in.
void HttpExchange::Post(std::shared_ptr<Connection> connection, HttpResponse response) {
  posted_ = std::move(response);
  IoThread& thread = connection->thread();
  thread.EndPause();  // before the connection has its answer, behind which the thread may end
  asio::post(thread.context,
             asio::bind_allocator(PostAllocator<void>(*this), [self = shared_from_this(), connection = std::move(connection)] {
               connection->OnAnswer(std::move(*self->posted_));
             }));
}

void HttpExchange::Send(HttpResponse response) {
  std::shared_ptr<Connection> connection;
  std::function<void()> on_cancel;  // goes after the lock: what it holds may end here
  {
    const std::lock_guard lock(mutex_);
    if (!connection_) return;
    response.fields.insert(response.fields.end(), fields_.begin(),
                           fields_.end());  // what may fail goes first: another answer can follow then
    connection = std::move(connection_);
    connection_ = nullptr;
    on_cancel.swap(on_cancel_);
    // Posted under the lock: a connection ends only after Cancel, which takes it too, so the thread that is posted to still runs. Nothing
    // of the connection stays here, for it would end here, perhaps behind the server.
    if (!connection->thread().context.get_executor().running_in_this_thread()) return Post(std::move(connection), std::move(response));
  }
  connection->OnAnswer(std::move(response));
}

// make_error: makes the HttpError, for which there may be no memory either.
template <typename MakeError>
void HttpExchange::SendErrorOf(const MakeError& make_error) noexcept {
  std::optional<HttpResponse> response;  // an empty one would ask for memory
  {
    const std::lock_guard lock(mutex_);
    if (!connection_) return;
    try {
      response = connection_->shared().FormatError(make_error(), path_);
    } catch (const std::exception&) {  // short enough to need no memory of their own
      response = HttpResponse{.status = 503, .content_type = "text/plain", .body = "out of memory"};
    }
  }
  try {
    Send(std::move(*response));
  } catch (const std::exception&) {  // a field that is too long for what is left
    {
      const std::lock_guard lock(mutex_);
      fields_.clear();
    }
    Send({.status = 503, .content_type = "text/plain", .body = "out of memory"});
  }
}

void HttpExchange::SendError(const std::exception_ptr& error) noexcept {
  SendErrorOf([&] { return ToHttpError(error); });
}

void HttpExchange::SendError(const HttpError& error) noexcept {
  SendErrorOf([&]() -> const HttpError& { return error; });
}

bool HttpExchange::is_open() const {
  const std::lock_guard lock(mutex_);
  return connection_ != nullptr;
}

void HttpExchange::AddField(HttpField field) {
  const std::lock_guard lock(mutex_);
  fields_.push_back(std::move(field));
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

}  // namespace mlac
