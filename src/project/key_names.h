#pragma once
// Messages of the library name options of the command line; who wrote an mlac.yaml has keys.
#include <string>
#include <string_view>

#include "base/error.h"

namespace mlac {

// "--max-length 2" as "train.max_length 2", "--text-column" as "data.text"; an option that has no key stays.
std::string WithKeyNames(std::string_view text);

// The same error in these words.
Error WithKeyNames(const Error& error);

}  // namespace mlac
