#pragma once
// What systemd and its like tell a service, and want to hear from it: sd_listen_fds(3) and sd_notify(3), whose protocols are a few
// variables and one datagram.
#include <string_view>
#include <vector>

namespace mlac {

// The sockets that the process was given (LISTEN_PID, LISTEN_FDS), open from descriptor 3 on; none for another process's. The variables are
// removed, so that no child takes them for its own.
std::vector<int> TakeListenSockets();

// "READY=1", "STOPPING=1": sent to NOTIFY_SOCKET, where that is set. A manager that does not listen is no fault of the service.
void NotifyServiceManager(std::string_view state);

}  // namespace mlac
