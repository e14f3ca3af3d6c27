#include "text/lower_case.h"

#include "base/utf8.h"
#include "text/unicode.h"

namespace mlac {

std::string LowerCase(std::string_view text) {
  std::string lower;
  for (size_t position = 0; position < text.size();) {
    const char32_t scalar = DecodeUtf8(text, position);
    PutLowerCase(scalar, PropertiesOf(scalar), [&](char32_t lower_scalar) { AppendUtf8(lower, lower_scalar); });
  }
  return lower;
}

}  // namespace mlac
