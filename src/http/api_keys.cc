#include "http/api_keys.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "http/message.h"

namespace mlac {

ApiKeys::Hash ApiKeys::HashOf(std::string_view key) {
  Hash hash;
  if (EVP_Digest(key.data(), key.size(), hash.data(), nullptr, EVP_sha256(), nullptr) != 1)
    throw Error(ErrorCode::kInternal, "SHA-256 of an API key failed");
  return hash;
}

ApiKeys ApiKeys::Parse(std::string_view text, std::string_view where) {
  ApiKeys keys;
  for (size_t line = 1; !text.empty(); ++line) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view key = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (key.ends_with('\r')) key.remove_suffix(1);
    key = TrimBlanks(key);
    if (key.empty()) continue;
    if (!std::all_of(key.begin(), key.end(), [](char c) { return c > 0x20 && c < 0x7f; }))
      throw Error(ErrorCode::kInvalidInput, fmt::format("{}: line {}: an API key is visible ASCII without blanks", where, line));
    keys.hashes_.push_back(HashOf(key));
  }
  if (keys.empty()) throw Error(ErrorCode::kInvalidInput, fmt::format("{}: holds no API key", where), "write one key a line");
  return keys;
}

ApiKeys ApiKeys::FromFile(const std::string& path) { return Parse(ReadFile(path, /*max_bytes=*/1 << 20), path); }

bool ApiKeys::Contains(std::string_view key) const {
  const Hash hash = HashOf(key);
  bool found = false;
  for (const Hash& known : hashes_) found |= CRYPTO_memcmp(hash.data(), known.data(), hash.size()) == 0;
  return found;
}

void CurrentApiKeys::Set(ApiKeys keys) {
  if (keys.empty()) throw Error(ErrorCode::kInvalidArgument, "what asks for a key needs one");
  auto shared = std::make_shared<const ApiKeys>(std::move(keys));
  const std::lock_guard lock(mutex_);
  keys_.swap(shared);
}

std::shared_ptr<const ApiKeys> CurrentApiKeys::Get() const {
  const std::lock_guard lock(mutex_);
  return keys_;
}

}  // namespace mlac
