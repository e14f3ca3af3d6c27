#pragma once
// Small JSON files (config.json and the like): one parse function with limits. Large ones go through simdjson where they are read.
// Only the forward declaration stands here; a .cc that looks inside includes <nlohmann/json.hpp>.
#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>

namespace mlac {

// Parses strict JSON. where: what the text is, for messages ("config.json"). Throws kInvalidInput with the byte position for text
// that is no JSON, is nested deeper than max_depth, holds invalid UTF-8 or says one key twice.
nlohmann::json ParseJson(std::string_view text, std::string_view where, size_t max_depth = 64);

// Reads path (at most max_bytes) and parses it; messages carry the file's name. Python's Infinity and NaN, which transformers
// writes for an unset model_max_length, are no JSON and are refused here.
nlohmann::json ReadJsonFile(const std::string& path, size_t max_bytes = size_t{16} << 20);

// Appends the shortest decimal that reads back as the same f32, as JSON; NaN and infinities have no JSON form and become null.
void AppendFloat(std::string& out, float value);

// Appends "[1,2.5]".
void AppendFloats(std::string& out, std::span<const float> values);

// Appends text as a JSON string with its quotes. text must be UTF-8.
void AppendJsonString(std::string& out, std::string_view text);

}  // namespace mlac
