#pragma once
// Regular expressions of a user over texts of a user, within limits: PCRE2.
#include <memory>
#include <string>
#include <string_view>

namespace mlac {

class TextPattern {
 public:
  // Throws kInvalidInput with the position for an expression that PCRE2 does not take.
  explicit TextPattern(const std::string& expression);
  ~TextPattern();
  // Whether it is found in text, which must be UTF-8. Throws kTooLarge where that takes more than a million steps.
  bool FoundIn(std::string_view text) const;

 private:
  struct Code;
  std::unique_ptr<Code> code_;
  std::string expression_;
};

}  // namespace mlac
