#include "models/config.h"

#include <fmt/format.h>

#include <charconv>
#include <map>
#include <nlohmann/json.hpp>

#include "base/display.h"
#include "base/error.h"
#include "base/json.h"

namespace mlac {

using nlohmann::json;

namespace {

// A value from a stranger's file for a message: JSON escapes some controls, but not all, and is as long as it likes.
std::string Shown(const json& value) { return Printable(DumpJson(value), 100); }

}  // namespace

const json& MemberOrNull(const json& object, const char* key) {
  static const json kNull;
  const auto found = object.find(key);
  return found == object.end() ? kNull : *found;
}

void RefuseValue(const std::string& file, const std::string& field, const json& found, const std::string& supported) {
  throw Error(ErrorCode::kUnsupported, fmt::format("{}: {} is {}; supported is {}", file, field, Shown(found), supported));
}

ConfigReader::ConfigReader(const json& config, std::string file) : config_(config), file_(std::move(file)) {
  if (!config.is_object()) throw Error(ErrorCode::kInvalidInput, fmt::format("{}: expected an object, found {}", file_, config.type_name()));
}

const json* ConfigReader::Find(const char* field) const {
  const auto found = config_.find(field);
  return found == config_.end() || found->is_null() ? nullptr : &*found;
}

void ConfigReader::Refuse(const char* field, const std::string& expected, const json& found) const {
  throw Error(ErrorCode::kInvalidInput, fmt::format("{}: {} is {}; expected {}", file_, field, Shown(found), expected));
}

size_t ConfigReader::Integer(const char* field, size_t low, size_t high) const {
  const json* value = Find(field);
  if (value == nullptr) throw Error(ErrorCode::kInvalidInput, fmt::format("{}: {} is missing", file_, field));
  return Integer(field, low, high, 0);
}

size_t ConfigReader::Integer(const char* field, size_t low, size_t high, size_t fallback) const {
  const json* value = Find(field);
  if (value == nullptr) return fallback;
  const bool inside = value->is_number_unsigned() && value->get<uint64_t>() >= low && value->get<uint64_t>() <= high;
  if (!inside) Refuse(field, fmt::format("a whole number from {} to {}", low, high), *value);
  return value->get<uint64_t>();
}

float ConfigReader::Number(const char* field, float low, float high, float fallback) const {
  const json* value = Find(field);
  if (value == nullptr) return fallback;
  const bool inside = value->is_number() && value->get<double>() >= static_cast<double>(low) && value->get<double>() <= static_cast<double>(high);
  if (!inside) Refuse(field, fmt::format("a number from {} to {}", low, high), *value);
  return value->get<float>();
}

bool ConfigReader::Boolean(const char* field, bool fallback) const {
  const json* value = Find(field);
  if (value == nullptr) return fallback;
  if (!value->is_boolean()) Refuse(field, "true or false", *value);
  return value->get<bool>();
}

std::string ConfigReader::String(const char* field, const std::string& fallback) const {
  const json* value = Find(field);
  if (value == nullptr) return fallback;
  if (!value->is_string()) Refuse(field, "a string", *value);
  return value->get<std::string>();
}

void ConfigReader::CheckHeads(size_t hidden_size, size_t num_attention_heads, const char* size_field, const char* heads_field) const {
  if (hidden_size % num_attention_heads != 0)
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: {} {} is no multiple of {} {}", file_, size_field, hidden_size, heads_field,
                                                      num_attention_heads));
}

std::vector<std::string> ConfigReader::LabelNames() const {
  constexpr size_t kMostLabels = 1'000'000;
  const json* names = Find("id2label");
  std::vector<std::string> labels;
  if (names == nullptr) {
    const size_t count = Integer("num_labels", 1, kMostLabels, 2);
    for (size_t i = 0; i < count; ++i) labels.push_back(fmt::format("LABEL_{}", i));
    return labels;
  }
  if (!names->is_object() || names->empty()) Refuse("id2label", "an object of at least one label", *names);
  labels.resize(names->size());
  std::vector<bool> seen(names->size());
  for (const auto& [key, name] : names->items()) {
    size_t id = 0;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc() || end != key.data() + key.size() || id >= labels.size() || seen[id])
      throw Error(ErrorCode::kInvalidInput, fmt::format("{}: id2label has the key {}; expected each of 0 to {} once", file_, Quoted(key), labels.size() - 1));
    if (!name.is_string()) Refuse("id2label", "strings", name);
    seen[id] = true;
    labels[id] = name.get<std::string>();
  }
  return labels;
}

}  // namespace mlac
