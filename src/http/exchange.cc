#include "http/exchange.h"

#include <boost/asio/post.hpp>
#include <utility>

#include "http/connection.h"

namespace mlac {

namespace asio = boost::asio;

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
void HttpResponder::AddField(HttpField field) const { handle_->exchange->AddField(std::move(field)); }
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
    for (HttpField& field : fields_) response.fields.push_back(std::move(field));
    // Posted under the lock: a connection ends only after Cancel, which takes it too, so the thread that is posted to still runs. Nothing of the
    // connection stays here, for it would end here, perhaps behind the server.
    IoThread& thread = connection->thread();
    if (!thread.context.get_executor().running_in_this_thread()) {
      asio::post(thread.context, [connection = std::move(connection), response = std::move(response)]() mutable {
        connection->OnPostedAnswer(std::move(response));
      });
      return;
    }
  }
  connection->OnAnswer(std::move(response));
}

void HttpExchange::SendError(const std::exception_ptr& error) {
  HttpResponse response;
  {
    const std::lock_guard lock(mutex_);
    if (!connection_) return;
    response = connection_->shared().FormatError(ToHttpError(error), path_);
  }
  Send(std::move(response));
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
