#pragma once
// Broken numbers: NaN and infinity, in weights and in what a model gives.
#include <cstddef>
#include <optional>
#include <span>

namespace mlac {

// Where the first number is that is not finite; nothing where all are.
std::optional<size_t> FindNotFinite(std::span<const float> values);

}  // namespace mlac
