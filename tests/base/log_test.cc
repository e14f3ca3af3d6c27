#include "base/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"

namespace mlac {
namespace {

constexpr int64_t kNoon = 1769860800123;  // 2026-01-31 12:00:00.123 UTC

TEST(LogLine, TextIsTimeLevelEventAndFields) {
  const std::vector<LogField> fields = {{"id", "7f3a"}, {"status", 200}, {"compute_ms", 3.25}, {"cached", false}};
  EXPECT_EQ(LogLine(LogFormat::kText, kNoon, LogLevel::kInfo, "request", fields),
            "2026-01-31T12:00:00.123Z info request id=7f3a status=200 compute_ms=3.25 cached=false");
}

TEST(LogLine, JsonHoldsTheSameWithTypes) {
  const std::vector<LogField> fields = {{"id", "7f3a"}, {"status", 200}, {"ms", std::numeric_limits<double>::infinity()}};
  EXPECT_EQ(LogLine(LogFormat::kJson, kNoon, LogLevel::kWarning, "slow request", fields),
            R"({"time":"2026-01-31T12:00:00.123Z","level":"warning","event":"slow request","id":"7f3a","status":200,"ms":null})");
}

TEST(LogLine, NoValueCanForgeALineOrAField) {
  const std::vector<std::string> hostile = {"a\nb", "a b", "a=b", "\"", "\x1b[2J", "\x7f", "\xff", "\r", ""};
  for (const std::string& value : hostile) {
    const std::vector<LogField> fields = {{"id", value}};
    const std::string text = LogLine(LogFormat::kText, kNoon, LogLevel::kInfo, "request", fields);
    for (const char c : text) EXPECT_TRUE(static_cast<unsigned char>(c) >= 0x20) << text;
    EXPECT_TRUE(text.find(" id=\"") != std::string::npos || value == "\xff") << text;
    const nlohmann::json json = nlohmann::json::parse(LogLine(LogFormat::kJson, kNoon, LogLevel::kInfo, "request", fields));
    EXPECT_EQ(json.at("id").get<std::string>(), value == "\xff" ? "\uFFFD" : value);
  }
}

TEST(LogFormatOf, RefusesOtherNames) {
  EXPECT_EQ(LogFormatOf("text"), LogFormat::kText);
  EXPECT_EQ(LogFormatOf("json"), LogFormat::kJson);
  try {
    LogFormatOf("xml");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.message(), "log format 'xml' is neither text nor json");
  }
}

// What was written to the stream, from its start.
std::vector<std::string> LinesOf(std::FILE* stream) {
  std::rewind(stream);
  std::string content(1 << 20, '\0');
  content.resize(std::fread(content.data(), 1, content.size(), stream));
  std::vector<std::string> lines;
  std::istringstream in(content);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

TEST(Logger, WritesWholeLinesFromSeveralThreadsAndNothingBelowItsThreshold) {
  std::FILE* stream = std::tmpfile();
  {
    const Logger logger({.format = LogFormat::kJson, .threshold = LogLevel::kInfo, .stream = stream});
    std::vector<std::thread> threads;
    for (int thread = 0; thread < 4; ++thread)
      threads.emplace_back([&logger, thread] {
        for (int i = 0; i < 100; ++i) {
          const std::vector<LogField> fields = {{"thread", thread}, {"i", i}};
          logger.Write(LogLevel::kInfo, "tick", fields);
          logger.Write(LogLevel::kDebug, "tock", fields);
        }
      });
    for (std::thread& thread : threads) thread.join();
  }
  const std::vector<std::string> lines = LinesOf(stream);
  EXPECT_EQ(lines.size(), 400u);
  for (const std::string& line : lines) EXPECT_EQ(nlohmann::json::parse(line).at("event"), "tick");
  std::fclose(stream);
}

TEST(Logger, AReaderWhoDoesNotReadHoldsUpNobody) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  std::FILE* stream = fdopen(ends[1], "w");
  const std::string filler(1000, 'x');
  std::thread reader;
  {
    const Logger logger({.format = LogFormat::kText, .threshold = LogLevel::kInfo, .stream = stream});
    const LogField field("filler", filler);
    for (int i = 0; i < 20'000; ++i) logger.Write(LogLevel::kInfo, "flood", {&field, 1});  // 20 MB into a pipe of 64 KiB
    reader = std::thread([&] {  // only now does anybody read
      std::string all, buffer(1 << 16, '\0');
      for (ssize_t count; (count = read(ends[0], buffer.data(), buffer.size())) > 0;) all.append(buffer.data(), static_cast<size_t>(count));
      EXPECT_THAT(all, testing::HasSubstr("log lines dropped: the reader was too slow\" lines="));
    });
  }
  std::fclose(stream);
  reader.join();
  close(ends[0]);
}

}  // namespace
}  // namespace mlac
