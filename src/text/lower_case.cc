#include "text/lower_case.h"

#include "base/utf8.h"
#include "text/unicode.h"

namespace mlac {

std::string LowerCase(std::string_view text) {
  std::string lower;
  for (size_t position = 0; position < text.size();) {
    const char32_t scalar = DecodeUtf8(text, position);
    if (scalar == 0x130) {  // the one scalar that becomes two
      lower += "i\u0307";
    } else {
      AppendUtf8(lower, static_cast<char32_t>(static_cast<int32_t>(scalar) + PropertiesOf(scalar).lower_delta));
    }
  }
  return lower;
}

}  // namespace mlac
