#include "http/framing_guard.h"

#include <algorithm>
#include <array>

#include "http/message.h"
#include "http/target.h"

namespace mlac {
namespace {

// Extensions mean nothing to us, but each costs the client little and us work (CVE-2023-39326 in another server): all of a message
// together stay below this.
constexpr size_t kMaxExtensionBytes = 4096;
// Digits of a chunk's size: 16 fill 64 bits.
constexpr size_t kMaxSizeDigits = 16;
constexpr std::string_view kTooLarge = "the body is larger than the payload limit";
// The memory of a head that is kept for the next one; more would stay with each idle connection.
constexpr size_t kMaxKeptHead = 1024;

// tchar of RFC 9110 section 5.6.2.
constexpr std::array<bool, 256> kIsTokenByte = [] {
  std::array<bool, 256> table = {};
  for (int c = '0'; c <= '9'; ++c) table[c] = true;
  for (int c = 'a'; c <= 'z'; ++c) table[c] = table[c - 'a' + 'A'] = true;
  for (const char c : std::string_view("!#$%&'*+-.^_`|~")) table[static_cast<unsigned char>(c)] = true;
  return table;
}();

bool IsToken(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return kIsTokenByte[static_cast<unsigned char>(c)]; });
}

bool IsControl(char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f; }

// Whether the list of codings ends in chunked and says it once: then the length is known, only the other codings are not ours.
bool EndsInChunkedAlone(std::string_view codings) {
  size_t num_chunked = 0;
  for (size_t begin = 0;;) {
    const size_t end = std::min(codings.find(',', begin), codings.size());
    const std::string_view coding = TrimBlanks(codings.substr(begin, end - begin));
    const bool chunked = EqualsIgnoringCase(coding, "chunked");
    num_chunked += chunked;
    if (!IsToken(coding)) return false;
    if (end == codings.size()) return chunked && num_chunked == 1;
    begin = end + 1;
  }
}

// Fields that a trailer may not hold, because they frame, route or guard the message that is already under way (RFC 9110 section 6.5.1).
bool IsForbiddenInTrailer(std::string_view name) {
  for (const std::string_view forbidden : {"content-length", "transfer-encoding", "trailer", "host", "connection", "te", "upgrade", "expect",
                                           "authorization", "content-type", "content-encoding", "content-range"})
    if (EqualsIgnoringCase(name, forbidden)) return true;
  return false;
}

}  // namespace

void FramingGuard::Refuse(int status, std::string_view reason) {
  stage_ = Stage::kRefused;
  status_ = status;
  reason_ = reason;
}

void FramingGuard::Reset() {
  std::string head = std::move(head_);
  head.clear();
  *this = FramingGuard(limits_);
  if (head.capacity() <= kMaxKeptHead) head_ = std::move(head);  // its memory, for the next head
}

size_t FramingGuard::TakeHead(std::string_view bytes) {
  size_t taken = 0;
  while (stage_ == Stage::kHead && taken < bytes.size()) {
    begun_ = true;
    const size_t newline = bytes.find('\n', taken);
    const bool whole = newline != std::string_view::npos;
    const size_t num_bytes = (whole ? newline + 1 : bytes.size()) - taken;
    const size_t line_room = limits_.max_line_bytes + 2 - (head_.size() - line_start_), head_room = limits_.max_head_bytes - head_.size();
    if (num_bytes > std::min(line_room, head_room)) {
      Refuse(431, line_room < head_room ? "a line of the head is too long" : "the head of the request is too large");
      break;
    }
    head_.append(bytes, taken, num_bytes);
    taken += num_bytes;
    if (whole) {
      TakeLine(std::string_view(head_).substr(line_start_));
      line_start_ = head_.size();
    }
  }
  return taken;
}

// line: with its end.
void FramingGuard::TakeLine(std::string_view line) {
  if (!line.ends_with("\r\n")) return Refuse(400, "a line ends without a carriage return");
  line.remove_suffix(2);
  if (std::any_of(line.begin(), line.end(), IsControl)) return Refuse(400, "a control character in the head");
  if (!has_request_line_) {
    if (!line.empty()) return TakeRequestLine(line);
    // RFC 9112 section 2.2: one empty line before the request is forgiven.
    if (skipped_empty_line_) return Refuse(400, "empty lines where a request line is expected");
    skipped_empty_line_ = true;
    head_.clear();
    return;
  }
  if (line.empty()) return FinishHead();
  TakeField(line);
}

