#pragma once
// "Did you mean": the known name nearest to one that is not known.
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mlac {

// The candidates by edit distance to name (insert, delete, replace, swap of neighbours), nearest first; ties in the given order.
std::vector<std::string> ByDistance(std::string_view name, std::span<const std::string> candidates);

// The nearest candidate if it is near enough to be a slip of the hand (distance at most a third of the longer name, at least 1),
// else "".
std::string NearestName(std::string_view name, std::span<const std::string> candidates);

// A hint: "did you mean 'x'?", or "" if no candidate is near, or there are more than 10,000, which a stranger's file may bring.
std::string DidYouMean(std::string_view name, std::span<const std::string> candidates);

}  // namespace mlac
