#include "http/tls.h"

#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <optional>
#include <thread>

#include "http/server.h"
#include "tests/http/raw_client.h"
#include "tests/support/test_support.h"

namespace mlac {
namespace {

// Writes NAME.crt, signed by itself for this common name, and NAME.key.
TlsFiles MakeCertificate(const test::TemporaryFolder& folder, const std::string& name) {
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"), EVP_PKEY_free);
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(X509_new(), X509_free);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
  X509_set_pubkey(certificate.get(), key.get());
  X509_NAME* subject = X509_get_subject_name(certificate.get());
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  X509_set_issuer_name(certificate.get(), subject);
  X509_sign(certificate.get(), key.get(), EVP_sha256());
  const auto text_of = [](auto write) {
    BIO* bio = BIO_new(BIO_s_mem());
    write(bio);
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    std::string text(data, static_cast<size_t>(size));
    BIO_free(bio);
    return text;
  };
  folder.Write(name + ".crt", text_of([&](BIO* bio) { PEM_write_bio_X509(bio, certificate.get()); }));
  folder.Write(name + ".key", text_of([&](BIO* bio) { PEM_write_bio_PrivateKey(bio, key.get(), nullptr, nullptr, 0, nullptr, nullptr); }));
  return {folder / (name + ".crt"), folder / (name + ".key")};
}

// A client that takes any certificate and says whose it was.
class TlsClient {
 public:
  explicit TlsClient(int port) : raw_(port), context_(SSL_CTX_new(TLS_client_method())), ssl_(SSL_new(context_)) {
    SSL_set_fd(ssl_, raw_.fd());
    connected_ = SSL_connect(ssl_) == 1;
  }
  ~TlsClient() {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
  }
  bool connected() const { return connected_; }
  std::string Name() const {
    char name[64] = {};
    X509* certificate = SSL_get1_peer_certificate(ssl_);
    X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name, sizeof name);
    X509_free(certificate);
    return name;
  }
  bool Send(std::string_view bytes) {
    return SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size())) == static_cast<int>(bytes.size());
  }
  // Status and body of an answer with a length; 0 where none comes.
  std::pair<int, std::string> Receive() {
    size_t end;
    while ((end = received_.find("\r\n\r\n")) == std::string::npos)
      if (!ReceiveMore()) return {};
    RawAnswer answer = {.head = received_.substr(0, end + 4), .body = ""};
    received_.erase(0, end + 4);
    const int status = std::stoi(answer.head.substr(9, 3));
    if (status == 100) return Receive();
    const std::string length = answer.Field("Content-Length");
    const size_t size = length.empty() ? 0 : std::stoul(length);
    while (received_.size() < size)
      if (!ReceiveMore()) return {};
    answer.body = received_.substr(0, size);
    received_.erase(0, size);
    return {status, answer.body};
  }
  // Whether the server has said, by TLS's own means, that nothing more comes.
  bool AtFarewell() {
    char byte;
    return SSL_get_error(ssl_, SSL_read(ssl_, &byte, 1)) == SSL_ERROR_ZERO_RETURN;
  }
  void SayFarewell() { SSL_shutdown(ssl_); }
  RawClient& raw() { return raw_; }

 private:
  bool ReceiveMore() {
    char buffer[65536];
    const int count = SSL_read(ssl_, buffer, sizeof buffer);
    if (count > 0) received_.append(buffer, static_cast<size_t>(count));
    return count > 0;
  }
  RawClient raw_;
  SSL_CTX* context_;
  SSL* ssl_;
  bool connected_ = false;
  std::string received_;
};

class TlsTest : public testing::Test {
 protected:
  void Serve(const TlsFiles& files) {
    HttpRouter router;
    router.Add({.method = "GET", .pattern = "/large", .handler = [](HttpRequest, HttpResponder responder) {
                  responder.Send({.body = std::string(16 << 20, 'x')});
                }});
    router.Add({.method = "POST", .pattern = "/echo", .handler = [](HttpRequest request, HttpResponder responder) {
                  responder.Send({.body = request.body});
                }});
    router.Add({.method = "GET", .pattern = "/hold", .handler = [this](HttpRequest, HttpResponder responder) {
                  const std::lock_guard lock(mutex_);
                  held_.emplace(responder);
                  changed_.notify_all();
                }});
    server_.emplace(HttpServerOptions{.port = 0,
                                      .tls = files,
                                      .limits = {.max_body_bytes = 4 << 20},
                                      .drain_idle = std::chrono::milliseconds(0),
                                      .on_tls_failure =
                                          [this](TlsFailure failure) {
                                            const std::lock_guard lock(mutex_);
                                            failures_.push_back(failure);
                                            changed_.notify_all();
                                          }},
                    std::move(router));
  }
  // The next handshake that failed.
  TlsFailure AwaitFailure() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return failures_.size() > num_taken_; });
    return failures_[num_taken_++];
  }
  static std::string Post(const std::string& body, const std::string& fields = "") {
    return "POST /echo HTTP/1.1\r\nHost: localhost\r\n" + fields + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }
  static std::string Get(const std::string& path) { return "GET " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n"; }

  const test::TemporaryFolder folder_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<HttpResponder> held_;
  std::vector<TlsFailure> failures_;
  size_t num_taken_ = 0;
  std::optional<HttpServer> server_;
};

