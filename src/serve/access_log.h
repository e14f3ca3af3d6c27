#pragma once
// One line a request. Nothing in it was written by a client, but the checked id.
#include <string>

#include "http/server.h"

namespace mlac {

enum class LogFormat { kText, kJson };

// "2026-07-24T09:30:00.123Z POST /embed 200 2.9 ms id=... model=... tokens=21 queue_ms=0.1 compute_ms=2.3", or the same as a JSON object
// (time, id, method, route, status, duration_ms, request_bytes, response_bytes, trace_id of a request with a traceparent, and the notes). With its newline.
std::string FormatAccess(const HttpAccess& access, LogFormat format);

}  // namespace mlac
