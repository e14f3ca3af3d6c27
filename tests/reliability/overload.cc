// reliability_overload PORT RATE SECONDS CONNECTIONS: sends the request that stands on standard input RATE times a second, whatever the
// server answers, on whichever of CONNECTIONS connections has no request under way; RATE 0: on each as soon as it is answered. One thread.
// Prints one JSON object: for each status the number of answers and how long they took (ms, from before the send to after the read), the
// answers of status 429 without Retry-After, the requests that found no free connection when they were due, and the connections that
// failed.
#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <exception>
#include <iostream>
#include <iterator>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

struct Statistics {
  std::map<int, std::vector<double>> milliseconds;  // by status
  size_t num_without_retry_after = 0, num_held_back = 0, num_failed = 0;
};

struct Client {
  int fd = -1;
  Clock::time_point sent;
  std::string received;
};

int Connect(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd < 0 || connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) throw std::runtime_error("cannot connect");
  const int yes = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  fcntl(fd, F_SETFL, O_NONBLOCK);
  return fd;
}

class Load {
 public:
  Load(int port, double rate, size_t num_clients, std::string request) : rate_(rate), request_(std::move(request)), clients_(num_clients) {
    for (size_t i = 0; i < num_clients; ++i) {
      clients_[i].fd = Connect(port);
      epoll_event event = {.events = EPOLLIN, .data = {.u64 = i}};
      epoll_ctl(epoll_, EPOLL_CTL_ADD, clients_[i].fd, &event);
      idle_.push_back(i);
    }
  }

  void Run(double seconds) {
    const Clock::time_point start = Clock::now(),
                            end = start + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
    size_t num_due = 0;
    for (Clock::time_point now = start; now < end; now = Clock::now()) {
      if (rate_ == 0) {
        while (!idle_.empty()) SendNext();
      } else {
        const size_t due = static_cast<size_t>(std::chrono::duration<double>(now - start).count() * rate_);
        for (; num_due < due; ++num_due) idle_.empty() ? void(++statistics_.num_held_back) : SendNext();
      }
      Receive();
    }
    seconds_ = std::chrono::duration<double>(Clock::now() - start).count();
  }

  void Print() {
    rusage usage = {};
    getrusage(RUSAGE_SELF, &usage);
    const auto in_seconds = [](const timeval& time) { return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6; };
    std::string statuses;
    for (auto& [status, times] : statistics_.milliseconds) {
      std::sort(times.begin(), times.end());
      const auto at = [&](double share) {
        return times[std::min(times.size() - 1, static_cast<size_t>(static_cast<double>(times.size()) * share))];
      };
      statuses += fmt::format(R"({}"{}": {{"count": {}, "p50": {:.3f}, "p99": {:.3f}, "p999": {:.3f}, "max": {:.3f}}})",
                              statuses.empty() ? "" : ", ", status, times.size(), at(0.5), at(0.99), at(0.999), times.back());
    }
    fmt::print(R"({{"seconds": {:.3f}, "cpu_s": {:.3f}, "statuses": {{{}}}, "without_retry_after": {}, "held_back": {}, "failed": {}}})"
               "\n",
               seconds_, in_seconds(usage.ru_utime) + in_seconds(usage.ru_stime), statuses, statistics_.num_without_retry_after,
               statistics_.num_held_back, statistics_.num_failed);
  }

 private:
  void SendNext() {
    // The one that has waited longest: a server closes those that nobody uses for some seconds.
    Client& client = clients_[idle_.front()];
    idle_.pop_front();
    client.sent = Clock::now();
    if (send(client.fd, request_.data(), request_.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request_.size())) Fail(client);
  }

  void Fail(Client& client) {
    ++statistics_.num_failed;
    close(client.fd);
    client.fd = -1;
  }

  void Receive() {
    epoll_event events[256];
    const int count = epoll_wait(epoll_, events, std::size(events), /*timeout_ms=*/rate_ == 0 ? 100 : 1);
    for (int i = 0; i < count; ++i) {
      Client& client = clients_[events[i].data.u64];
      char bytes[16384];
      const ssize_t num_bytes = recv(client.fd, bytes, sizeof bytes, 0);
      if (num_bytes < 0 && errno == EAGAIN) continue;
      if (num_bytes <= 0) {
        Fail(client);
        continue;
      }
      client.received.append(bytes, static_cast<size_t>(num_bytes));
      if (TakeAnswer(client)) idle_.push_back(events[i].data.u64);
    }
  }

  // Whether the answer is whole.
  bool TakeAnswer(Client& client) {
    const size_t end = client.received.find("\r\n\r\n");
    if (end == std::string::npos) return false;
    const std::string_view head = std::string_view(client.received).substr(0, end);
    const size_t length = head.find("\r\nContent-Length: ");
    const size_t num_body_bytes = length == std::string_view::npos ? 0 : std::strtoul(head.data() + length + 18, nullptr, 10);
    if (client.received.size() < end + 4 + num_body_bytes) return false;
    const int status = std::atoi(client.received.c_str() + 9);
    if (status == 429 && head.find("\r\nretry-after: ") == std::string_view::npos) ++statistics_.num_without_retry_after;
    statistics_.milliseconds[status].push_back(std::chrono::duration<double, std::milli>(Clock::now() - client.sent).count());
    client.received.clear();
    return true;
  }

  const double rate_;
  const std::string request_;
  const int epoll_ = epoll_create1(0);
  std::vector<Client> clients_;
  std::deque<size_t> idle_;
  Statistics statistics_;
  double seconds_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc != 5) throw std::runtime_error("reliability_overload PORT RATE SECONDS CONNECTIONS < REQUEST");
    Load load(std::atoi(argv[1]), std::atof(argv[2]), static_cast<size_t>(std::atoi(argv[4])),
              std::string(std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()));
    load.Run(std::atof(argv[3]));
    load.Print();
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
