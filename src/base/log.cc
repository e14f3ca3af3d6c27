#include "base/log.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <spdlog/async_logger.h>
#include <spdlog/details/thread_pool.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <ctime>

#include "base/error.h"
#include "base/json.h"
#include "base/utf8.h"

namespace mlac {
namespace {

constexpr size_t kQueueLength = 8192;
constexpr std::array<std::string_view, 4> kLevels = {"debug", "info", "warning", "error"};

std::string Timestamp(int64_t unix_ms) {
  const std::time_t seconds = unix_ms / 1000;
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(seconds), unix_ms % 1000);
}

// A JSON value as text shows it: a plain string without its quotes.
std::string_view Plain(std::string_view json) {
  if (json.size() <= 2 || json.front() != '"') return json;
  const std::string_view inside = json.substr(1, json.size() - 2);
  const bool plain = std::all_of(inside.begin(), inside.end(), [](unsigned char c) { return c > ' ' && c != '"' && c != '\\' && c != '=' && c != 0x7f; });
  return plain ? inside : json;
}

std::string ReplaceInvalidUtf8(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t valid = std::min(FindInvalidUtf8(text), text.size());
    out += text.substr(0, valid);
    text.remove_prefix(valid);
    if (text.empty()) break;
    AppendUtf8(out, U'\uFFFD');
    text.remove_prefix(1);
  }
  return out;
}

// spdlog's sink for stderr takes any stream this way.
class StreamSink final : public spdlog::sinks::stdout_sink_base<spdlog::details::console_mutex> {
 public:
  explicit StreamSink(std::FILE* stream) : stdout_sink_base(stream) {}
};

}  // namespace

LogFormat LogFormatOf(std::string_view name) {
  if (name == "text") return LogFormat::kText;
  if (name == "json") return LogFormat::kJson;
  throw Error(ErrorCode::kInvalidArgument, fmt::format("log format '{}' is neither text nor json", name));
}

LogField::LogField(std::string_view name, std::string_view value) : name(name) { AppendJsonString(json, ReplaceInvalidUtf8(value)); }

LogField::LogField(std::string_view name, double value) : name(name), json(std::isfinite(value) ? fmt::format("{:.6g}", value) : "null") {}

std::string LogLine(LogFormat format, int64_t unix_ms, LogLevel level, std::string_view event, std::span<const LogField> fields) {
  const std::string_view level_name = kLevels[static_cast<size_t>(level)];
  const LogField event_field("event", event);
  if (format == LogFormat::kText) {
    std::string line = fmt::format("{} {} {}", Timestamp(unix_ms), level_name, Plain(event_field.json));
    for (const LogField& field : fields) line += fmt::format(" {}={}", field.name, Plain(field.json));
    return line;
  }
  std::string line = fmt::format(R"({{"time":"{}","level":"{}","event":{})", Timestamp(unix_ms), level_name, event_field.json);
  for (const LogField& field : fields) {
    line += ',';
    AppendJsonString(line, field.name);
    line += ':';
    line += field.json;
  }
  return line + "}";
}

struct Logger::Impl {
  explicit Impl(const LogOptions& options)
      : options(options),
        pool(std::make_shared<spdlog::details::thread_pool>(kQueueLength, 1)),
        sink(std::make_shared<StreamSink>(options.stream)),
        logger(std::make_shared<spdlog::async_logger>("mlac", sink, pool, spdlog::async_overflow_policy::overrun_oldest)) {
    logger->set_pattern("%v", spdlog::pattern_time_type::utc);
    logger->set_level(spdlog::level::trace);  // the threshold is ours
  }

  LogOptions options;
  std::shared_ptr<spdlog::details::thread_pool> pool;
  std::shared_ptr<StreamSink> sink;
  std::shared_ptr<spdlog::async_logger> logger;
};

Logger::Logger(const LogOptions& options) : impl_(std::make_unique<Impl>(options)) {}

Logger::~Logger() {
  if (const size_t dropped = impl_->pool->overrun_counter(); dropped > 0) {
    const LogField field("lines", dropped);
    Write(LogLevel::kWarning, "log lines dropped: the reader was too slow", {&field, 1});
  }
}

void Logger::Write(LogLevel level, std::string_view event, std::span<const LogField> fields) const {
  if (level < impl_->options.threshold) return;
  const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch());
  impl_->logger->log(spdlog::level::info, "{}", LogLine(impl_->options.format, now.count(), level, event, fields));
}

}  // namespace mlac
