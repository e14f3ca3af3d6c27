#include "http/trace_context.h"

#include <algorithm>

namespace mlac {
namespace {

bool IsHex(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool IsId(std::string_view text) { return IsHex(text) && text.find_first_not_of('0') != std::string_view::npos; }

}  // namespace

std::optional<TraceContext> ParseTraceparent(std::string_view field) {
  // "00-" trace id "-" parent id "-" flags; versions to come may have more behind.
  constexpr size_t kTrace = 3, kParent = 36, kFlags = 53, kEnd = 55;
  if (field.size() < kEnd || field[2] != '-' || field[kParent - 1] != '-' || field[kFlags - 1] != '-') return std::nullopt;
  const std::string_view version = field.substr(0, 2), trace = field.substr(kTrace, 32), parent = field.substr(kParent, 16),
                         flags = field.substr(kFlags, 2);
  if (!IsHex(version) || version == "ff" || !IsId(trace) || !IsId(parent) || !IsHex(flags)) return std::nullopt;
  if (field.size() > kEnd && (version == "00" || field[kEnd] != '-')) return std::nullopt;
  const bool sampled = (flags[1] >= 'a' ? flags[1] - 'a' + 10 : flags[1] - '0') & 1;
  return TraceContext{std::string(trace), std::string(parent), sampled};
}

}  // namespace mlac
