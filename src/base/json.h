#pragma once
// Small JSON files (config.json and the like): one parse function with limits. Large ones go through simdjson where they are read.
// Only the forward declaration stands here; a .cc that looks inside includes <nlohmann/json.hpp>. Parsing and dumping are compiled in json.cc, since either
// costs a compiler that sees nlohmann's templates a second or two a file.
#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>

namespace mlac {

// Parses strict JSON. where: what the text is, for messages ("config.json"). Throws kInvalidInput with the byte position for text
// that is no JSON, is nested deeper than max_depth, holds invalid UTF-8 or says one key twice.
nlohmann::json ParseJson(std::string_view text, std::string_view where, size_t max_depth = 64);

// The same with the keys in the order of the text.
nlohmann::ordered_json ParseOrderedJson(std::string_view text, std::string_view where, size_t max_depth = 64);

// Parses text that may be anything, without those limits. What is no JSON gives a value that is_discarded().
nlohmann::json ParseJsonOrDiscard(std::string_view text);
nlohmann::ordered_json ParseOrderedJsonOrDiscard(std::string_view text);

// value as text: on one line, or with an indent of 0 and more a line an entry. Bytes that are no UTF-8 become U+FFFD.
std::string DumpJson(const nlohmann::json& value, int indent = -1);
std::string DumpJson(const nlohmann::ordered_json& value, int indent = -1);

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
