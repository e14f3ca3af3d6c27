#include "http/stream.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <array>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <utility>

#include "http/tls_context.h"

namespace mlac {

namespace asio = boost::asio;
using boost::system::error_code;

// A body of up to this is copied behind its head: one buffer, and one record of TLS.
constexpr size_t kMaxJoinedBytes = 4096;

struct HttpStream::Tls {
  Tls(Socket& socket, std::shared_ptr<const TlsContext> context) : context(std::move(context)), stream(socket, this->context->context()) {}
  std::shared_ptr<const TlsContext> context;  // lives as long as a connection that began with it
  asio::ssl::stream<Socket&> stream;
};

HttpStream::HttpStream(Socket socket, std::shared_ptr<const TlsContext> tls) : socket_(std::move(socket)) {
  error_code ignored;
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);  // a Unix socket has no such option
  socket_.non_blocking(true, ignored);
  if (tls) tls_ = std::make_unique<Tls>(socket_, std::move(tls));
}

HttpStream::~HttpStream() = default;

void HttpStream::Handshake(Handler handler) {
  tls_->stream.async_handshake(asio::ssl::stream_base::server,
                               [handler = std::move(handler)](const error_code& error) { handler(error, 0); });
}

TlsFailure HttpStream::FailureOf(const error_code& error) {
  if (error.category() != asio::error::get_ssl_category()) return TlsFailure::kOther;
  switch (ERR_GET_REASON(static_cast<unsigned long>(error.value()))) {
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST: return TlsFailure::kPlainHttp;
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE: return TlsFailure::kCertificateRefused;
    default: return TlsFailure::kOther;
  }
}

void HttpStream::WriteInTheClear(std::string_view bytes) {
  error_code ignored;  // it does not matter to the server whether the client reads it
  socket_.write_some(asio::buffer(bytes.data(), bytes.size()), ignored);
  socket_.shutdown(Socket::shutdown_send, ignored);
}

void HttpStream::Read(asio::mutable_buffer buffer, Handler handler) {
  if (!tls_ || finished_) return socket_.async_read_some(buffer, std::move(handler));
  tls_->stream.async_read_some(buffer, [handler = std::move(handler)](const error_code& error, size_t num_bytes) {
    handler(error == asio::ssl::error::stream_truncated ? error_code(asio::error::eof) : error, num_bytes);
  });
}

void HttpStream::Write(std::string head, std::string body, Handler handler) {
  head_ = std::move(head);
  if (body.size() <= kMaxJoinedBytes) {
    head_ += body;
  } else {
    body_ = std::move(body);
  }
  auto done = [this, handler = std::move(handler)](const error_code& error, size_t num_bytes) {
    std::string().swap(head_);  // a connection that waits for the next request keeps no answer, nor memory of one
    std::string().swap(body_);
    handler(error, num_bytes);
  };
  const auto write = [&](const auto& buffers) {
    tls_ ? asio::async_write(tls_->stream, buffers, std::move(done)) : asio::async_write(socket_, buffers, std::move(done));
  };
  if (body_.empty()) return write(asio::buffer(head_));
  write(std::array{asio::const_buffer(asio::buffer(head_)), asio::const_buffer(asio::buffer(body_))});
}

bool HttpStream::WriteInterim(std::string_view bytes) {
  error_code error;
  const auto buffer = asio::buffer(bytes.data(), bytes.size());
  const size_t sent = tls_ ? tls_->stream.write_some(buffer, error) : socket_.write_some(buffer, error);
  return error == asio::error::would_block || (!error && sent == bytes.size());
}

void HttpStream::AwaitReset(Handler handler) {
  socket_.async_wait(Socket::wait_error, [handler = std::move(handler)](const error_code& error) { handler(error, 0); });
}

void HttpStream::FinishSending(Handler handler) {
  const auto finish = [this] {
    error_code ignored;
    finished_ = true;
    socket_.shutdown(Socket::shutdown_send, ignored);
  };
  if (tls_) {
    tls_->stream.async_shutdown([finish, handler = std::move(handler)](const error_code& error) {
      finish();
      handler(error, 0);
    });
    return;
  }
  finish();
  asio::post(socket_.get_executor(), [handler = std::move(handler)] { handler({}, 0); });
}

void HttpStream::DropUnsent() {
  error_code ignored;
  socket_.set_option(asio::socket_base::linger(true, 0), ignored);
}

void HttpStream::Close() {
  error_code ignored;
  socket_.close(ignored);
}

}  // namespace mlac
