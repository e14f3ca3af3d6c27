#pragma once
// The pieces of a JSON text, front to back: blanks, strings, numbers and words, strictly as RFC 8259 has them.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace mlac {

struct JsonNumber {
  bool is_integer = true;  // written without a point and an exponent; else its value is not kept
  bool is_negative = false;
  uint64_t magnitude = 0;  // of an integer; at most 2^63 of a negative one
};

// A cursor over a text. What throws, throws HttpError 400 with the position in bytes, and "it ends too early" where the text does.
class JsonScanner {
 public:
  // text: UTF-8. It outlives the scanner and is not changed meanwhile.
  explicit JsonScanner(const std::string& text) : begin_(text.data()), end_(begin_ + text.size()), at_(begin_) {}

  size_t position() const { return static_cast<size_t>(at_ - begin_); }
  std::string_view rest() const { return {at_, end_}; }
  bool at_end() const { return at_ == end_; }
  char Peek() const { return *at_; }  // '\0' at the end

  // Moves over the character if it stands here.
  bool Take(char c) { return *at_ == c && (++at_, true); }
  void SkipBlanks() {  // in line, because mostly there are none
    if (static_cast<unsigned char>(*at_) <= ' ') SkipMoreBlanks();
  }

  // The string that begins here. Its text without escapes is a part of the scanner's text if it has none, else it is put into `unescaped`.
  std::string_view String(std::string& unescaped);
  // The number that begins here: an integer from -2^63 to 2^64 - 1, or any other that is finite as a double.
  JsonNumber Number();
  // true, false or null, whichever the caller says.
  void Word(std::string_view word);

  // Appends the integers that stand here, each behind a comma, all from min to max, and gives their number. Stops before anything else,
  // faults included, and before what can be read in another way alone. Integers: std::vector<int32_t> or <int64_t>.
  template <typename Integers>
  size_t MoreIntegers(int64_t min, int64_t max, Integers& out);
  // Moves over the integers and the strings that stand here, each behind a comma, as far as it finds neither escapes nor faults.
  void SkipMoreItems();

  [[noreturn]] void Invalid(size_t position, std::string_view what) const;
  // What stands here may not stand here.
  [[noreturn]] void Unexpected() const;

 private:
  void SkipMoreBlanks();
  const char* Fraction(const char* digits, const char* point) const;
  const char* AppendEscape(const char* backslash, std::string& out) const;
  [[noreturn]] void InvalidString(const char* quote) const;
  [[noreturn]] void InvalidNumber() const;

  const char* const begin_;
  const char* const end_;
  const char* at_;
};

}  // namespace mlac