void FramingGuard::TakeRequestLine(std::string_view line) {
  has_request_line_ = true;
  const size_t first = line.find(' ');
  const size_t second = first == std::string_view::npos ? first : line.find(' ', first + 1);
  if (second == std::string_view::npos) return Refuse(400, "the request line is not 'METHOD TARGET HTTP/1.1'");
  const std::string_view method = line.substr(0, first), target = line.substr(first + 1, second - first - 1);
  const std::string_view version = line.substr(second + 1);
  if (!IsToken(method)) return Refuse(400, "the method is no token");
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  if (version.size() != 8 || !version.starts_with("HTTP/") || !is_digit(version[5]) || version[6] != '.' || !is_digit(version[7]))
    return Refuse(400, "the request line does not end in 'HTTP/1.1'");
  if (version != "HTTP/1.1" && version != "HTTP/1.0") return Refuse(505, "only HTTP/1.1 and HTTP/1.0 are spoken");
  http_1_0_ = version == "HTTP/1.0";
  if (method == "CONNECT") return Refuse(501, "no tunnels");
  if (!ParseTarget(method, target)) return Refuse(400, "the target of the request is no valid path or URL");
}

std::string_view FramingGuard::target() const {
  if (!has_request_line_) return {};
  const std::string_view line = std::string_view(head_).substr(0, head_.find('\r'));
  const size_t first = line.find(' '), second = first == std::string_view::npos ? first : line.find(' ', first + 1);
  return second == std::string_view::npos ? std::string_view() : line.substr(first + 1, second - first - 1);
}

void FramingGuard::TakeField(std::string_view line) {
  if (++num_fields_ > limits_.max_fields) return Refuse(431, "too many header fields");
  if (line[0] == ' ' || line[0] == '\t') return Refuse(400, "a folded header line");
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return Refuse(400, "a header line without a colon");
  const std::string_view name = line.substr(0, colon), value = TrimBlanks(line.substr(colon + 1));
  if (!IsToken(name)) return Refuse(400, "the name of a header field is no token");
  if (EqualsIgnoringCase(name, "content-length")) {
    if (has_length_) return Refuse(400, "Content-Length stands twice");
    has_length_ = true;
    if (value.empty()) return Refuse(400, "Content-Length is no number");
    for (const char c : value) {
      if (c < '0' || c > '9') return Refuse(400, "Content-Length is no number");
      const uint64_t digit = static_cast<uint64_t>(c - '0');
      if (length_ > (INT64_MAX - digit) / 10) return Refuse(400, "Content-Length does not fit into 63 bits");
      length_ = length_ * 10 + digit;
    }
  } else if (EqualsIgnoringCase(name, "transfer-encoding")) {
    if (has_coding_) return Refuse(400, "Transfer-Encoding stands twice");
    has_coding_ = true;
    if (EqualsIgnoringCase(value, "chunked")) return;
    if (EndsInChunkedAlone(value)) return Refuse(501, "of the transfer codings, only chunked is understood");
    Refuse(400, "Transfer-Encoding does not end in chunked");
  } else if (EqualsIgnoringCase(name, "host")) {
    if (has_host_) return Refuse(400, "Host stands twice");
    has_host_ = true;
    if (!IsValidAuthority(value)) return Refuse(400, "Host is no valid host");
  } else if (EqualsIgnoringCase(name, "expect")) {
    if (has_expect_ || !EqualsIgnoringCase(value, "100-continue")) return Refuse(417, "Expect other than 100-continue");
    has_expect_ = true;
  }
}

void FramingGuard::FinishHead() {
  if (!http_1_0_ && !has_host_) return Refuse(400, "Host is missing");
  if (has_coding_ && has_length_) return Refuse(400, "Content-Length and Transfer-Encoding together");
  if (has_coding_ && http_1_0_) return Refuse(400, "Transfer-Encoding in HTTP/1.0");
  expects_continue_ = has_expect_ && !http_1_0_ && (has_coding_ || length_ > 0);
  remaining_ = length_;
  step_ = has_coding_ ? BodyStep::kSizeStart : BodyStep::kLength;
  stage_ = has_coding_ || length_ > 0 ? Stage::kBody : Stage::kComplete;
}

