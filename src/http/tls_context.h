#pragma once
// What LoadTls gives, for the .cc files of this folder: it includes Asio.
#include <boost/asio/ssl/context.hpp>

#include "http/tls.h"

namespace mlac {

class TlsContext {
 public:
  explicit TlsContext(boost::asio::ssl::context context) : context_(std::move(context)) {}
  // Asio wants it mutable, though a connection only reads it.
  boost::asio::ssl::context& context() const { return context_; }

 private:
  mutable boost::asio::ssl::context context_;
};

}  // namespace mlac
