#pragma once
// Log lines: one event a line, as text for people or as JSON for programs, never with what a user sent or what is secret.
#include <concepts>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace mlac {

enum class LogFormat { kText, kJson };
enum class LogLevel { kDebug, kInfo, kWarning, kError };

// "text" or "json". Throws kInvalidArgument for another name.
LogFormat LogFormatOf(std::string_view name);

// A name with a value, which is held as JSON.
struct LogField {
  LogField(std::string_view name, std::string_view value);  // what is no UTF-8 in it is replaced
  LogField(std::string_view name, const char* value) : LogField(name, std::string_view(value)) {}
  LogField(std::string_view name, const std::string& value) : LogField(name, std::string_view(value)) {}
  LogField(std::string_view name, double value);  // in at most 6 digits; infinities and NaN become null
  LogField(std::string_view name, std::integral auto value) : name(name), json(std::to_string(value)) {}
  LogField(std::string_view name, bool value) : name(name), json(value ? "true" : "false") {}

  std::string name, json;
};

struct LogOptions {
  LogFormat format = LogFormat::kText;
  LogLevel threshold = LogLevel::kInfo;  // less is not written
  std::FILE* stream = stderr;
};

// Writes from a thread of its own, so that a reader who does not read holds up nobody: the queue takes 8,192 lines, then the oldest are
// dropped, and a line says how many. Safe to use from several threads; the destructor writes what is queued.
class Logger {
 public:
  explicit Logger(const LogOptions& options = {});
  Logger(const Logger&) = delete;
  Logger& operator=(const Logger&) = delete;
  ~Logger();

  // text:  2026-01-31T12:00:00.123Z info request id=7f3a route=/predict status=200 compute_ms=3.25
  // json:  {"time":"2026-01-31T12:00:00.123Z","level":"info","event":"request","id":"7f3a",...}
  // In text a value stands in quotes if it holds a blank, a quote or a control character, so that no value can look like a line.
  void Write(LogLevel level, std::string_view event, std::span<const LogField> fields = {}) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The line that Write writes, without its end; milliseconds since 1970, UTC.
std::string LogLine(LogFormat format, int64_t unix_ms, LogLevel level, std::string_view event, std::span<const LogField> fields);

}  // namespace mlac
