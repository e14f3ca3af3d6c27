#include "tests/support/program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <stdexcept>

namespace mlac {
namespace {

struct Pipe {
  int read_end = -1, write_end = -1;
  Pipe() {
    std::array<int, 2> ends;
    if (pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
    read_end = ends[0];
    write_end = ends[1];
  }
  ~Pipe() {
    CloseRead();
    CloseWrite();
  }
  void CloseRead() { Close(read_end); }
  void CloseWrite() { Close(write_end); }

 private:
  static void Close(int& fd) {
    if (fd >= 0) close(fd);
    fd = -1;
  }
};

[[noreturn]] void Execute(std::vector<std::string> argv, const ProgramOptions& options, int in, int out, int error) {
  // Blocked or ignored signals are inherited; a user's shell hands down none.
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
  for (const std::string& entry : options.environment) putenv(const_cast<char*>(entry.c_str()));
  dup2(in, STDIN_FILENO);
  dup2(out, STDOUT_FILENO);
  dup2(error, STDERR_FILENO);
  std::vector<char*> pointers;
  for (std::string& argument : argv) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  execvp(pointers[0], pointers.data());
  _exit(127);
}

// Feeds `in` and gathers both outputs until the program has closed them.
void Converse(Pipe& in, Pipe& out, Pipe& error, std::string_view input, ProgramResult& result) {
  fcntl(in.write_end, F_SETFL, O_NONBLOCK);
  if (input.empty()) in.CloseWrite();
  while (out.read_end >= 0 || error.read_end >= 0) {
    std::array<pollfd, 3> fds = {{{out.read_end, POLLIN, 0}, {error.read_end, POLLIN, 0}, {in.write_end, POLLOUT, 0}}};
    if (poll(fds.data(), fds.size(), -1) < 0 && errno != EINTR) throw std::runtime_error("poll");
    std::array<char, 65536> buffer;
    for (size_t i = 0; i < 2; ++i) {
      if (fds[i].revents == 0) continue;
      const ssize_t count = read(fds[i].fd, buffer.data(), buffer.size());
      if (count > 0)
        (i == 0 ? result.out : result.error).append(buffer.data(), static_cast<size_t>(count));
      else
        (i == 0 ? out : error).CloseRead();
    }
    if (fds[2].revents != 0) {
      const ssize_t count = write(in.write_end, input.data(), input.size());
      if (count > 0) input.remove_prefix(static_cast<size_t>(count));
      if ((count < 0 && errno != EAGAIN) || input.empty()) in.CloseWrite();
    }
  }
}

}  // namespace

ProgramResult RunProgram(const std::vector<std::string>& argv, const ProgramOptions& options) {
  signal(SIGPIPE, SIG_IGN);  // a program that does not read its input is no fault of the test
  Pipe in, out, error;
  const int out_file = options.out_path.empty() ? -1 : open(options.out_path.c_str(), O_WRONLY | O_CLOEXEC);
  if (options.close_out) out.CloseRead();
  const pid_t child = fork();
  if (child < 0) throw std::runtime_error("fork");
  if (child == 0) Execute(argv, options, in.read_end, out_file >= 0 ? out_file : out.write_end, error.write_end);
  if (out_file >= 0) close(out_file);
  in.CloseRead();
  out.CloseWrite();
  error.CloseWrite();
  ProgramResult result;
  Converse(in, out, error, options.in, result);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  result.status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return result;
}

ProgramResult RunMlac(std::vector<std::string> arguments, const ProgramOptions& options) {
  arguments.insert(arguments.begin(), MLAC_BINARY);
  return RunProgram(arguments, options);
}

}  // namespace mlac
