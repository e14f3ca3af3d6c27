// Any bytes as a CSV file: rows or an Error, never more text than the file holds, and lines that only rise.
// Reader: src/data/csv.cc src/data/encoding.cc
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "base/utf8.h"
#include "data/check.h"
#include "data/split.h"
#include "data/texts.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mlac;
  const std::string_view content(reinterpret_cast<const char*>(data), size);
  for (const TableFormat format : {TableFormat::kCsv, TableFormat::kTsv}) {
    try {
      const auto reader = OpenTable(ByteStream(content, "fuzz"), format, {.columns = {"text", "label"}, .max_row_bytes = 4096});
      size_t num_bytes = 0, last_line = 0;
      for (std::vector<std::string> cells; reader->Next(cells);) {
        for (const std::string& cell : cells) {
          if (FindInvalidUtf8(cell) != std::string::npos) abort();
          num_bytes += cell.size();
        }
        if (reader->line() <= last_line || num_bytes > size) abort();
        last_line = reader->line();
      }
      const auto again = OpenTable(ByteStream(content, "fuzz"), format, {.columns = {"text", "label"}, .max_row_bytes = 4096});
      const LabelledTexts texts = ReadLabelledTexts(*again, {});
      const SplitRows split = SplitStratified(texts, 0.3, 0);
      const LabelledTexts train = Subset(texts, split.train), validation = Subset(texts, split.validation);
      const std::vector<DataPart> parts = {{.name = "train", .data = &train}, {.name = "validation", .data = &validation}};
      for (const Finding& finding : CheckData(parts)) {
        if (finding.code == "text_in_two_parts" || FindingLine(finding).find('\n') != std::string::npos) abort();
      }
    } catch (const Error& error) {
      if (error.code() == ErrorCode::kInternal || error.message().find('\n') != std::string::npos) abort();
    }
  }
  return 0;
}
