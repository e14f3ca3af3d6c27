#pragma once
// The strings that scripts/write_tokenizer_fixtures.py gave to the `tokenizers` wheel, put together again from
// tests/data/text/strings.json, and the hashes of what the wheel made of them.
#include <openssl/evp.h>

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/utf8.h"

namespace mlac {

inline nlohmann::json ReadTestData(const std::string& name) {
  return nlohmann::json::parse(ReadFile(std::string(MLAC_TEST_DATA) + "/text/" + name, size_t{16} << 20));
}

// Steele, Lea and Flood 2014, https://doi.org/10.1145/2660193.2660195; as in the script.
class SplitMix64 {
 public:
  explicit SplitMix64(uint64_t seed) : state_(seed) {}
  uint64_t Below(uint64_t limit) {
    state_ += 0x9E3779B97F4A7C15;
    uint64_t z = state_;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
    z = (z ^ z >> 27) * 0x94D049BB133111EB;
    return (z ^ z >> 31) % limit;
  }

 private:
  uint64_t state_;
};

class WheelStrings {
 public:
  WheelStrings() : data_(ReadTestData("strings.json")) {
    fragments_ = data_["fragments"].get<std::vector<std::string>>();
    ranges_ = data_["ranges"].get<std::vector<std::pair<char32_t, char32_t>>>();
    marks_ = data_["marks"].get<std::vector<char32_t>>();
    separators_ = data_["separators"].get<std::vector<std::string>>();
  }

  size_t num_strings() const { return data_["num_strings"]; }
  size_t num_pairs() const { return data_["num_pairs"]; }
  size_t block() const { return data_["block"]; }
  size_t scalar_block() const { return data_["scalar_block"]; }

  std::string Make(size_t index) const {
    SplitMix64 random(data_["seed"].get<uint64_t>() + index);
    std::string text;
    const auto fragment = [&]() -> const std::string& { return fragments_[random.Below(fragments_.size())]; };
    for (size_t left = 1 + random.Below(10); left > 0; --left) {
      const uint64_t kind = random.Below(8);
      if (kind < 5) {
        text += fragment();
      } else if (kind == 5) {
        const auto [begin, end] = ranges_[random.Below(ranges_.size())];
        AppendUtf8(text, begin + static_cast<char32_t>(random.Below(end - begin + 1)));
      } else if (kind == 6) {
        for (size_t n = 1 + random.Below(6); n > 0; --n) AppendUtf8(text, marks_[random.Below(marks_.size())]);
      } else {
        const std::string& repeated = fragment();
        const uint64_t most = random.Below(8) == 0 ? 110 : 5;
        for (size_t n = 1 + random.Below(most); n > 0; --n) text += repeated;
      }
      text += separators_[random.Below(separators_.size())];
    }
    return text;
  }

  // The context of each scalar value: inside a word, alone, before and behind marks.
  static std::string ScalarText(char32_t scalar) {
    std::string s;
    AppendUtf8(s, scalar);
    return "a" + s + "b " + s + " x\u0323" + s + "\u0301 " + s + s;
  }

 private:
  nlohmann::json data_;
  std::vector<std::string> fragments_, separators_;
  std::vector<std::pair<char32_t, char32_t>> ranges_;
  std::vector<char32_t> marks_;
};

// The first 8 bytes of a SHA-256 over what is added, in hexadecimal.
class ShortSha256 {
 public:
  ShortSha256() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) { EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr); }
  void Add(std::string_view bytes) { EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()); }
  void Add(const std::vector<uint32_t>& numbers) {  // little-endian, as all machines are that mlac runs on
    EVP_DigestUpdate(context_.get(), numbers.data(), numbers.size() * sizeof(uint32_t));
  }
  std::string Finish() {
    unsigned char digest[EVP_MAX_MD_SIZE];
    EVP_DigestFinal_ex(context_.get(), digest, nullptr);
    std::string hex;
    for (size_t i = 0; i < 8; ++i) {
      hex += "0123456789abcdef"[digest[i] >> 4];
      hex += "0123456789abcdef"[digest[i] & 15];
    }
    return hex;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

}  // namespace mlac
