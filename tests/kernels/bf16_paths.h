#pragma once
// What the tests of bf16 share.
#include <functional>
#include <string>
#include <vector>

#include "kernels/bf16_pack.h"
#include "kernels/instruction_set.h"
#include "tests/support/numbers.h"

namespace mlac::test {

// Calls body for each bound that has bf16 products; false if none has.
inline bool ForEachBf16Path(const std::function<void(const std::string& path)>& body) {
  bool found = false;
  ForEachBound([&](std::string_view bound) {
    if (kernels::Bf16PathInUse() == kernels::Bf16Path::kNone) return;
    found = true;
    body(std::string(bound) + " (" + std::string(kernels::Name(kernels::Bf16PathInUse())) + ")");
  });
  return found;
}

inline std::vector<float> RoundedToBf16(const std::vector<float>& x) {
  std::vector<float> out(x.size());
  kernels::RoundToBf16(x.data(), x.size(), out.data());
  return out;
}

}  // namespace mlac::test
