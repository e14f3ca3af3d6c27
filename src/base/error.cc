#include "base/error.h"

#include <array>
#include <utility>

namespace mlac {

const ErrorKind& KindOf(ErrorCode code) {
  static constexpr size_t kNumCodes = static_cast<size_t>(ErrorCode::kInternal) + 1;
  static constexpr std::array<ErrorKind, kNumCodes> kKinds = {{  // in the order of ErrorCode
      {"invalid_argument", 1, 400},
      {"invalid_input", 1, 400},
      {"not_found", 1, 404},
      {"already_exists", 1, 409},
      {"unsupported", 1, 422},
      {"too_large", 1, 413},
      {"resource_exhausted", 1, 503},
      {"io", 1, 500},
      {"cancelled", 130, 503},
      {"internal", 1, 500},
  }};
  static_assert(!kKinds.back().name.empty());
  return kKinds[static_cast<size_t>(code)];
}

Error::Error(ErrorCode code, std::string message, std::string hint) : code_(code), message_(std::move(message)), hint_(std::move(hint)) {
  what_ = hint_.empty() ? message_ : message_ + " (" + hint_ + ")";
}

}  // namespace mlac
