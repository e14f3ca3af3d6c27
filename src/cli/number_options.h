#pragma once
// The numbers that options take. What is none, or out of range, is refused by the option's name with what was expected and found: exit
// status 2.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mlac {

class Option;

// More than any count of texts, tokens or bytes.
inline constexpr uint64_t kMostCounted = uint64_t{1} << 40;

// Digits alone, in base 10: no sign, no fraction, nothing below low or above high.
Option WholeNumber(Option option, uint64_t low, uint64_t high = kMostCounted);
// A finite number from low to high.
Option RealNumber(Option option, double low, double high);
// Bytes: digits, perhaps with a fraction, and K, M, G or T for powers of 1024 (also KB, KiB and so on), in any case.
Option ByteSize(Option option);

// The same for what is read after parsing; nothing where it is no such number.
std::optional<uint64_t> ParseWholeNumber(std::string_view text, uint64_t low, uint64_t high = kMostCounted);
// Any number that strtod takes: also behind blanks or a sign, in hexadecimal, infinity and NaN. Nothing for "" and where the text goes on behind it.
std::optional<double> ParseNumber(const std::string& text);
// What to say was expected where `found` is none: a limit that is only there to keep memory bounded is named to who goes beyond it.
std::string ExpectedWholeNumber(std::string_view found, uint64_t low, uint64_t high = kMostCounted);

}  // namespace mlac
