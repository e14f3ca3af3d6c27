#pragma once
// The log: one line a request, and one for what happens to the server itself. Nothing of a request was written by a client, but the checked
// id.
#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "http/server.h"

namespace mlac {

enum class LogFormat { kText, kJson };
enum class LogLevel { kInfo, kWarning };

// What happens to the server: "serving", "swapped".
struct LogEvent {
  LogLevel level = LogLevel::kInfo;
  std::string_view event;              // a fixed word, for programs
  std::string message;                 // for people
  std::vector<HttpField> fields = {};  // for programs: {"url", "http://..."}; of those with "" nothing is said
};

// "2026-07-24T09:30:00.123Z info serving topics on http://127.0.0.1:8080", or a JSON object: time, level, event, the fields, message. With
// its newline.
std::string FormatEvent(const LogEvent& event, LogFormat format,
                        std::chrono::system_clock::time_point time = std::chrono::system_clock::now());

// "2026-07-24T09:30:00.123Z POST /embed 200 2.9 ms id=... model=... tokens=21 queue_ms=0.1 compute_ms=2.3", or the same as a JSON object
// (time, id, method, route, status, duration_ms, request_bytes, response_bytes, trace_id of a request with a traceparent, and the notes). With its newline.
std::string FormatAccess(const HttpAccess& access, LogFormat format);

}  // namespace mlac
