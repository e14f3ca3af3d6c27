#pragma once
// A mapped file that was cut short while it is read, or lies on a broken disk: the kernel sends SIGBUS, and nothing can be thrown there.

namespace mlac {

// From now on SIGBUS within a file that mlac has mapped ends the process with one line that names the file, and status 1; any other SIGBUS
// is what it was before. A server that wants to go on has to copy its weights instead.
void CatchBusErrors();

}  // namespace mlac
