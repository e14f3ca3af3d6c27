#pragma once
// The keys that clients show. Kept as hashes; compared in constant time, so that timing tells nothing of how far a guess is right.
#include <array>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mlac {

class ApiKeys {
 public:
  ApiKeys() = default;  // none: everything is open

  // One key a line; empty lines are skipped. where: for messages. Throws kInvalidInput, with the line, for a key that holds a blank
  // or anything but visible ASCII, and for text without a key.
  static ApiKeys Parse(std::string_view text, std::string_view where);
  // Reads the file and parses it.
  static ApiKeys FromFile(const std::string& path);

  bool empty() const { return hashes_.empty(); }
  // Takes the same time whichever key it is, or none.
  bool Contains(std::string_view key) const;

 private:
  using Hash = std::array<unsigned char, 32>;  // SHA-256
  static Hash HashOf(std::string_view key);
  std::vector<Hash> hashes_;
};

// Keys that are replaced while requests come. For several threads.
class CurrentApiKeys {
 public:
  // Both throw kInvalidArgument for none: what asked for a key does not open because there is none any more.
  explicit CurrentApiKeys(ApiKeys keys) { Set(std::move(keys)); }
  void Set(ApiKeys keys);

  std::shared_ptr<const ApiKeys> Get() const;

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const ApiKeys> keys_;
};

}  // namespace mlac
