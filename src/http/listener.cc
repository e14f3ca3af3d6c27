#include "http/listener.h"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/file.h"

namespace mlac {
namespace {

namespace asio = boost::asio;
using asio::generic::stream_protocol;
using boost::system::error_code;
using tcp = asio::ip::tcp;

// The first address of host. Throws kInvalidArgument.
tcp::endpoint Resolve(const std::string& host, int port) {
  addrinfo hints = {};
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int status = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (status != 0)
    throw Error(ErrorCode::kInvalidArgument, fmt::format("host '{}': {}", host, gai_strerror(status)),
                "--host takes an address or a name of this machine");
  tcp::endpoint endpoint;
  endpoint.resize(found->ai_addrlen);
  std::memcpy(endpoint.data(), found->ai_addr, found->ai_addrlen);
  freeaddrinfo(found);
  return endpoint;
}

std::string ToString(const tcp::endpoint& endpoint) {
  const std::string address = endpoint.address().to_string();
  return fmt::format(fmt::runtime(endpoint.address().is_v6() ? "[{}]:{}" : "{}:{}"), address, endpoint.port());
}

// Removes a socket that its process left behind.
void RemoveLeftover(const std::string& path, const sockaddr_un& address) {
  struct stat status = {};
  if (lstat(path.c_str(), &status) != 0) return;
  if (!S_ISSOCK(status.st_mode))
    throw Error(ErrorCode::kAlreadyExists, fmt::format("{}: is there already, and is no socket", path),
                "choose another path with --unix-socket");
  const FileDescriptor probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const bool answered = connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 || errno != ECONNREFUSED;
  if (answered) throw Error(ErrorCode::kIo, fmt::format("cannot listen on {}: another process does", path));
  unlink(path.c_str());
}

}  // namespace

Listener Listener::OnPort(asio::io_context& context, const std::string& host, int port) {
  const tcp::endpoint wanted = Resolve(host, port);
  Listener listener(context);
  Acceptor& acceptor = listener.acceptor_;
  error_code error;
  acceptor.open(stream_protocol(wanted.protocol()), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(wanted, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error)
    throw Error(ErrorCode::kIo, fmt::format("cannot listen on {}: {}", ToString(wanted), error.message()),
                error == asio::error::address_in_use ? "another program has the port; choose one with --port" : "");
  listener.ReadAddress();
  return listener;
}

Listener Listener::OnPath(asio::io_context& context, const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path)
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("the path of a socket has 1 to {} bytes; '{}' has {}", sizeof address.sun_path - 1, path, path.size()));
  std::memcpy(address.sun_path, path.c_str(), path.size());
  RemoveLeftover(path, address);
  Listener listener(context);
  error_code error;
  listener.acceptor_.open(stream_protocol(AF_UNIX, 0), error);
  if (!error) listener.acceptor_.bind(stream_protocol::endpoint(&address, sizeof address), error);
  if (!error) listener.path_ = path;
  if (!error) listener.acceptor_.listen(asio::socket_base::max_listen_connections, error);
  if (error) throw Error(ErrorCode::kIo, fmt::format("cannot listen on {}: {}", path, error.message()));
  listener.ReadAddress();
  return listener;
}

Listener Listener::OnDescriptor(asio::io_context& context, int descriptor) {
  sockaddr_storage address = {};
  socklen_t size = sizeof address;
  int listens = 0, type = 0;
  socklen_t int_size = sizeof(int);
  if (getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size) != 0 ||
      getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listens, &int_size) != 0 || listens == 0 ||
      getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &int_size) != 0 || type != SOCK_STREAM)
    throw Error(ErrorCode::kInvalidArgument, fmt::format("descriptor {} is no socket that streams and listens", descriptor),
                "a systemd socket unit has ListenStream=");
  Listener listener(context);
  error_code error;
  listener.acceptor_.assign(stream_protocol(address.ss_family, address.ss_family == AF_UNIX ? 0 : IPPROTO_TCP), descriptor, error);
  if (error) throw Error(ErrorCode::kIo, fmt::format("descriptor {}: {}", descriptor, error.message()));
  listener.ReadAddress();
  return listener;
}

Listener::Listener(Listener&& other) noexcept
    : acceptor_(std::move(other.acceptor_)),
      port_(other.port_),
      address_(std::move(other.address_)),
      path_(std::exchange(other.path_, "")),
      is_loopback_(other.is_loopback_) {}

Listener::~Listener() {
  if (!path_.empty()) unlink(path_.c_str());
}

void Listener::ReadAddress() {
  error_code ignored;
  acceptor_.non_blocking(true, ignored);
  const stream_protocol::endpoint bound = acceptor_.local_endpoint();
  if (bound.data()->sa_family == AF_UNIX) {
    const auto* address = reinterpret_cast<const sockaddr_un*>(bound.data());
    address_ = bound.size() > offsetof(sockaddr_un, sun_path) ? address->sun_path : "";
    return;
  }
  tcp::endpoint endpoint;
  endpoint.resize(bound.size());
  std::memcpy(endpoint.data(), bound.data(), bound.size());
  port_ = endpoint.port();
  address_ = ToString(endpoint);
  is_loopback_ = endpoint.address().is_loopback();
}

}  // namespace mlac