size_t FramingGuard::TakeBody(std::string_view bytes, std::string* body) {
  if (body_too_large()) Refuse(413, kTooLarge);
  size_t taken = 0;
  while (stage_ == Stage::kBody && taken < bytes.size()) {
    if (step_ != BodyStep::kLength && step_ != BodyStep::kData) {
      TakeChunkByte(bytes[taken++]);
      continue;
    }
    const size_t num_bytes = static_cast<size_t>(std::min<uint64_t>(remaining_, bytes.size() - taken));
    if (body) {
      // Room for as much as is announced, but never for more than four times what has come: to grow costs more than to fill it.
      const size_t size = body->size() + num_bytes;
      if (size > body->capacity()) body->reserve(static_cast<size_t>(std::min<uint64_t>(body->size() + remaining_, 4 * size)));
      body->append(bytes, taken, num_bytes);
    }
    taken += num_bytes;
    num_body_bytes_ += num_bytes;
    remaining_ -= num_bytes;
    if (remaining_ > 0) continue;
    if (step_ == BodyStep::kLength) {
      stage_ = Stage::kComplete;
    } else {
      step_ = BodyStep::kDataReturn;
    }
  }
  return taken;
}

// One byte of the chunked coding that is no content: RFC 9112 section 7.1, without blanks around the size.
void FramingGuard::TakeChunkByte(char c) {
  switch (step_) {
    case BodyStep::kSizeStart:
      remaining_ = 0;
      num_size_digits_ = 0;
      step_ = BodyStep::kSize;
      [[fallthrough]];
    case BodyStep::kSize:
      if (const int digit = HexValue(c); digit >= 0) {
        if (++num_size_digits_ > kMaxSizeDigits) return Refuse(400, "the size of a chunk is too long");
        remaining_ = remaining_ * 16 + static_cast<uint64_t>(digit);
        return;
      }
      if (num_size_digits_ == 0) return Refuse(400, "the size of a chunk is no hexadecimal number");
      if (c == '\r') {
        step_ = BodyStep::kSizeEnd;
      } else if (c == ';') {
        step_ = BodyStep::kExtension;
      } else {
        Refuse(400, "the size of a chunk is no hexadecimal number");
      }
      return;
    case BodyStep::kExtension:
      if (c == '\r') {
        step_ = BodyStep::kSizeEnd;
      } else if (IsControl(c)) {
        Refuse(400, "a control character in a chunk extension");
      } else if (++num_extension_bytes_ > kMaxExtensionBytes) {
        Refuse(400, "the chunk extensions are too long");
      }
      return;
    case BodyStep::kSizeEnd:
      if (c != '\n') return Refuse(400, "the line of a chunk's size does not end in CRLF");
      if (remaining_ > limits_.max_body_bytes - num_body_bytes_) return Refuse(413, kTooLarge);
      step_ = remaining_ > 0 ? BodyStep::kData : BodyStep::kTrailer;
      return;
    case BodyStep::kDataReturn:
      if (c != '\r') return Refuse(400, "a chunk is longer than its size says");
      step_ = BodyStep::kDataEnd;
      return;
    case BodyStep::kDataEnd:
      if (c != '\n') return Refuse(400, "a chunk does not end in CRLF");
      step_ = BodyStep::kSizeStart;
      return;
    case BodyStep::kTrailer:
      if (++num_trailer_bytes_ > limits_.max_head_bytes) return Refuse(431, "the trailers are too large");
      trailer_line_ += c;
      if (c == '\n') return TakeTrailerLine();
      if (trailer_line_.size() > limits_.max_line_bytes + 1) Refuse(431, "a trailer line is too long");
      return;
    default: return;  // content: not here
  }
}

void FramingGuard::TakeTrailerLine() {
  std::string_view line = trailer_line_;
  if (!line.ends_with("\r\n")) return Refuse(400, "a trailer line ends without a carriage return");
  line.remove_suffix(2);
  if (std::any_of(line.begin(), line.end(), IsControl)) return Refuse(400, "a control character in a trailer");
  if (line.empty()) {
    stage_ = Stage::kComplete;
    return;
  }
  if (++num_fields_ > limits_.max_fields) return Refuse(431, "too many header fields");
  const std::string_view name = line.substr(0, line.find(':'));
  if (name.size() == line.size() || !IsToken(name)) return Refuse(400, "the name of a trailer field is no token");
  if (IsForbiddenInTrailer(name)) return Refuse(400, "a trailer field that belongs into the head");
  trailer_line_.clear();
}

}  // namespace mlac
