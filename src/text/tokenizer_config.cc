#include "text/tokenizer_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"

namespace mlac {
namespace {

using nlohmann::json;

[[noreturn]] void ThrowType(const std::string& where, std::string_view key, const json& found, std::string_view expected) {
  throw Error(ErrorCode::kInvalidInput, fmt::format("{}: {} is of type {}; expected {}", where, key, found.type_name(), expected));
}

// Whether the object has the key with a value other than null.
const json* Find(const json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

bool ReadBool(const json& value, const std::string& where, std::string_view key) {
  if (!value.is_boolean()) ThrowType(where, key, value, "true or false");
  return value.get<bool>();
}

std::string ReadString(const json& value, const std::string& where, std::string_view key) {
  if (!value.is_string()) ThrowType(where, key, value, "a string");
  return value.get<std::string>();
}

// A token is a string, or an object with its content and flags.
AddedToken ReadToken(const json& value, const std::string& where, const std::string& key) {
  AddedToken token = {.content = "", .normalized = false, .special = true};
  if (value.is_string()) {
    token.content = value.get<std::string>();
    return token;
  }
  if (!value.is_object()) ThrowType(where, key, value, "a string or an object with \"content\"");
  const json* content = Find(value, "content");
  if (content == nullptr) throw Error(ErrorCode::kInvalidInput, fmt::format("{}: {} has no \"content\"", where, key));
  token.content = ReadString(*content, where, key + ".content");
  const std::pair<const char*, bool*> flags[] = {{"single_word", &token.single_word},
                                                 {"lstrip", &token.lstrip},
                                                 {"rstrip", &token.rstrip},
                                                 {"normalized", &token.normalized},
                                                 {"special", &token.special}};
  for (const auto& [name, flag] : flags) {
    if (const json* found = Find(value, name)) *flag = ReadBool(*found, where, key + "." + name);
  }
  return token;
}

void ReadSpecialTokens(const json& object, const std::string& where, TokenizerConfig& config) {
  const std::pair<const char*, std::string*> names[] = {{"cls_token", &config.cls_token},
                                                        {"sep_token", &config.sep_token},
                                                        {"pad_token", &config.pad_token},
                                                        {"mask_token", &config.mask_token},
                                                        {"unk_token", &config.unk_token}};
  for (const auto& [name, content] : names) {
    const auto found = object.find(name);
    if (found != object.end()) *content = found->is_null() ? "" : ReadToken(*found, where, name).content;
  }
  if (const json* more = Find(object, "additional_special_tokens")) {
    if (!more->is_array()) ThrowType(where, "additional_special_tokens", *more, "an array");
    std::set<std::string> known;
    for (const AddedToken& token : config.added_tokens) known.insert(token.content);
    for (size_t i = 0; i < more->size(); ++i) {
      AddedToken token = ReadToken((*more)[i], where, fmt::format("additional_special_tokens[{}]", i));
      if (known.insert(token.content).second) config.added_tokens.push_back(std::move(token));
    }
  }
}

void ReadAddedTokensDecoder(const json& decoder, const std::string& where, TokenizerConfig& config) {
  if (!decoder.is_object()) ThrowType(where, "added_tokens_decoder", decoder, "an object");
  for (const auto& [id, value] : decoder.items()) {
    const std::string key = "added_tokens_decoder." + id;
    AddedToken token = ReadToken(value, where, key);
    const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), token.id);
    if (error != std::errc() || end != id.data() + id.size() || token.id < 0)
      throw Error(ErrorCode::kInvalidInput, fmt::format("{}: {}: expected an id from 0 as the key", where, ShownToken(key)));
    config.added_tokens.push_back(std::move(token));
  }
}

void SortById(std::vector<AddedToken>& tokens) {
  std::sort(tokens.begin(), tokens.end(), [](const AddedToken& a, const AddedToken& b) { return a.id < b.id; });
}

// added_tokens.json, where transformers 3 and older kept them: content to id.
void ReadAddedTokensJson(const json& object, const std::string& where, TokenizerConfig& config) {
  std::set<std::string> special = {config.cls_token, config.sep_token, config.pad_token, config.mask_token, config.unk_token};
  for (const AddedToken& token : config.added_tokens) special.insert(token.content);
  config.added_tokens.clear();
  for (const auto& [content, id] : object.items()) {
    if (!id.is_number_integer() || id.get<int64_t>() < 0)
      throw Error(ErrorCode::kInvalidInput, fmt::format("{}: {}: expected an id from 0", where, ShownToken(content)));
    const bool is_special = special.contains(content);
    config.added_tokens.push_back({.content = content, .id = id.get<int64_t>(), .normalized = !is_special, .special = is_special});
  }
  SortById(config.added_tokens);
}

json ReadObject(const std::string& path) {
  json object = ReadJsonFile(path);
  if (!object.is_object()) throw Error(ErrorCode::kInvalidInput, fmt::format("{}: expected an object", path));
  return object;
}

}  // namespace

TokenizerConfig ReadTokenizerConfig(const std::string& folder) {
  TokenizerConfig config;
  const std::string path = folder + "/tokenizer_config.json", map_path = folder + "/special_tokens_map.json",
                    old_path = folder + "/added_tokens.json";
  const bool has_config = FileExists(path);
  const json object = has_config ? ReadObject(path) : json::object();
  const json* decoder = Find(object, "added_tokens_decoder");
  if (decoder != nullptr) ReadAddedTokensDecoder(*decoder, path, config);
  SortById(config.added_tokens);
  if (FileExists(map_path)) ReadSpecialTokens(ReadObject(map_path), map_path, config);
  ReadSpecialTokens(object, path, config);
  if (decoder == nullptr && FileExists(old_path)) ReadAddedTokensJson(ReadObject(old_path), old_path, config);
  if (const json* found = Find(object, "tokenizer_class")) config.tokenizer_class = ReadString(*found, path, "tokenizer_class");
  if (const json* found = Find(object, "do_lower_case")) config.do_lower_case = ReadBool(*found, path, "do_lower_case");
  if (const json* found = Find(object, "tokenize_chinese_chars"))
    config.tokenize_chinese_chars = ReadBool(*found, path, "tokenize_chinese_chars");
  if (object.contains("strip_accents")) {
    const json* found = Find(object, "strip_accents");
    config.strip_accents.emplace();
    if (found) *config.strip_accents = ReadBool(*found, path, "strip_accents");
  }
  if (const json* found = Find(object, "clean_up_tokenization_spaces"))
    config.clean_up_tokenization_spaces = ReadBool(*found, path, "clean_up_tokenization_spaces");
  return config;
}

}  // namespace mlac
