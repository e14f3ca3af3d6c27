#pragma once
// CSV: RFC 4180 (https://www.rfc-editor.org/rfc/rfc4180) and what spreadsheets and pandas write: ';' or tab instead of ',', any line
// end, a byte order mark, "sep=;" as the first line. The line that names the columns is the first behind that. Lines without a byte are passed
// over, and where there are several columns rows of empty fields, too; a note counts these. A field that begins with '"' is quoted, holds
// delimiters and line breaks as they stand, and '"' doubled; elsewhere '"' is a character like others.
#include <cstddef>
#include <string>
#include <vector>

#include "data/table.h"

namespace mlac {

class CsvReader : public TableReader {
 public:
  // delimiter: '\0' takes, of ',' ';' and tab, the one with which the first line holds most of the wanted columns, then most columns;
  // notes() tells if it is not ','. A line "sep=" decides in any case. Throws for missing columns and for wanted ones that stand twice.
  CsvReader(ByteStream stream, TableOptions options, char delimiter);

  char delimiter() const { return delimiter_; }
  const std::vector<std::string>& columns() const { return columns_; }  // all of them, in the file's order

 protected:
  bool ReadRow(std::vector<std::string>& cells) override;

 private:
  static constexpr size_t kPassedOver = static_cast<size_t>(-1);

  bool SkipEmptyLines();
  // Takes "sep=;" with its line end; '\0' where the first line is another.
  char TakeSeparatorLine();
  void FindTargets(size_t header_line);
  // Appends the next field to `field` if that is not null. False if it is empty.
  bool ReadField(std::string* field);
  bool ReadQuotedField(std::string* field);
  void NoteBlankRows();
  // Behind a field: takes the delimiter (true) or the line end (false).
  bool AnotherField();
  int Take();

  char delimiter_;
  std::vector<std::string> columns_;
  std::vector<size_t> targets_;  // of each column: which cell it fills, or kPassedOver
  size_t row_bytes_ = 0, num_blank_ = 0, first_blank_line_ = 0;
};

}  // namespace mlac
