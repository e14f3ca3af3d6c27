#pragma once
// Ctrl-C and SIGTERM: what has something to save is asked for a stop by the first, and left at once by the second; what has nothing is left
// by the first.
#include <atomic>

namespace mlac {

// From now on SIGINT and SIGTERM set the flag that is returned; a second signal ends the process with status 130.
const std::atomic<bool>& CatchInterrupts();

// From now on SIGINT and SIGTERM end the process at once with status 130.
void LeaveOnInterrupt();

}  // namespace mlac
