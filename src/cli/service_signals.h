#pragma once
// What a user or a service manager tells a server by signals.
#include <signal.h>

namespace mlac {

// Made before any thread is started, so that all leave these signals to Take: SIGINT, SIGTERM and SIGHUP.
class ServiceSignals {
 public:
  ServiceSignals();
  // Waits for one. After SIGINT or SIGTERM another one of them ends the process at once, with status 130.
  int Take();

 private:
  sigset_t signals_;
};

}  // namespace mlac
