#pragma once
// One request on its way: between the connection that it came by and the responder that answers it.
#include <array>
#include <atomic>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "http/message.h"

namespace mlac {

class Connection;

// Where a responder and a connection, which either may outlive, meet. Owned by shared pointers.
class HttpExchange : public std::enable_shared_from_this<HttpExchange> {
 public:
  HttpExchange(std::shared_ptr<Connection> connection, std::string path) : connection_(std::move(connection)), path_(std::move(path)) {}

  void Send(HttpResponse response);
  // Throws nothing: where there is no memory for the answer either, it is a plain 503, and at worst the connection is closed.
  void SendError(const std::exception_ptr& error) noexcept;
  void SendError(const HttpError& error) noexcept;
  void AddField(HttpField field);
  void OnCancel(std::function<void()> callback);
  void Cancel();         // by the connection: the client has gone
  bool is_open() const;  // neither answered nor cancelled
  bool cancelled() const { return cancelled_.load(std::memory_order_relaxed); }

 private:
  // Memory for one handler that is posted, so that an answer which is there finds its way without any.
  template <typename T>
  class PostAllocator;
  static constexpr size_t kPostBytes = 256;

  template <typename MakeError>
  void SendErrorOf(const MakeError& make_error) noexcept;
  void Post(std::shared_ptr<Connection> connection, HttpResponse response);

  mutable std::mutex mutex_;                // guards connection_, on_cancel_ and fields_
  std::shared_ptr<Connection> connection_;  // null when answered or cancelled
  std::function<void()> on_cancel_;
  std::vector<HttpField> fields_;  // of the answer, whatever it is
  std::atomic<bool> cancelled_ = false;
  std::optional<HttpResponse> posted_;  // for the connection's thread
  alignas(std::max_align_t) std::array<std::byte, kPostBytes> post_memory_;
  const std::string path_;
};

}  // namespace mlac
