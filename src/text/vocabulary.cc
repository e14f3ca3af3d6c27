#include "text/vocabulary.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <random>

#include "base/error.h"

namespace mlac {
namespace {

constexpr size_t kMaxBytes = size_t{1} << 31;

uint64_t Load(const char* bytes, size_t count) {
  uint64_t word = 0;
  std::memcpy(&word, bytes, count);
  return word;
}

// Both halves of a 128-bit product, folded, as wyhash does (Wang Yi, https://github.com/wangyi-fudan/wyhash).
uint64_t Mix(uint64_t a, uint64_t b) {
  __extension__ using Product = unsigned __int128;
  const Product product = static_cast<Product>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

}  // namespace

std::string ShownToken(std::string_view token) {
  constexpr size_t kMaxShown = 60;
  std::string shown;
  for (const char c : token.substr(0, kMaxShown)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F) {
      shown += fmt::format("\\x{:02x}", byte);
    } else {
      shown += c;
    }
  }
  if (token.size() > kMaxShown) {
    while (!shown.empty() && (static_cast<unsigned char>(shown.back()) & 0xC0) == 0x80) shown.pop_back();  // the scalar that was cut
    if (!shown.empty() && static_cast<unsigned char>(shown.back()) >= 0xC0) shown.pop_back();
    shown += "...";
  }
  return "'" + shown + "'";
}

TokenHash::TokenHash() {
  std::random_device entropy;
  seed_ = uint64_t{entropy()} << 32 | entropy();
}

uint64_t TokenHash::operator()(std::string_view token) const {
  constexpr uint64_t kOdd1 = 0x9E3779B97F4A7C15, kOdd2 = 0xD6E8FEB86659FD93;  // the golden ratio; any other with bits well spread
  const char* bytes = token.data();
  size_t left = token.size();
  uint64_t hash = seed_ ^ left * kOdd1;
  for (; left > 8; left -= 8, bytes += 8) hash = Mix(hash ^ Load(bytes, 8), kOdd2);
  uint64_t last = 0;  // the last 0 to 8 bytes, by loads that may overlap
  if (left >= 4) {
    last = Load(bytes, 4) << 32 | Load(bytes + left - 4, 4);
  } else if (left > 0) {
    last = Load(bytes, 1) << 16 | Load(bytes + left / 2, 1) << 8 | Load(bytes + left - 1, 1);
  }
  return Mix(Mix(hash ^ last, kOdd2) ^ kOdd1, hash ^ kOdd1);
}

Vocabulary::Vocabulary(std::vector<VocabularyEntry> entries, std::string_view where) {
  const auto by_id = [](const VocabularyEntry& a, const VocabularyEntry& b) { return a.id < b.id; };
  if (!std::is_sorted(entries.begin(), entries.end(), by_id)) std::stable_sort(entries.begin(), entries.end(), by_id);
  size_t num_bytes = 0;
  for (size_t i = 0; i < entries.size(); ++i) {
    const auto& [token, id] = entries[i];
    if (id < 0 || id > std::numeric_limits<int32_t>::max())
      throw Error(ErrorCode::kInvalidInput, fmt::format("{}: token {} has id {}; expected 0 to 2147483647", where, ShownToken(token), id));
    if (i > 0 && id == entries[i - 1].id)
      throw Error(ErrorCode::kInvalidInput,
                  fmt::format("{}: tokens {} and {} share id {}", where, ShownToken(entries[i - 1].token), ShownToken(token), id));
    num_bytes += token.size();
  }
  if (num_bytes > kMaxBytes || entries.size() > kMaxBytes)
    throw Error(ErrorCode::kTooLarge, fmt::format("{}: {} tokens of {} bytes; at most 2 GiB are read", where, entries.size(), num_bytes));

  bytes_.reserve(num_bytes);
  begins_.reserve(entries.size() + 1);
  begins_.push_back(0);
  ids_.reserve(entries.size());
  places_.resize(std::bit_ceil(entries.size() * 2 + 1), {0, 0});
  for (const auto& [token, id] : entries) {
    const uint64_t hash = hash_(token);
    size_t place = hash & (places_.size() - 1);
    for (; places_[place].index_plus_1 != 0; place = (place + 1) & (places_.size() - 1)) {
      const size_t index = places_[place].index_plus_1 - 1;
      if (places_[place].hash == hash >> 32 && this->token(index) == token)
        throw Error(ErrorCode::kInvalidInput,
                    fmt::format("{}: token {} stands twice, with ids {} and {}", where, ShownToken(token), ids_[index], id));
    }
    places_[place] = {static_cast<uint32_t>(hash >> 32), static_cast<uint32_t>(ids_.size() + 1)};
    bytes_ += token;
    begins_.push_back(static_cast<uint32_t>(bytes_.size()));
    ids_.push_back(static_cast<int32_t>(id));
  }
}

int32_t Vocabulary::Find(std::string_view token) const {
  const uint64_t hash = hash_(token);
  for (size_t place = hash & (places_.size() - 1); places_[place].index_plus_1 != 0; place = (place + 1) & (places_.size() - 1)) {
    const size_t index = places_[place].index_plus_1 - 1;
    if (places_[place].hash == hash >> 32 && this->token(index) == token) return ids_[index];
  }
  return -1;
}

std::string_view Vocabulary::TokenOf(int32_t id) const {
  if (id < 0 || ids_.empty() || id > ids_.back()) return {};
  const auto index = static_cast<size_t>(id);
  if (index < ids_.size() && ids_[index] == id) return token(index);  // no id is left out below it: the common case
  const auto found = std::lower_bound(ids_.begin(), ids_.end(), id);
  return *found == id ? token(static_cast<size_t>(found - ids_.begin())) : std::string_view();
}

}  // namespace mlac
