#pragma once
// A client of bytes: sends what it is given and parts what comes back into answers.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <string_view>
#include <vector>

namespace mlac {

struct RawAnswer {
  int status = 0;
  std::string head;  // with the empty line
  std::string body;

  // The value of a field, "" if it is not there.
  std::string Field(std::string_view name) const {
    const size_t begin = head.find("\r\n" + std::string(name) + ": ");
    if (begin == std::string::npos) return "";
    const size_t value = begin + name.size() + 4;
    return head.substr(value, head.find("\r\n", value) - value);
  }
};

class RawClient {
 public:
  // A socket that is connected already.
  struct Socket {
    int fd;
  };
  explicit RawClient(Socket connected) : fd_(connected.fd), connected_(true) { BePatient(); }
  explicit RawClient(int port) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    BePatient();
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  RawClient(const RawClient&) = delete;
  ~RawClient() { Close(); }

  bool connected() const { return connected_; }
  int fd() const { return fd_; }

  // Whether all was sent; a server that has closed takes no more.
  bool Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }
  void FinishSending() { shutdown(fd_, SHUT_WR); }
  void Close() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }
  // Closes with a reset instead of a FIN.
  void Reset() {
    const linger at_once = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    Close();
  }

  // One answer, interim ones passed over; status 0 if the connection ends first. to_head: of a HEAD request, so without a body.
  RawAnswer Receive(bool to_head = false) {
    RawAnswer answer;
    do {
      size_t end;
      while ((end = received_.find("\r\n\r\n")) == std::string::npos)
        if (!ReceiveMore()) return {};
      answer.head = received_.substr(0, end + 4);
      received_.erase(0, end + 4);
      if (!answer.head.starts_with("HTTP/1.")) return {};
      answer.status = std::stoi(answer.head.substr(9, 3));
      num_interim_ += answer.status < 200;
    } while (answer.status < 200);
    const std::string length = answer.Field("Content-Length");
    const size_t num_bytes = to_head || length.empty() ? 0 : std::stoul(length);
    while (received_.size() < num_bytes)
      if (!ReceiveMore()) return {};
    answer.body = received_.substr(0, num_bytes);
    received_.erase(0, num_bytes);
    return answer;
  }

  // Whether the server has closed, with nothing more said.
  bool AtEnd() { return received_.empty() && !ReceiveMore() && received_.empty(); }
  size_t num_interim() const { return num_interim_; }

 private:
  // A test that waits for bytes that never come ends so, as a failure.
  void BePatient() const {
    const timeval patience = {.tv_sec = 60, .tv_usec = 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }

  bool ReceiveMore() {
    char buffer[65536];
    const ssize_t count = recv(fd_, buffer, sizeof buffer, 0);
    if (count <= 0) return false;
    received_.append(buffer, static_cast<size_t>(count));
    return true;
  }

  int fd_;
  bool connected_ = false;
  std::string received_;
  size_t num_interim_ = 0;
};

}  // namespace mlac
