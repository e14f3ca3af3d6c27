#include "models/adapter_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "base/display.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "models/config.h"

namespace mlac {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr size_t kLargestRank = 1 << 16;
constexpr float kLargestAlpha = 1e9f;

// Keys that are read below, and keys that say how an adapter was made but nothing of what it computes.
const std::set<std::string> kKnownKeys = {"alpha_pattern",
                                          "auto_mapping",
                                          "base_model_name_or_path",
                                          "bias",
                                          "corda_config",
                                          "eva_config",
                                          "exclude_modules",
                                          "inference_mode",
                                          "init_lora_weights",
                                          "layers_pattern",
                                          "layers_to_transform",
                                          "loftq_config",
                                          "lora_alpha",
                                          "lora_dropout",
                                          "megatron_core",
                                          "modules_to_save",
                                          "peft_type",
                                          "peft_version",
                                          "r",
                                          "rank_pattern",
                                          "revision",
                                          "runtime_config",
                                          "target_modules",
                                          "task_type",
                                          "use_rslora"};

bool IsActive(const json& value) { return value.is_boolean() ? value.get<bool>() : value.is_structured() && !value.empty(); }

[[noreturn]] void RefuseKind(const std::string& file, const std::string& key, const std::string& expected, const json& value) {
  throw Error(ErrorCode::kInvalidInput, fmt::format("{}: {}: expected {}, found {}", file, key, expected, value.type_name()));
}

// Texts are compared as values: nlohmann's == with a text is noexcept and makes a value of it, which ends the process where memory is short.
void CheckSupported(const json& config, const std::string& file) {
  if (MemberOrNull(config, "peft_type") != json("LORA")) RefuseValue(file, "peft_type", MemberOrNull(config, "peft_type"), "\"LORA\"");
  if (const json& bias = MemberOrNull(config, "bias"); !bias.is_null() && bias != json("none")) RefuseValue(file, "bias", bias, "\"none\"");
  // Others than these begin by moving a part of the base's weights into the adapter.
  if (const json& initial = MemberOrNull(config, "init_lora_weights");
      initial.is_string() && initial != json("gaussian") && initial != json("orthogonal") && initial != json("eva"))
    RefuseValue(file, "init_lora_weights", initial, "true, false, \"gaussian\", \"orthogonal\" or \"eva\", which leave the base as it is");
  for (const auto& [key, value] : config.items())
    if (!kKnownKeys.contains(key) && IsActive(value))
      throw Error(ErrorCode::kUnsupported,
                  fmt::format("{}: {} is {}, which is not supported", file, Printable(key), value.is_boolean() ? DumpJson(value) : "set"));
}

// A list of names; nothing for null and for a string, which stands for a pattern.
std::vector<std::string> Names(const json& config, const std::string& file, const char* key) {
  const json& list = MemberOrNull(config, key);
  std::vector<std::string> names;
  if (list.is_null() || list.is_string()) return names;
  if (!list.is_array()) RefuseKind(file, key, "a list of names", list);
  for (const json& name : list) {
    if (!name.is_string() || name.get_ref<const std::string&>().empty()) RefuseKind(file, key, "names", name);
    names.push_back(name.get<std::string>());
  }
  return names;
}

void CheckPlainName(const std::string& file, const char* key, const std::string& name) {
  const bool is_plain = !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
  });
  if (!is_plain)
    throw Error(ErrorCode::kUnsupported, fmt::format("{}: {}: {} is a pattern; supported are names of modules", file, key, Quoted(name)));
}

// {"query": 4}: values from low to high by the names of modules.
std::map<std::string, double> Pattern(const json& config, const std::string& file, const char* key, double low, double high) {
  const json& object = MemberOrNull(config, key);
  std::map<std::string, double> values;
  if (object.is_null()) return values;
  if (!object.is_object()) RefuseKind(file, key, "an object", object);
  for (const auto& [name, value] : object.items()) {
    CheckPlainName(file, key, name);
    if (!value.is_number() || !(value.get<double>() >= low && value.get<double>() <= high))
      throw Error(ErrorCode::kInvalidInput, fmt::format("{}: {}: '{}': expected a number from {} to {}, found {}", file, key, name, low,
                                                        high, value.is_number() ? DumpJson(value) : value.type_name()));
    values[name] = value.get<double>();
  }
  return values;
}

// The value of the one name that means the module. Throws kUnsupported where two do and disagree: PEFT takes the one that the file says
// first.
template <typename Value>
std::optional<Value> ValueOf(const std::map<std::string, Value>& pattern, const char* key, std::string_view module) {
  std::optional<Value> found;
  for (const auto& [name, value] : pattern) {
    if (!NamesModule(name, module)) continue;
    if (found && *found != value)
      throw Error(ErrorCode::kUnsupported, fmt::format("{}: {} has two values for '{}'", kAdapterConfigFile, key, module));
    found = value;
  }
  return found;
}

}  // namespace

