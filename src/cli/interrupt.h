#pragma once
// Ctrl-C and SIGTERM: the first asks for a stop, the second leaves at once.
#include <atomic>

namespace mlac {

// From now on SIGINT and SIGTERM set the flag that is returned; a second signal ends the process with status 130.
const std::atomic<bool>& CatchInterrupts();

}  // namespace mlac
