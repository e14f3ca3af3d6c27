#include "cli/bus_error.h"

#include <signal.h>
#include <unistd.h>

#include <cstring>

#include "base/file.h"

namespace mlac {
namespace {

void Write(const char* text) { [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, text, std::strlen(text)); }

void Handle(int signal_number, siginfo_t* info, void*) {
  const char* name = MappedFileAt(info->si_addr);
  if (name == nullptr) {  // returning repeats the access, now with the default: the process ends by SIGBUS, with a core file if wanted
    signal(signal_number, SIG_DFL);
    return;
  }
  Write("mlac: ");
  Write(name);
  Write(": it was cut short or cannot be read any more, while mlac was reading it\nhint: fetch the file again; replace a model by renaming, never in place\n");
  _exit(1);
}

}  // namespace

void CatchBusErrors() {
  struct sigaction action = {};
  action.sa_sigaction = Handle;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGBUS, &action, nullptr);
}

}  // namespace mlac
