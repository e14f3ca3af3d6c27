#pragma once
// A certificate and its key, for servers that speak TLS themselves. OpenSSL's and Asio's headers stay out of here.
#include <memory>
#include <string>

namespace mlac {

class TlsContext;

struct TlsFiles {
  std::string certificate;  // PEM: the server's own first, then those between it and a root
  std::string key;          // PEM, not encrypted
};

// Reads the files. TLS 1.2 and 1.3, with OpenSSL's own choice of ciphers. Throws kNotFound, kIo, or kInvalidInput for files that are no
// certificate or key, or do not belong together.
std::shared_ptr<const TlsContext> LoadTls(const TlsFiles& files);

}  // namespace mlac
