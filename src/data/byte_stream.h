#pragma once
// A text file as a stream of bytes in bounded memory: checked as it passes, lines counted, a byte order mark skipped.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace mlac {

// Throws kInvalidInput for bytes that are no UTF-8 and for NUL bytes, with line, byte in the line and what the file probably is
// instead; kIo where the system refuses to read. Not for several threads.
class ByteStream {
 public:
  static constexpr int kEnd = -1;

  explicit ByteStream(const std::string& path);            // a regular file
  ByteStream(FileDescriptor file, std::string name);       // anything that can be read: a pipe, standard input
  ByteStream(std::string_view content, std::string name);  // in memory; content must outlive the stream

  // The next byte as 0 to 255, or kEnd.
  int Peek() {
    if (position_ == checked_) Refill();
    return position_ == checked_ ? kEnd : static_cast<unsigned char>(block_[position_]);
  }
  int Get() {
    const int byte = Peek();
    if (byte == kEnd) return kEnd;
    ++position_;
    if (byte == '\r' || (byte == '\n' && !after_carriage_return_)) ++line_;
    if (byte == '\r' || byte == '\n') line_start_ = block_offset_ + position_;
    after_carriage_return_ = byte == '\r';
    return byte;
  }

  // Bytes taken so far.
  uint64_t offset() const { return block_offset_ + position_; }
  // The line of the next byte, from 1. LF, CRLF and CR alone each end a line.
  size_t line() const { return line_; }
  // What is read and not yet taken: at least the first 64 KiB of the file before the first Get(), all of a shorter one.
  std::string_view Buffered();
  const std::string& name() const { return name_; }  // for messages: the path as it was given

 private:
  void Refill();
  [[noreturn]] void ThrowNotText(size_t fault) const;

  FileDescriptor file_;
  std::string_view memory_;
  std::string name_;
  std::vector<char> block_;
  size_t position_ = 0, checked_ = 0, filled_ = 0;  // in block_: next byte; end of what is known to be valid; end of what is read
  uint64_t block_offset_ = 0, line_start_ = 0;      // in the file
  size_t line_ = 1;
  bool after_carriage_return_ = false, at_end_ = false, started_ = false;
};

// Reads one line without its end into `line`. False at the end; text after the last line end counts as a line if it is not empty.
// Throws kTooLarge for a line of more than max_bytes.
bool ReadLine(ByteStream& stream, size_t max_bytes, std::string& line);

}  // namespace mlac
