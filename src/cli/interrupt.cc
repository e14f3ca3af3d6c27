#include "cli/interrupt.h"

#include <signal.h>
#include <unistd.h>

namespace mlac {
namespace {

constexpr int kInterrupted = 130;
std::atomic<bool> g_stop = false;  // a signal handler can reach nothing else
static_assert(std::atomic<bool>::is_always_lock_free);

void Handle(int) {
  if (g_stop.exchange(true)) _exit(kInterrupted);
}

void Leave(int) { _exit(kInterrupted); }

void Catch(void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;  // the C library does not carry on a printf that a signal interrupts
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

}  // namespace

const std::atomic<bool>& CatchInterrupts() {
  Catch(Handle);
  return g_stop;
}

void LeaveOnInterrupt() { Catch(Leave); }

}  // namespace mlac