bool NamesModule(std::string_view name, std::string_view module) {
  return module.ends_with(name) && (module.size() == name.size() || module[module.size() - name.size() - 1] == '.');
}

size_t AdapterConfig::RankOf(std::string_view module) const { return ValueOf(rank_pattern, "rank_pattern", module).value_or(rank); }

float AdapterConfig::ScaleOf(std::string_view module) const {
  const double numerator = ValueOf(alpha_pattern, "alpha_pattern", module).value_or(alpha), r = static_cast<double>(RankOf(module));
  return static_cast<float>(numerator / (rank_stabilized ? std::sqrt(r) : r));
}

bool AdapterConfig::Targets(std::string_view module) const {
  return std::any_of(targets.begin(), targets.end(), [&](const std::string& name) { return NamesModule(name, module); });
}

AdapterConfig ReadAdapterConfig(const std::string& folder) {
  const std::string file = folder + "/" + kAdapterConfigFile;
  if (!FileExists(file))
    throw Error(ErrorCode::kNotFound, fmt::format("{}: there is no {}", folder, kAdapterConfigFile),
                fmt::format("an adapter is a folder with {} and {}, as PEFT writes it", kAdapterConfigFile, kAdapterWeightsFile));
  const json config = ReadJsonFile(file);
  if (!config.is_object()) throw Error(ErrorCode::kInvalidInput, fmt::format("{}: expected an object, found {}", file, config.type_name()));
  CheckSupported(config, file);
  const ConfigReader reader(config, file);
  AdapterConfig out;
  out.rank = reader.Integer("r", 1, kLargestRank, 8);
  out.alpha = static_cast<double>(reader.Number("lora_alpha", 0, kLargestAlpha, 8));
  out.dropout = static_cast<double>(reader.Number("lora_dropout", 0, 1, 0));
  out.rank_stabilized = reader.Boolean("use_rslora", false);
  for (const auto& [name, value] : Pattern(config, file, "rank_pattern", 1, kLargestRank))
    out.rank_pattern[name] = static_cast<size_t>(value);
  out.alpha_pattern = Pattern(config, file, "alpha_pattern", 0, static_cast<double>(kLargestAlpha));
  out.targets = Names(config, file, "target_modules");
  // Those two leave out some of the modules that targets name.
  out.is_complete = !out.targets.empty() && MemberOrNull(config, "layers_to_transform").is_null() && MemberOrNull(config, "exclude_modules").is_null();
  out.modules_to_save = Names(config, file, "modules_to_save");
  out.task_type = reader.String("task_type", "");
  for (const char* known : {"", "SEQ_CLS", "TOKEN_CLS", "QUESTION_ANS", "FEATURE_EXTRACTION"})
    if (out.task_type == known) {
      out.base_model = reader.String("base_model_name_or_path", "");
      return out;
    }
  RefuseValue(file, "task_type", out.task_type, "\"SEQ_CLS\", \"TOKEN_CLS\", \"QUESTION_ANS\", \"FEATURE_EXTRACTION\" or null");
}

std::string AdapterConfigJson(const AdapterConfig& config) {
  const auto or_null = [](const auto& value) { return value.empty() ? ordered_json(nullptr) : ordered_json(value); };
  // Whole numbers as PEFT has them.
  const bool is_whole = config.alpha == std::floor(config.alpha) && config.alpha < 1e15;
  const ordered_json out = {{"alpha_pattern", ordered_json::object()},
                            {"auto_mapping", nullptr},
                            {"base_model_name_or_path", config.base_model},
                            {"bias", "none"},
                            {"fan_in_fan_out", false},
                            {"inference_mode", true},
                            {"init_lora_weights", true},
                            {"layers_pattern", nullptr},
                            {"layers_to_transform", nullptr},
                            {"lora_alpha", is_whole ? ordered_json(static_cast<uint64_t>(config.alpha)) : ordered_json(config.alpha)},
                            {"lora_dropout", config.dropout},
                            {"modules_to_save", or_null(config.modules_to_save)},
                            {"peft_type", "LORA"},
                            {"r", config.rank},
                            {"rank_pattern", ordered_json::object()},
                            {"revision", nullptr},
                            {"target_modules", config.targets},
                            {"task_type", or_null(config.task_type)},
                            {"use_dora", false},
                            {"use_rslora", config.rank_stabilized}};
  return DumpJson(out, 2) + "\n";
}

}  // namespace mlac
