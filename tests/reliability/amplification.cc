// reliability_amplification PORT PID: what bytes cost a server and what they cost the client that sends them. Standard input: cases one
// behind the other, each a line with the number of its bytes, then those. A case is sent on a connection of its own, the sending side is
// closed, and the answers are read to the end; that is repeated until the server has used 20 ms, at most 200 times. Prints a JSON object a
// case: microseconds of CPU time of client and server (the whole process PID) each time, the peak of the server's memory above what it had
// before the first time (KiB), and the statuses.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

constexpr double kEnoughServerSeconds = 0.02;
constexpr int kMaxTimes = 200, kMinTimes = 3;

double Seconds(clockid_t clock) {
  timespec time = {};
  if (clock_gettime(clock, &time) != 0) throw std::runtime_error("the server's CPU time cannot be read");
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

size_t MemoryKib(pid_t pid, const std::string& field) {
  std::ifstream status(fmt::format("/proc/{}/status", pid));
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(field + ":")) return std::strtoul(line.c_str() + field.size() + 1, nullptr, 10);
  throw std::runtime_error("the server's memory cannot be read");
}

// The statuses of the answers in the order in which they come.
std::vector<int> Statuses(std::string_view answers) {
  std::vector<int> statuses;
  while (answers.starts_with("HTTP/1.1 ")) {
    const int status = std::atoi(answers.data() + 9);
    if (status >= 200) statuses.push_back(status);
    const size_t end = answers.find("\r\n\r\n"), length = answers.find("\r\nContent-Length: ");
    if (end == std::string_view::npos) break;
    const size_t num_body_bytes = length < end ? std::strtoul(answers.data() + length + 18, nullptr, 10) : 0;
    answers.remove_prefix(std::min(answers.size(), end + 4 + num_body_bytes));
  }
  return statuses;
}

// Sends what the server takes, while it reads what comes: a server that is stuck with its answers would take no more.
std::string Ask(int port, std::string_view bytes) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd < 0 || connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) throw std::runtime_error("cannot connect");
  std::string answers;
  std::vector<char> buffer(1 << 18);
  const auto receive = [&](int flags) {
    const ssize_t count = recv(fd, buffer.data(), buffer.size(), flags);
    if (count > 0) answers.append(buffer.data(), static_cast<size_t>(count));
    return count;
  };
  while (!bytes.empty()) {
    const ssize_t sent = send(fd, bytes.data(), std::min<size_t>(bytes.size(), 1 << 18), MSG_NOSIGNAL);
    if (sent <= 0) break;
    bytes.remove_prefix(static_cast<size_t>(sent));
    while (receive(MSG_DONTWAIT) > 0) {
    }
  }
  shutdown(fd, SHUT_WR);
  while (receive(0) > 0) {
  }
  close(fd);
  return answers;
}

void ResetPeak(pid_t pid) {
  std::ofstream file(fmt::format("/proc/{}/clear_refs", pid));
  file << 5;
}

void Measure(int port, pid_t pid, std::string_view bytes) {
  clockid_t server_clock;
  if (clock_getcpuclockid(pid, &server_clock) != 0) throw std::runtime_error("no such server");
  const size_t before_kib = MemoryKib(pid, "VmRSS");
  ResetPeak(pid);
  const std::vector<int> statuses = Statuses(Ask(port, bytes));
  const size_t peak_kib = MemoryKib(pid, "VmHWM");

  const double client_start = Seconds(CLOCK_PROCESS_CPUTIME_ID), server_start = Seconds(server_clock);
  int times = 0;
  double client = 0, server = 0;
  while (times < kMaxTimes && (times < kMinTimes || server < kEnoughServerSeconds)) {
    Ask(port, bytes);
    ++times;
    client = Seconds(CLOCK_PROCESS_CPUTIME_ID) - client_start;
    server = Seconds(server_clock) - server_start;
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(2));  // what the server does behind its last answer
  server = Seconds(server_clock) - server_start;
  fmt::print(R"({{"client_us": {:.1f}, "server_us": {:.1f}, "peak_kib": {}, "statuses": [{}]}})"
             "\n",
             client / times * 1e6, server / times * 1e6, peak_kib > before_kib ? peak_kib - before_kib : 0, fmt::join(statuses, ", "));
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc != 3) throw std::runtime_error("reliability_amplification PORT PID < CASES");
    for (std::string line; std::getline(std::cin, line);) {
      std::string bytes(std::strtoul(line.c_str(), nullptr, 10), '\0');
      if (!std::cin.read(bytes.data(), static_cast<std::streamsize>(bytes.size()))) throw std::runtime_error("a case ends too early");
      Measure(std::atoi(argv[1]), std::atoi(argv[2]), bytes);
    }
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
