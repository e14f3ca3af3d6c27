// Where a server listens beside a port of its own: Unix sockets, and sockets that its parent made.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <filesystem>

#include "http/server.h"
#include "tests/http/raw_client.h"
#include "tests/support/test_support.h"

namespace mlac {
namespace {

const std::string kGet = "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n";

HttpRouter Router() {
  HttpRouter router;
  router.Add({.method = "GET", .pattern = "/", .handler = [](HttpRequest, HttpResponder responder) { responder.Send({.body = "here"}); }});
  return router;
}

sockaddr_un AddressOf(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  return address;
}

// A socket that listens on path.
int ListenOn(const std::string& path) {
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  const sockaddr_un address = AddressOf(path);
  EXPECT_EQ(bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(listen(fd, 8), 0);
  return fd;
}

// What a client of a Unix socket is answered, "" where nobody listens.
std::string AskPath(const std::string& path) {
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  const sockaddr_un address = AddressOf(path);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    close(fd);
    return "";
  }
  RawClient client{RawClient::Socket{fd}};
  client.Send(kGet);
  return client.Receive().body;
}

TEST(UnixSocket, AnswersAndGoesWithItsServer) {
  const test::TemporaryFolder folder;
  const std::string path = folder / "mlac.sock";
  {
    HttpServer server({.unix_socket = path}, Router());
    EXPECT_EQ(server.url(), "unix:" + path);
    EXPECT_EQ(server.port(), 0);
    EXPECT_EQ(AskPath(path), "here");  // whatever its Host: no browser comes this way
    EXPECT_TRUE(server.Shutdown(std::chrono::seconds(60)));
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(UnixSocket, ReplacesOneThatNobodyListensOnAndNothingElse) {
  const test::TemporaryFolder folder;
  const std::string path = folder / "mlac.sock";
  close(ListenOn(path));
  ASSERT_TRUE(std::filesystem::exists(path));
  {
    HttpServer server({.unix_socket = path}, Router());
    EXPECT_EQ(AskPath(path), "here");
    test::ExpectError(ErrorCode::kIo, "cannot listen on " + path + ": another process does",
                      [&] { HttpServer({.unix_socket = path}, Router()); });
    EXPECT_EQ(AskPath(path), "here");
  }
  folder.Write("file", "mine");
  test::ExpectError(ErrorCode::kAlreadyExists, folder / "file" + ": is there already, and is no socket",
                    [&] { HttpServer({.unix_socket = folder / "file"}, Router()); });
  EXPECT_EQ(std::filesystem::file_size(folder / "file"), 4u);
  test::ExpectError(ErrorCode::kIo, "cannot listen on " + (folder / "none/s") + ": No such file or directory",
                    [&] { HttpServer({.unix_socket = folder / "none/s"}, Router()); });
  const std::string longest(107, 'x');
  test::ExpectError(ErrorCode::kInvalidArgument, "the path of a socket has 1 to 107 bytes; '" + longest + "x' has 108",
                    [&] { HttpServer({.unix_socket = longest + "x"}, Router()); });
}

TEST(GivenSockets, AreServedAllOfThem) {
  const test::TemporaryFolder folder;
  const int unix_fd = ListenOn(folder / "s");
  const int tcp_fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(bind(tcp_fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(listen(tcp_fd, 8), 0);
  HttpServer server({.descriptors = {tcp_fd, unix_fd}}, Router());
  EXPECT_NE(AskPath(folder / "s"), "here");  // beside a port of this machine a foreign Host is refused on both
  RawClient client(server.port());
  client.Send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_EQ(client.Receive().body, "here");
  client.Close();
  server.Shutdown(std::chrono::seconds(60));
  EXPECT_TRUE(std::filesystem::exists(folder / "s"));  // it is the parent's
}

TEST(GivenSockets, AreRefusedWhereTheyDoNotListen) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  const std::string message = "descriptor " + std::to_string(fd) + " is no socket that streams and listens";
  test::ExpectError(ErrorCode::kInvalidArgument, message, [&] { HttpServer({.descriptors = {fd}}, Router()); });
  close(fd);
  test::ExpectError(ErrorCode::kInvalidArgument, message, [&] { HttpServer({.descriptors = {fd}}, Router()); });
}

}  // namespace
}  // namespace mlac
