#include "serve/json_scanner.h"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <limits>
#include <vector>

#include "base/utf8.h"
#include "http/message.h"

namespace mlac {
namespace {

static_assert(std::endian::native == std::endian::little);  // the first byte of a word is its lowest

constexpr uint64_t kOnes = 0x0101010101010101, kHighBits = 0x8080808080808080;

uint64_t LoadWord(const char* bytes) {
  uint64_t word;
  std::memcpy(&word, bytes, sizeof word);
  return word;
}

// The high bit of the first byte that is below `limit` (at most 128), and perhaps of bytes behind it; 0 if there is none.
constexpr uint64_t FirstBelow(uint64_t word, uint8_t limit) { return (word - kOnes * limit) & ~word & kHighBits; }
constexpr uint64_t FirstEqual(uint64_t word, char c) { return FirstBelow(word ^ kOnes * static_cast<uint8_t>(c), 1); }

// The first byte from p on that is no plain text of a string: a quote, a backslash or a control character, which the NUL at the end is.
const char* EndOfPlainText(const char* p, const char* end) {
  for (; end - p >= 8; p += 8) {
    const uint64_t word = LoadWord(p);
    if (const uint64_t found = FirstBelow(word, 0x20) | FirstEqual(word, '"') | FirstEqual(word, '\\'))
      return p + std::countr_zero(found) / 8;
  }
  while (static_cast<unsigned char>(*p) >= 0x20 && *p != '"' && *p != '\\') ++p;
  return p;
}

bool IsBlank(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
const char* SkipDigits(const char* p) {
  while (IsDigit(*p)) ++p;
  return p;
}

// Whether a number or a word may end before c. What stands where no comma or bracket may stand is found behind it.
bool EndsWord(char c) { return IsBlank(c) || c == ',' || c == ']' || c == '}' || c == ':' || c == '[' || c == '{' || c == '\0'; }

// The value of each hexadecimal digit, -1 of what is none.
constexpr std::array<int8_t, 256> kHexDigits = [] {
  std::array<int8_t, 256> digits;
  digits.fill(-1);
  for (int i = 0; i < 10; ++i) digits[static_cast<size_t>('0' + i)] = static_cast<int8_t>(i);
  for (int i = 0; i < 6; ++i) digits[static_cast<size_t>('a' + i)] = digits[static_cast<size_t>('A' + i)] = static_cast<int8_t>(10 + i);
  return digits;
}();

// The four digits behind "\u", or -1. Reads nothing behind the first that is none.
int32_t CodeUnit(const char* digits) {
  int32_t unit = 0;
  for (int i = 0; i < 4; ++i) {
    const int32_t digit = kHexDigits[static_cast<unsigned char>(digits[i])];
    if (digit < 0) return -1;
    unit = unit << 4 | digit;
  }
  return unit;
}

// Calls take(value, what is behind it) for each integer from p on, of at most 18 digits, with a comma before it and one or a bracket behind
// it, until take gives false or something else stands there. Gives the end of the last that was taken.
template <typename Take>
const char* TakeIntegers(const char* p, const Take& take) {
  for (;;) {
    const char* next = p;
    if (*next != ',') return p;
    ++next;
    while (IsBlank(*next)) ++next;
    const bool is_negative = *next == '-';
    next += is_negative;
    const char* const digits = next;
    int64_t value = 0;
    for (; IsDigit(*next) && next - digits < 18; ++next) value = value * 10 + (*next - '0');
    if (next == digits || (*digits == '0' && next - digits > 1) || (*next != ',' && *next != ']')) return p;
    if (!take(is_negative ? -value : value, next)) return p;
    p = next;
  }
}

// Moves p over the strings that stand there, each behind a comma, before the first that has an escape or a fault.
const char* SkipStrings(const char* p, const char* end) {
  for (;;) {
    const char* next = p;
    if (*next != ',') return p;
    ++next;
    while (IsBlank(*next)) ++next;
    if (*next != '"') return p;
    next = EndOfPlainText(next + 1, end);
    if (*next != '"') return p;
    p = next + 1;
  }
}

}  // namespace

void JsonScanner::Invalid(size_t position, std::string_view what) const {
  throw HttpError(400, fmt::format("no valid JSON at byte {}: {}", position, what));
}

void JsonScanner::Unexpected() const { Invalid(position(), at_end() ? "it ends too early" : "not what may stand here"); }

void JsonScanner::SkipMoreBlanks() {
  for (;; ++at_) {
    while (end_ - at_ > 8 && LoadWord(at_) == kOnes * ' ') at_ += 8;
    if (!IsBlank(*at_)) return;
  }
}

void JsonScanner::InvalidString(const char* quote) const {
  const auto position = [&](const char* place) { return static_cast<size_t>(place - begin_); };
  for (const char* p = quote + 1;; p += 2) {  // over an escape
    p = EndOfPlainText(p, end_);
    if (p == end_ || (*p == '\\' && p + 1 == end_)) Invalid(position(quote), "a string without an end");
    if (*p == '"') Invalid(position(quote), "a string with a wrong escape");
    if (*p != '\\') Invalid(position(p), "a control character in a string");
  }
}

// Gives what follows the escape, null if it is none.
const char* JsonScanner::AppendEscape(const char* backslash, std::string& out) const {
  constexpr std::string_view kEscapes = "\"\\/bfnrt", kMeanings = "\"\\/\b\f\n\r\t";
  if (backslash[1] != 'u') {
    const size_t i = kEscapes.find(backslash[1]);
    if (i == std::string_view::npos) return nullptr;
    out += kMeanings[i];
    return backslash + 2;
  }
  const int32_t unit = CodeUnit(backslash + 2);
  if (unit < 0 || (unit >= 0xDC00 && unit <= 0xDFFF)) return nullptr;
  if (unit < 0xD800 || unit > 0xDFFF) {
    AppendUtf8(out, static_cast<char32_t>(unit));
    return backslash + 6;
  }
  if (backslash[6] != '\\' || backslash[7] != 'u') return nullptr;
  const int32_t low = CodeUnit(backslash + 8);
  if (low < 0xDC00 || low > 0xDFFF) return nullptr;
  AppendUtf8(out, static_cast<char32_t>(0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00)));
  return backslash + 12;
}

std::string_view JsonScanner::String(std::string& unescaped) {
  const char* const quote = at_;
  const char* run = quote + 1;
  const char* p = EndOfPlainText(run, end_);
  if (*p == '"') {
    at_ = p + 1;
    return {run, p};
  }
  unescaped.clear();
  while (*p == '\\') {
    if (p != run) unescaped.append(run, p);
    run = AppendEscape(p, unescaped);
    if (run == nullptr) InvalidString(quote);
    p = *run == '\\' ? run : EndOfPlainText(run, end_);
  }
  if (*p != '"') InvalidString(quote);
  unescaped.append(run, p);
  at_ = p + 1;
  return unescaped;
}

void JsonScanner::InvalidNumber() const { Invalid(position(), "a number that is malformed or out of range"); }

JsonNumber JsonScanner::Number() {
  JsonNumber number;
  number.is_negative = *at_ == '-';
  const char* const digits = at_ + number.is_negative;
  const char* p = digits;
  for (; IsDigit(*p); ++p) number.magnitude = number.magnitude * 10 + static_cast<uint64_t>(*p - '0');  // wraps where it has 20 digits
  const ptrdiff_t num_digits = p - digits;
  if (num_digits == 0 || (*digits == '0' && num_digits > 1)) InvalidNumber();
  if (*p == '.' || *p == 'e' || *p == 'E') {
    number.is_integer = false;
    p = Fraction(digits, p);
  } else if (num_digits > 18) {
    if (std::from_chars(digits, p, number.magnitude).ec != std::errc()) InvalidNumber();
    if (number.is_negative && number.magnitude > uint64_t{1} << 63) InvalidNumber();
  }
  if (!EndsWord(*p)) InvalidNumber();
  at_ = p;
  return number;
}

// The rest of a number from its point or exponent on. Gives its end.
const char* JsonScanner::Fraction(const char* digits, const char* point) const {
  const char* p = point;
  if (*p == '.') {
    p = SkipDigits(point + 1);
    if (p == point + 1) InvalidNumber();
  }
  const char* const end_of_digits = p;
  int64_t exponent = 0;
  if (*p == 'e' || *p == 'E') {
    ++p;
    const bool is_negative = *p == '-';
    p += *p == '-' || *p == '+';
    if (!IsDigit(*p)) InvalidNumber();
    for (; IsDigit(*p); ++p)
      if (exponent < int64_t{1} << 50) exponent = exponent * 10 + (*p - '0');  // far beyond what the digits of any text make up for
    if (is_negative) exponent = -exponent;
  }
  const char* first = digits;  // that is not 0
  while (first < end_of_digits && (*first == '0' || *first == '.')) ++first;
  if (first == end_of_digits) return p;
  exponent += first < point ? point - first - 1 : point - first;  // the number is d.ddd * 10^exponent
  if (exponent < std::numeric_limits<double>::max_exponent10) return p;
  double value;
  if (exponent > std::numeric_limits<double>::max_exponent10 || std::from_chars(digits, p, value).ec != std::errc()) InvalidNumber();
  return p;
}

void JsonScanner::Word(std::string_view word) {
  if (!std::string_view(at_, end_).starts_with(word) || !EndsWord(at_[word.size()])) Unexpected();
  at_ += word.size();
}

template <typename Integers>
size_t JsonScanner::MoreIntegers(int64_t min, int64_t max, Integers& out) {
  const char* const start = at_;
  size_t count = 0;
  at_ = TakeIntegers(at_, [&](int64_t value, const char* behind) {
    if (value < min || value > max) return false;
    ++count;
    if (out.size() == out.capacity() && count >= 1000) {  // as many as there will be if they go on like this, instead of twice as many
      const double each = static_cast<double>(behind - start) / static_cast<double>(count), more = static_cast<double>(end_ - behind) / each;
      out.reserve(out.size() + static_cast<size_t>(more * 1.02) + 16);
    }
    out.push_back(static_cast<typename Integers::value_type>(value));
    return true;
  });
  return count;
}

void JsonScanner::SkipMoreItems() {
  for (const char* start = nullptr; at_ != start;) {
    start = at_;
    at_ = TakeIntegers(at_, [](int64_t, const char*) { return true; });
    at_ = SkipStrings(at_, end_);
  }
}

template size_t JsonScanner::MoreIntegers(int64_t min, int64_t max, std::vector<int32_t>& out);
template size_t JsonScanner::MoreIntegers(int64_t min, int64_t max, std::vector<int64_t>& out);

}  // namespace mlac
