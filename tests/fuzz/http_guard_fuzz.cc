// The bytes of a connection: the framing guard sees the same messages however they are parted into reads, keeps within its limits,
// and Beast's parser, given the whole of each message, finds the same body and the same end.
// Reader: src/http/framing_guard.cc
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "http/framing_guard.h"

namespace {

using mlac::FramingGuard;
constexpr mlac::HttpLimits kLimits = {.max_line_bytes = 128, .max_head_bytes = 256, .max_fields = 8, .max_body_bytes = 64};

struct Message {
  std::string head, body;
  size_t begin, end;  // in the bytes
  bool operator==(const Message&) const = default;
};

struct Seen {
  std::vector<Message> messages;
  int status = 0;  // of the refusal, if any
  bool operator==(const Seen&) const = default;
};

void Require(bool condition) {
  if (!condition) std::abort();
}

Seen Watch(std::string_view bytes, size_t step) {
  FramingGuard guard(kLimits);
  Seen seen;
  std::string body;
  size_t begin = 0;
  for (size_t at = 0; at < bytes.size();) {
    const std::string_view piece = bytes.substr(at, step - at % step);
    const size_t taken = guard.stage() == FramingGuard::Stage::kHead ? guard.TakeHead(piece) : guard.TakeBody(piece, &body);
    at += taken;
    Require(guard.head().size() <= kLimits.max_head_bytes && body.size() <= kLimits.max_body_bytes);
    if (guard.stage() == FramingGuard::Stage::kRefused) {
      seen.status = guard.status();
      Require(seen.status >= 400 && seen.status < 600 && !guard.reason().empty());
      return seen;
    }
    if (guard.stage() != FramingGuard::Stage::kComplete) {
      Require(taken > 0);
      continue;
    }
    seen.messages.push_back({std::string(guard.head()), std::move(body), begin, at});
    begin = at;
    body.clear();
    guard.Reset();
  }
  return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace http = boost::beast::http;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const Seen seen = Watch(bytes, std::max<size_t>(size, 1));
  for (const size_t step : {1, 3}) Require(Watch(bytes, step) == seen);

  for (const Message& message : seen.messages) {
    http::request_parser<http::string_body> parser;
    parser.eager(true);
    boost::system::error_code error;
    std::string_view rest = bytes.substr(message.begin, message.end - message.begin);
    if (rest.starts_with("\r\n")) rest.remove_prefix(2);  // the one empty line that is forgiven
    while (!rest.empty() && !parser.is_done() && !error) {
      const size_t taken = parser.put(boost::asio::buffer(rest), error);
      rest.remove_prefix(taken);
      if (taken == 0) break;
    }
    // Beast is the stricter one about the inside of chunk extensions, which mean nothing here, and about lists in Connection and
    // Upgrade, where the server refuses what Beast refuses.
    if (error) continue;
    Require(parser.is_done() && rest.empty());
    Require(parser.get().body() == message.body);
  }
  return 0;
}
