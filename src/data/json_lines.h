#pragma once
// JSON Lines (https://jsonlines.org): one object a line. Blank lines are passed over, keys that are not wanted too.
#include <string>
#include <vector>

#include "data/table.h"

namespace mlac {

// A wanted value becomes the text that the same table in CSV would hold: a string as it is, true and false by name, a number by its
// shortest decimal, a whole one without a fraction, so that 3, 3.0 and "3" are one label. null, arrays and objects are refused.
class JsonLinesReader : public TableReader {
 public:
  JsonLinesReader(ByteStream stream, TableOptions options);

 protected:
  bool ReadRow(std::vector<std::string>& cells) override;

 private:
  std::string text_;  // the current line
};

}  // namespace mlac
