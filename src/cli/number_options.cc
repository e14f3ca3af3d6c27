#include "cli/number_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <string>

#include "base/display.h"
#include "cli/command.h"

namespace mlac {
namespace {

constexpr size_t kShownNumber = 40;  // columns of what was found

// parse: the value in its plainest form, or nothing. Values are written anew, because CLI11 would read 010 as octal, and so that one value
// has one form.
// expected: what to say of a text that is none.
template <typename Expected, typename Parse>
Option Expect(Option option, Expected expected, Parse parse) {
  return option.Check([expected, parse](std::string& text) {
    const std::optional<std::string> value = parse(text);
    if (!value) return fmt::format("expected {}, found '{}'", expected(text), Printable(text, kShownNumber));
    text = *value;
    return std::string();
  });
}

std::optional<double> ParseRealNumber(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(number)) return std::nullopt;
  return number;
}

std::optional<std::string> ParseByteSize(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  const size_t behind = std::min(text.find_first_not_of("0123456789."), text.size());
  std::string unit = text.substr(behind);
  if (unit.size() == 3 && unit.ends_with("ib")) unit.resize(1);
  if (unit.size() == 2 && unit.ends_with("b")) unit.resize(1);
  if (unit == "b") unit.clear();
  constexpr std::string_view kUnits = "kmgt";
  const size_t power = unit.empty() ? 0 : kUnits.find(unit) + 1;
  const std::optional<double> number = ParseRealNumber(text.substr(0, behind));
  if (unit.size() > 1 || (!unit.empty() && power == 0) || !number) return std::nullopt;
  const double bytes = std::ldexp(*number, static_cast<int>(10 * power));
  if (bytes > std::ldexp(1.0, 60) || (power == 0 && bytes != std::floor(bytes))) return std::nullopt;
  return fmt::format("{}", static_cast<uint64_t>(bytes));
}

}  // namespace

std::optional<uint64_t> ParseWholeNumber(std::string_view text, uint64_t low, uint64_t high) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < low || number > high) return std::nullopt;
  return number;
}

std::optional<double> ParseNumber(const std::string& text) {
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  if (text.empty() || end != text.c_str() + text.size()) return std::nullopt;
  return number;
}

std::string ExpectedWholeNumber(std::string_view found, uint64_t low, uint64_t high) {
  const bool too_large =
      !found.empty() && found.find_first_not_of("0123456789") == std::string_view::npos && !ParseWholeNumber(found, 0, low);
  return high == kMostCounted && !too_large ? fmt::format("a whole number of at least {}", low)
                                            : fmt::format("a whole number from {} to {}", low, high);
}

Option WholeNumber(Option option, uint64_t low, uint64_t high) {
  return Expect(
      option, [low, high](const std::string& text) { return ExpectedWholeNumber(text, low, high); },
      [low, high](const std::string& text) -> std::optional<std::string> {
        const std::optional<uint64_t> number = ParseWholeNumber(text, low, high);
        return number ? std::optional(fmt::format("{}", *number)) : std::nullopt;
      });
}

Option RealNumber(Option option, double low, double high) {
  return Expect(
      option, [low, high](const std::string&) { return fmt::format("a number from {} to {}", low, high); },
      [low, high](const std::string& text) -> std::optional<std::string> {
        const std::optional<double> number = ParseRealNumber(text);
        return number && *number >= low && *number <= high ? std::optional(fmt::format("{}", *number)) : std::nullopt;
      });
}

Option ByteSize(Option option) {
  return Expect(
      option, [](const std::string&) { return "a size such as 512M or 2G"; }, [](const std::string& text) { return ParseByteSize(text); });
}

}  // namespace mlac
