// Any bytes as a JSON Lines file, lists refused and lists joined: rows or an Error of one line, and lines that only rise.
// Reader: src/data/json_lines.cc
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/utf8.h"
#include "data/table.h"

namespace {

using namespace mlac;

void Read(std::string_view content, const std::string& list_separator) {
  try {
    const auto reader = OpenTable(ByteStream(content, "fuzz"), TableFormat::kJsonLines,
                                  {.columns = {"text", "label"}, .max_row_bytes = 4096, .max_json_depth = 8, .list_separator = list_separator});
    size_t last_line = 0;
    for (std::vector<std::string> cells; reader->Next(cells);) {
      for (const std::string& cell : cells) {
        if (FindInvalidUtf8(cell) != std::string::npos || cell.size() > 4096) abort();
      }
      if (reader->line() <= last_line) abort();
      last_line = reader->line();
    }
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kInternal || error.message().find('\n') != std::string::npos) abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view content(reinterpret_cast<const char*>(data), size);
  for (const char* list_separator : {"", ","}) Read(content, list_separator);
  return 0;
}
