#include "base/nearest_name.h"

#include <algorithm>

#include "base/display.h"
#include "base/error.h"

namespace mlac {
namespace {

// Optimal string alignment distance (Damerau 1964), by three rows of the table.
size_t Distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

constexpr size_t kLongestName = 128;  // beyond, no name is a slip of ours, and the table would grow with a stranger's input
constexpr size_t kMostCandidates = 10'000;

}  // namespace

std::vector<std::string> ByDistance(std::string_view name, std::span<const std::string> candidates) {
  name = name.substr(0, kLongestName);
  std::vector<std::pair<size_t, size_t>> order;
  for (size_t i = 0; i < candidates.size(); ++i) order.emplace_back(Distance(name, std::string_view(candidates[i]).substr(0, kLongestName)), i);
  std::sort(order.begin(), order.end());
  std::vector<std::string> result;
  for (const auto& [distance, index] : order) result.push_back(candidates[index]);
  return result;
}

std::string NearestName(std::string_view name, std::span<const std::string> candidates) {
  if (candidates.empty() || name.size() > kLongestName) return "";
  const std::string nearest = ByDistance(name, candidates).front();
  return Distance(name, nearest) <= std::max<size_t>(1, std::max(name.size(), nearest.size()) / 3) ? nearest : "";
}

std::string DidYouMean(std::string_view name, std::span<const std::string> candidates) {
  if (candidates.size() > kMostCandidates) return "";
  const std::string nearest = NearestName(name, candidates);
  return nearest.empty() ? "" : "did you mean " + Quoted(nearest) + "?";
}

}  // namespace mlac
