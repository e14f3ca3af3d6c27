#pragma once
// Reading fields of config.json with their limits and clear messages.
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace mlac {

// The member of an object, null where there is none.
const nlohmann::json& MemberOrNull(const nlohmann::json& object, const char* key);

// Throws kUnsupported: "file: field is VALUE; supported is ...".
[[noreturn]] void RefuseValue(const std::string& file, const std::string& field, const nlohmann::json& found, const std::string& supported);

// A config.json and how to ask it. Every getter throws kInvalidInput naming file, field, expected and found.
class ConfigReader {
 public:
  // file: for messages. config must outlive the reader.
  ConfigReader(const nlohmann::json& config, std::string file);

  // An integer in [low, high]; the second form gives a default where the field is absent or null.
  size_t Integer(const char* field, size_t low, size_t high) const;
  size_t Integer(const char* field, size_t low, size_t high, size_t fallback) const;
  float Number(const char* field, float low, float high, float fallback) const;
  bool Boolean(const char* field, bool fallback) const;
  std::string String(const char* field, const std::string& fallback) const;
  // The names in id2label, by id; "LABEL_0" to "LABEL_<num_labels - 1>" where there are none (transformers' default is two labels).
  std::vector<std::string> LabelNames() const;

  // Throws kInvalidInput unless hidden_size is a multiple of num_attention_heads; the last two: what config.json calls them.
  void CheckHeads(size_t hidden_size, size_t num_attention_heads, const char* size_field = "hidden_size",
                  const char* heads_field = "num_attention_heads") const;

  const std::string& file() const { return file_; }

 private:
  const nlohmann::json* Find(const char* field) const;
  [[noreturn]] void Refuse(const char* field, const std::string& expected, const nlohmann::json& found) const;

  const nlohmann::json& config_;
  std::string file_;
};

}  // namespace mlac
