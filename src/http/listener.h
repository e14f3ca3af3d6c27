#pragma once
// A socket that waits for clients. For the .cc files of this folder: it includes Asio.
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <string>

namespace mlac {

class Listener {
 public:
  using Acceptor = boost::asio::basic_socket_acceptor<boost::asio::generic::stream_protocol, boost::asio::io_context::executor_type>;

  // An address and port, 0 for any free one. Throws kInvalidArgument for a host that is none, kIo with the system's reason.
  static Listener OnPort(boost::asio::io_context& context, const std::string& host, int port);
  // A socket in the file system. One that nobody listens on any more is replaced. Throws kInvalidArgument for a path that is too long,
  // kAlreadyExists for a file that is no socket, kIo if another process listens there.
  static Listener OnPath(boost::asio::io_context& context, const std::string& path);
  // A socket that listens already, of the process's parent. Throws kInvalidArgument for a descriptor that is none.
  static Listener OnDescriptor(boost::asio::io_context& context, int descriptor);

  Listener(Listener&& other) noexcept;
  ~Listener();

  Acceptor& acceptor() { return acceptor_; }
  bool waits = false;                                      // somebody accepts, or will try again
  int port() const { return port_; }                       // 0 of one that has none
  const std::string& address() const { return address_; }  // "127.0.0.1:8080", or a path
  bool is_loopback() const { return is_loopback_; }        // TCP, for this machine alone

 private:
  explicit Listener(boost::asio::io_context& context) : acceptor_(context) {}
  void ReadAddress();

  Acceptor acceptor_;
  int port_ = 0;
  std::string address_, path_;  // path_: to be removed at the end
  bool is_loopback_ = false;
};

}  // namespace mlac
