#pragma once
// One request on its way: between the connection that it came by and the responder that answers it.
#include <atomic>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "http/message.h"

namespace mlac {

class Connection;

// Where a responder and a connection, which either may outlive, meet.
class HttpExchange {
 public:
  HttpExchange(std::shared_ptr<Connection> connection, std::string path) : connection_(std::move(connection)), path_(std::move(path)) {}

  void Send(HttpResponse response);
  void SendError(const std::exception_ptr& error);
  void AddField(HttpField field);
  void OnCancel(std::function<void()> callback);
  void Cancel();  // by the connection: the client has gone
  bool cancelled() const { return cancelled_.load(std::memory_order_relaxed); }

 private:
  std::mutex mutex_;                        // guards connection_, on_cancel_ and fields_
  std::shared_ptr<Connection> connection_;  // null when answered or cancelled
  std::function<void()> on_cancel_;
  std::vector<HttpField> fields_;  // of the answer, whatever it is
  std::atomic<bool> cancelled_ = false;
  const std::string path_;
};

}  // namespace mlac
