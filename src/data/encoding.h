#pragma once
// What a file that is no UTF-8 text probably is, so that the error can say what to do.
#include <cstdint>
#include <string>
#include <string_view>

namespace mlac {

struct FileGuess {
  std::string name;  // "Shift_JIS", "a gzip archive"; empty where nothing fits
  std::string hint;  // the command or the menu that makes UTF-8 text of it
};

// block: some bytes of the file, starting at byte `offset` of it. A guess by byte order mark, NUL bytes, file signatures and the
// structure of the multi-byte encodings; good enough for a hint, never for decoding.
FileGuess GuessFile(std::string_view block, uint64_t offset);

}  // namespace mlac
