#pragma once
// The bytes of one client: a socket of any family, in the clear or under TLS. For the .cc files of this folder: it includes Asio.
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "http/server.h"
#include "http/tls.h"

namespace mlac {

// Used by one thread. What is under way ends with an error when it is closed; a handler is never called from within the call that it is
// given to.
class HttpStream {
 public:
  using Socket = boost::asio::basic_stream_socket<boost::asio::generic::stream_protocol, boost::asio::io_context::executor_type>;
  using Handler = std::function<void(const boost::system::error_code& error, size_t num_bytes)>;

  // tls: null for bytes in the clear.
  HttpStream(Socket socket, std::shared_ptr<const TlsContext> tls);
  ~HttpStream();

  bool is_encrypted() const { return tls_ != nullptr; }

  // Only where is_encrypted: before anything else.
  void Handshake(Handler handler);
  // What a handshake that ended with this error says of the client.
  static TlsFailure FailureOf(const boost::system::error_code& error);
  // Behind a handshake that failed: writes a few bytes without TLS, as far as they go at once.
  void WriteInTheClear(std::string_view bytes);
  // The end of what the client sends is the error asio::error::eof, under TLS with or without its own farewell.
  void Read(boost::asio::mutable_buffer buffer, Handler handler);
  // head and body go out one behind the other; one Write at a time.
  void Write(std::string head, std::string body, Handler handler);
  // Writes a few bytes at once, between requests' answers. Whether the connection still stands; a buffer that is full is no fault.
  bool WriteInterim(std::string_view bytes);
  // Calls the handler when the connection is reset.
  void AwaitReset(Handler handler);
  // Says that nothing more comes. Under TLS the handler is called when the client has said so too, or does not speak TLS any more.
  void FinishSending(Handler handler);
  void Close();
  // From here on, closing drops what the client has not taken yet and resets the connection. Else the system goes on offering it.
  void DropUnsent();

 private:
  struct Tls;
  Socket socket_;
  std::unique_ptr<Tls> tls_;
  std::string head_, body_;  // that are being written
  bool finished_ = false;  // what TLS says; bytes are read over as they are
};

}  // namespace mlac
