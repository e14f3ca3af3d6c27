#pragma once
// Decides where each request of a connection begins and ends, and refuses whatever two parsers could read in two ways (RFC 9112,
// read strictly). Beast's parser sees only heads that passed here, and never a body: chunks are taken apart here too, so no second
// opinion about the framing exists.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace mlac {

struct HttpLimits {
  size_t max_line_bytes = 8 << 10;   // of the request line or one field, without its CRLF
  size_t max_head_bytes = 16 << 10;  // request line, fields and the empty line; trailers have as much again
  size_t max_fields = 100;           // head and trailers together
  size_t max_body_bytes = 2'000'000;
};

class FramingGuard {
 public:
  enum class Stage {
    kHead,      // TakeHead wants more bytes
    kBody,      // the head is whole; TakeBody wants bytes
    kComplete,  // the message is whole
    kRefused,   // status() and reason() say why; the connection has to be closed after the answer
  };

  explicit FramingGuard(const HttpLimits& limits) : limits_(limits) {}

  // Takes bytes of the head and returns how many; never a byte behind the head.
  size_t TakeHead(std::string_view bytes);
  // Takes bytes of the body and returns how many; never a byte behind the message. Content is appended to *body, or dropped if
  // body is null.
  size_t TakeBody(std::string_view bytes, std::string* body);
  // Ready for the next message.
  void Reset();

  Stage stage() const { return stage_; }
  int status() const { return status_; }
  std::string_view reason() const { return reason_; }

  // As it stands in the request line, also in one that is refused; "" while that is not whole, and where it has none.
  std::string_view target() const;

  // Valid from the end of the head on. head(): from the request line to the empty line, every line checked.
  std::string_view head() const { return head_; }
  bool expects_continue() const { return expects_continue_; }
  // Whether the head says that the body is larger than max_body_bytes. The stage is kBody all the same, so that whoever answers can look at
  // the head first; TakeBody then refuses it.
  bool body_too_large() const { return length_ > limits_.max_body_bytes; }
  bool http_1_0() const { return http_1_0_; }
  // Whether any byte of a message has come.
  bool begun() const { return begun_; }

 private:
  enum class BodyStep { kLength, kSizeStart, kSize, kExtension, kSizeEnd, kData, kDataReturn, kDataEnd, kTrailer };

  void TakeLine(std::string_view line);
  void TakeRequestLine(std::string_view line);
  void TakeField(std::string_view line);
  void FinishHead();
  void TakeChunkByte(char c);
  void TakeTrailerLine();
  void Refuse(int status, std::string_view reason);

  HttpLimits limits_;
  Stage stage_ = Stage::kHead;
  int status_ = 0;
  std::string_view reason_;  // one of ours, static

  std::string head_;
  size_t line_start_ = 0;  // of the line that is not whole yet
  size_t num_fields_ = 0;
  bool begun_ = false, skipped_empty_line_ = false, has_request_line_ = false, http_1_0_ = false;
  bool has_host_ = false, has_length_ = false, has_coding_ = false, has_expect_ = false, expects_continue_ = false;
  uint64_t length_ = 0;

  BodyStep step_ = BodyStep::kLength;
  uint64_t remaining_ = 0;  // of the body, or of the chunk
  size_t num_body_bytes_ = 0, num_size_digits_ = 0, num_extension_bytes_ = 0, num_trailer_bytes_ = 0;
  std::string trailer_line_;
};

}  // namespace mlac
