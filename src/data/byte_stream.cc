#include "data/byte_stream.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/utf8.h"
#include "data/encoding.h"

namespace mlac {
namespace {

constexpr size_t kBlock = size_t{64} << 10;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

}  // namespace

ByteStream::ByteStream(const std::string& path) : ByteStream(OpenForReading(path), path) {}

ByteStream::ByteStream(FileDescriptor file, std::string name) : file_(std::move(file)), name_(std::move(name)), block_(kBlock) {}

ByteStream::ByteStream(std::string_view content, std::string name)
    : memory_(content), name_(std::move(name)), block_(std::min(kBlock, content.size() + 4)) {}

std::string_view ByteStream::Buffered() {
  Peek();
  return {block_.data() + position_, checked_ - position_};
}

// Reads until the block is full, so that what follows depends on the bytes alone and not on how a pipe portions them.
void ByteStream::Refill() {
  if (at_end_) return;
  block_offset_ += checked_;
  std::memmove(block_.data(), block_.data() + checked_, filled_ - checked_);  // a sequence that the last block cut: at most 3 bytes
  filled_ -= checked_;
  position_ = checked_ = 0;
  while (filled_ < block_.size() && !at_end_) {
    if (file_.get() < 0) {
      const size_t count = std::min(memory_.size(), block_.size() - filled_);
      std::copy_n(memory_.data(), count, block_.data() + filled_);
      memory_.remove_prefix(count);
      filled_ += count;
      at_end_ = count == 0;
      continue;
    }
    const ssize_t count = read(file_.get(), block_.data() + filled_, block_.size() - filled_);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw Error(ErrorCode::kIo, fmt::format("{}: cannot read: {}", name_, std::strerror(errno)));
    filled_ += static_cast<size_t>(count);
    at_end_ = count == 0;
  }
  const std::string_view block(block_.data(), filled_);
  if (!started_) {
    started_ = true;
    if (block.starts_with(kByteOrderMark)) position_ = line_start_ = kByteOrderMark.size();
  }
  const size_t nul = std::min(block.find('\0'), filled_);
  const size_t fault = FindInvalidUtf8(block.substr(0, nul));
  if (fault == std::string_view::npos) {
    if (nul < filled_) ThrowNotText(nul);
    checked_ = filled_;
  } else if (!at_end_ && filled_ - fault < 4) {  // perhaps only cut by the end of the block
    checked_ = fault;
  } else {
    ThrowNotText(fault);
  }
}

void ByteStream::ThrowNotText(size_t fault) const {
  const std::string_view block(block_.data(), filled_);
  size_t line = line_;
  uint64_t line_start = line_start_;
  bool after_carriage_return = after_carriage_return_;
  for (size_t i = position_; i < fault; ++i) {
    if (block[i] == '\r' || (block[i] == '\n' && !after_carriage_return)) ++line;
    if (block[i] == '\r' || block[i] == '\n') line_start = block_offset_ + i + 1;
    after_carriage_return = block[i] == '\r';
  }
  const unsigned char found = static_cast<unsigned char>(block[fault]);
  const FileGuess guess = GuessFile(block, block_offset_);
  throw Error(ErrorCode::kInvalidInput,
              fmt::format("{}: line {}, byte {}: expected UTF-8 text, found {}{}", name_, line, block_offset_ + fault - line_start + 1,
                          found == 0 ? "a NUL byte" : fmt::format("the byte 0x{:02X}", found),
                          guess.name.empty() ? "" : fmt::format("; the file looks like {}", guess.name)),
              guess.hint);
}

bool ReadLine(ByteStream& stream, size_t max_bytes, std::string& line) {
  line.clear();
  if (stream.Peek() == ByteStream::kEnd) return false;
  const size_t number = stream.line();
  for (;;) {
    const int byte = stream.Get();
    if (byte == ByteStream::kEnd || byte == '\n') return true;
    if (byte == '\r') {
      if (stream.Peek() == '\n') stream.Get();
      return true;
    }
    if (line.size() == max_bytes)
      throw Error(ErrorCode::kTooLarge, fmt::format("{}: line {} is longer than {} bytes", stream.name(), number, max_bytes));
    line += static_cast<char>(byte);
  }
}

}  // namespace mlac
