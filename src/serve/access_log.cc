#include "serve/access_log.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>

#include "base/json.h"

namespace mlac {
namespace {

std::string FormatTime(std::chrono::system_clock::time_point time) {
  thread_local std::time_t second = -1;  // written once a second and thread
  thread_local std::string text;
  if (const std::time_t now = std::chrono::system_clock::to_time_t(time); now != second) {
    text = fmt::format("{:%Y-%m-%dT%H:%M:%S}", fmt::gmtime(now));
    second = now;
  }
  return fmt::format("{}.{:03}Z", text, std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count() % 1000);
}

// Whether text is a JSON number as it stands: notes are numbers or names.
bool IsNumber(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || c == '.'; }) &&
         std::count(text.begin(), text.end(), '.') <= 1 && text.front() != '.' && text.back() != '.' &&
         (text.size() == 1 || text[0] != '0' || text[1] == '.');
}

std::string FormatJson(const HttpAccess& access) {
  std::string line = fmt::format(R"({{"time":"{}","id":"{}","method":"{}","route":)", FormatTime(access.time), access.id, access.method);
  AppendJsonString(line, access.route);
  line += fmt::format(R"(,"status":{},"duration_ms":{:.3f},"request_bytes":{},"response_bytes":{})", access.status, access.duration_ms,
                      access.num_request_bytes, access.num_response_bytes);
  if (access.trace) line += fmt::format(R"(,"trace_id":"{}")", access.trace->trace_id);
  for (const HttpField& note : access.notes) {
    line += ',';
    AppendJsonString(line, note.name);
    line += ':';
    if (note.name != "model" && IsNumber(note.value)) {
      line += note.value;
    } else {
      AppendJsonString(line, note.value);
    }
  }
  return line + "}\n";
}

}  // namespace

std::string FormatEvent(const LogEvent& event, LogFormat format, std::chrono::system_clock::time_point time) {
  const std::string_view level = event.level == LogLevel::kInfo ? "info" : "warning";
  if (format == LogFormat::kText) return fmt::format("{} {} {}\n", FormatTime(time), level, event.message);
  std::string line = fmt::format(R"({{"time":"{}","level":"{}","event":"{}")", FormatTime(time), level, event.event);
  const auto add = [&](std::string_view name, const std::string& value) {
    line += fmt::format(R"(,"{}":)", name);
    AppendJsonString(line, value);
  };
  for (const HttpField& field : event.fields)
    if (!field.value.empty()) add(field.name, field.value);
  add("message", event.message);
  return line + "}\n";
}

std::string FormatAccess(const HttpAccess& access, LogFormat format) {
  if (format == LogFormat::kJson) return FormatJson(access);
  std::string line = fmt::format("{} {} {} {} {:.1f} ms id={}", FormatTime(access.time), access.method, access.route, access.status,
                                 access.duration_ms, access.id);
  if (access.trace) line += " trace_id=" + access.trace->trace_id;
  for (const HttpField& note : access.notes) line += fmt::format(" {}={}", note.name, note.value);
  return line + "\n";
}

}  // namespace mlac
