#include "cli/service_signals.h"

#include <unistd.h>

namespace mlac {
namespace {

constexpr int kExitInterrupted = 130;

}  // namespace

ServiceSignals::ServiceSignals() {
  sigemptyset(&signals_);
  sigaddset(&signals_, SIGINT);
  sigaddset(&signals_, SIGTERM);
  sigaddset(&signals_, SIGHUP);
  sigprocmask(SIG_BLOCK, &signals_, nullptr);
  signal(SIGPIPE, SIG_IGN);  // of clients and log readers that have gone
}

int ServiceSignals::Take() {
  int number = 0;
  sigwait(&signals_, &number);
  if (number == SIGHUP) return number;
  const auto leave = [](int) { _exit(kExitInterrupted); };
  signal(SIGINT, leave);
  signal(SIGTERM, leave);
  sigset_t stops;
  sigemptyset(&stops);
  sigaddset(&stops, SIGINT);
  sigaddset(&stops, SIGTERM);
  pthread_sigmask(SIG_UNBLOCK, &stops, nullptr);
  return number;
}

}  // namespace mlac
