#pragma once
// Lower case of any script, by the tables of the tokenizers.
#include <string>
#include <string_view>

namespace mlac {

// text must be valid UTF-8.
std::string LowerCase(std::string_view text);

}  // namespace mlac
