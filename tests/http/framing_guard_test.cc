#include "http/framing_guard.h"

#include <gtest/gtest.h>

#include "http/router.h"
#include "tests/http/raw_requests.h"

namespace mlac {
namespace {

// What the guard makes of a connection's bytes that come `step` at a time: each whole message with its body, then why it refused.
std::vector<std::string> Messages(std::string_view bytes, size_t step) {
  FramingGuard guard({.max_body_bytes = 1000});
  std::vector<std::string> messages;
  std::string body;
  while (!bytes.empty()) {
    std::string_view piece = bytes.substr(0, step);
    size_t taken = 0;
    while (taken < piece.size() && guard.stage() != FramingGuard::Stage::kRefused) {
      if (guard.stage() == FramingGuard::Stage::kHead) {
        taken += guard.TakeHead(piece.substr(taken));
      } else {
        taken += guard.TakeBody(piece.substr(taken), &body);
      }
      if (guard.stage() == FramingGuard::Stage::kRefused) {
        messages.push_back(std::to_string(guard.status()) + " " + std::string(guard.reason()));
        return messages;
      }
      if (guard.stage() != FramingGuard::Stage::kComplete) continue;
      messages.push_back(std::string(guard.head()) + body);
      body.clear();
      guard.Reset();
    }
    bytes.remove_prefix(piece.size());
  }
  return messages;
}

TEST(FramingGuard, SeesTheSameMessagesHoweverTheBytesArePartedIntoReads) {
  for (const RawRequest& request : RawRequests()) {
    const std::vector<std::string> whole = Messages(request.bytes, request.bytes.size());
    for (const size_t step : {1, 2, 3, 7, 100}) EXPECT_EQ(Messages(request.bytes, step), whole) << request.name << ", by " << step;
  }
}

TEST(FramingGuard, TakesNoByteBehindTheMessage) {
  const std::string message = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
  FramingGuard guard({});
  const size_t head = guard.TakeHead(message + "GET");
  EXPECT_EQ(head, message.size() - 3);
  std::string body;
  EXPECT_EQ(guard.TakeBody("abcGET", &body), 3u);
  EXPECT_EQ(body, "abc");
  EXPECT_EQ(guard.stage(), FramingGuard::Stage::kComplete);
}

TEST(FramingGuard, ReadsABodyOverWithoutKeepingIt) {
  FramingGuard guard({});
  guard.TakeHead("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
  const std::string chunks = "3\r\nabc\r\n0\r\n\r\n";
  EXPECT_EQ(guard.TakeBody(chunks, nullptr), chunks.size());
  EXPECT_EQ(guard.stage(), FramingGuard::Stage::kComplete);
}

TEST(FramingGuard, KeepsAtMostTheHeadLimitOfAStreamWithoutEnd) {
  FramingGuard guard({});
  const std::string block(4096, 'a');
  for (int i = 0; i < 100 && guard.stage() == FramingGuard::Stage::kHead; ++i) guard.TakeHead(block);
  EXPECT_EQ(guard.stage(), FramingGuard::Stage::kRefused);
  EXPECT_EQ(guard.status(), 431);
  EXPECT_LE(guard.head().size(), HttpLimits().max_line_bytes + 2);
}

TEST(FramingGuard, RefusesEveryControlByteInAHead) {
  for (int c = 0; c < 256; ++c) {
    if (c == '\t' || (c >= 0x20 && c != 0x7f)) continue;
    FramingGuard guard({});
    guard.TakeHead("GET / HTTP/1.1\r\nHost: a\r\nX: a" + std::string(1, static_cast<char>(c)) + "b\r\n\r\n");
    EXPECT_EQ(guard.status(), 400) << "byte " << c;
  }
}

TEST(FramingGuard, TakesExactlyTheTokenBytesInAName) {
  for (int c = 0; c < 256; ++c) {
    const bool token = std::isalnum(c) || (c != 0 && std::string_view("!#$%&'*+-.^_`|~").find(static_cast<char>(c)) != std::string_view::npos);
    FramingGuard guard({});
    guard.TakeHead("GET / HTTP/1.1\r\nHost: a\r\nX" + std::string(1, static_cast<char>(c)) + ": b\r\n\r\n");
    // A colon ends the name earlier, which is fine too.
    EXPECT_EQ(guard.stage() == FramingGuard::Stage::kComplete, token || c == ':') << "byte " << c;
  }
}

}  // namespace
}  // namespace mlac
