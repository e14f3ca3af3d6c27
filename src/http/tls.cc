#include "http/tls.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/file.h"
#include "http/tls_context.h"

namespace mlac {
namespace {

namespace ssl = boost::asio::ssl;
using boost::system::error_code;

constexpr size_t kMaxFileBytes = 1 << 20;

// HTTP/1.1 is what is spoken here; a client that offers protocols by ALPN is told so, or it might wait for HTTP/2.
int ChooseProtocol(SSL*, const unsigned char** chosen, unsigned char* chosen_size, const unsigned char* offered, unsigned offered_size,
                   void*) {
  static constexpr unsigned char kHttp11[] = "\x08http/1.1";
  unsigned char* found = nullptr;
  if (SSL_select_next_proto(&found, chosen_size, kHttp11, sizeof kHttp11 - 1, offered, offered_size) != OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_NOACK;
  *chosen = found;
  return SSL_TLSEXT_ERR_OK;
}

}  // namespace

std::shared_ptr<const TlsContext> LoadTls(const TlsFiles& files) {
  const std::string certificate = ReadFile(files.certificate, kMaxFileBytes), key = ReadFile(files.key, kMaxFileBytes);
  ssl::context context(ssl::context::tls_server);
  SSL_CTX_set_min_proto_version(context.native_handle(), TLS1_2_VERSION);
  SSL_CTX_set_options(context.native_handle(), SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(context.native_handle(), SSL_MODE_RELEASE_BUFFERS);  // idle connections stay small
  SSL_CTX_set_alpn_select_cb(context.native_handle(), ChooseProtocol, nullptr);
  // A key that is encrypted asks nobody for its password, who may not be there.
  context.set_password_callback([](size_t, ssl::context::password_purpose) { return std::string(); });
  error_code error;
  context.use_certificate_chain({certificate.data(), certificate.size()}, error);
  if (error)
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: no certificate in PEM's form", files.certificate),
                "it begins with -----BEGIN CERTIFICATE-----");
  context.use_private_key({key.data(), key.size()}, ssl::context::pem, error);
  if (error || SSL_CTX_check_private_key(context.native_handle()) != 1) {
    const bool mismatch = ERR_GET_REASON(static_cast<unsigned long>(error.value())) == X509_R_KEY_VALUES_MISMATCH || !error;
    throw mismatch ? Error(ErrorCode::kInvalidInput, fmt::format("{} is not the key of {}", files.key, files.certificate))
                   : Error(ErrorCode::kInvalidInput, fmt::format("{}: no private key in PEM's form, or an encrypted one", files.key));
  }
  return std::make_shared<const TlsContext>(std::move(context));
}

}  // namespace mlac
