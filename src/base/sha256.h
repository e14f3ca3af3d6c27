#pragma once
// SHA-256 (FIPS 180-4), by OpenSSL.
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace mlac {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  void Add(std::span<const std::byte> bytes);
  void Add(std::string_view text);
  // The text with its length before it, so that ("ab", "c") and ("a", "bc") differ.
  void AddField(std::string_view text);
  // Lower-case hexadecimal, 64 characters; nothing may be added afterwards.
  std::string Finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mlac