TEST_F(TlsTest, AnswersSmallAndLargeRequestsOfOneConnection) {
  Serve(MakeCertificate(folder_, "one"));
  EXPECT_EQ(server_->url(), "https://127.0.0.1:" + std::to_string(server_->port()));
  TlsClient client(server_->port());
  ASSERT_TRUE(client.connected());
  EXPECT_EQ(client.Name(), "one");
  const std::string large(3 << 20, 'y');
  for (const std::string& body : {std::string(), std::string("a"), std::string(8192, 'b'), large}) {
    ASSERT_TRUE(client.Send(Post(body)));
    EXPECT_TRUE(client.Receive() == std::pair(200, body)) << body.size();
  }
  ASSERT_TRUE(client.Send(Get("/large") + Get("/large")));  // pipelined
  EXPECT_EQ(client.Receive().second.size(), size_t{16} << 20);
  EXPECT_EQ(client.Receive().second.size(), size_t{16} << 20);
  ASSERT_TRUE(client.Send("POST /echo HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"));
  ASSERT_TRUE(client.Send("c"));
  EXPECT_EQ(client.Receive(), std::pair(200, std::string("c")));
}

TEST_F(TlsTest, SaysFarewellBehindTheLastAnswer) {
  Serve(MakeCertificate(folder_, "one"));
  TlsClient closing(server_->port());
  closing.Send(Post("a", "Connection: close\r\n"));
  EXPECT_EQ(closing.Receive(), std::pair(200, std::string("a")));
  EXPECT_TRUE(closing.AtFarewell());
  TlsClient refused(server_->port());
  refused.Send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000000\r\n\r\n" + std::string(100'000, 'x'));
  EXPECT_EQ(refused.Receive().first, 413);
  EXPECT_TRUE(refused.AtFarewell());
}

TEST_F(TlsTest, ClosesConnectionsThatDoNotSpeakTls) {
  Serve(MakeCertificate(folder_, "one"));
  RawClient plain(server_->port());
  plain.Send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const RawAnswer answer = plain.Receive();
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(answer.body, "this port speaks TLS: ask for https://\r\n");
  EXPECT_EQ(AwaitFailure(), TlsFailure::kPlainHttp);
  RawClient nonsense(server_->port());
  nonsense.Send("\x01\x02\x03\x04 neither TLS nor HTTP");
  EXPECT_EQ(AwaitFailure(), TlsFailure::kOther);
  TlsClient other(server_->port());
  EXPECT_TRUE(other.connected());
}

TEST_F(TlsTest, SaysThatAClientRefusedTheCertificate) {
  Serve(MakeCertificate(folder_, "one"));
  RawClient raw(server_->port());
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);  // and it knows no authority
  SSL* ssl = SSL_new(context);
  SSL_set_fd(ssl, raw.fd());
  EXPECT_NE(SSL_connect(ssl), 1);
  EXPECT_EQ(AwaitFailure(), TlsFailure::kCertificateRefused);
  SSL_free(ssl);
  SSL_CTX_free(context);
}

TEST_F(TlsTest, SeesTheClientGoWhileItsRequestIsComputed) {
  Serve(MakeCertificate(folder_, "one"));
  for (const bool farewell : {true, false}) {
    {
      TlsClient client(server_->port());
      client.Send(Get("/hold"));
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return held_.has_value(); });
      if (farewell) client.SayFarewell();
      client.raw().Close();
    }
    while (!held_->cancelled()) std::this_thread::yield();
    held_.reset();
  }
}

TEST_F(TlsTest, TakesANewCertificateForNewConnectionsAndKeepsTheOldOneWhereItIsBroken) {
  const TlsFiles files = MakeCertificate(folder_, "one");
  Serve(files);
  TlsClient before(server_->port());
  const TlsFiles two = MakeCertificate(folder_, "two");
  std::filesystem::rename(two.certificate, files.certificate);
  test::ExpectError(ErrorCode::kInvalidInput, files.key + " is not the key of " + files.certificate, [&] { server_->ReloadTls(); });
  EXPECT_EQ(TlsClient(server_->port()).Name(), "one");
  std::filesystem::rename(two.key, files.key);
  server_->ReloadTls();
  EXPECT_EQ(TlsClient(server_->port()).Name(), "two");
  before.Send(Post("a"));
  EXPECT_EQ(before.Receive(), std::pair(200, std::string("a")));
}

TEST_F(TlsTest, RefusesFilesThatAreNone) {
  const TlsFiles one = MakeCertificate(folder_, "one"), two = MakeCertificate(folder_, "two");
  folder_.Write("empty", "");
  test::ExpectError(ErrorCode::kNotFound, folder_ / "none" + ": cannot open: No such file or directory", [&] {
    LoadTls({folder_ / "none", one.key});
  });
  test::ExpectError(ErrorCode::kInvalidInput, folder_ / "empty" + ": no certificate in PEM's form", [&] {
    LoadTls({folder_ / "empty", one.key});
  });
  test::ExpectError(ErrorCode::kInvalidInput, one.key + ": no certificate in PEM's form", [&] { LoadTls({one.key, one.key}); });
  test::ExpectError(ErrorCode::kInvalidInput, folder_ / "empty" + ": no private key in PEM's form, or an encrypted one", [&] {
    LoadTls({one.certificate, folder_ / "empty"});
  });
  test::ExpectError(ErrorCode::kInvalidInput, two.key + " is not the key of " + one.certificate, [&] {
    LoadTls({one.certificate, two.key});
  });
}

}  // namespace
}  // namespace mlac
