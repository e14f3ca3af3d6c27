#include "models/quantization.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace mlac {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

[[noreturn]] void Refuse(const std::string& file, const std::string& field, const json& found, const std::string& supported) {
  throw Error(ErrorCode::kUnsupported, fmt::format("{}: quantization_config.{} is {}; supported is {}", file, field, found.dump(), supported));
}

const json& At(const json& object, const char* field) {
  static const json kNull;
  const auto found = object.find(field);
  return found == object.end() ? kNull : *found;
}

// Refuses a field that is there and is not one of the values.
void Expect(const std::string& file, const json& object, const std::string& path, const char* field, const std::vector<json>& values) {
  const json& found = At(object, field);
  for (const json& value : values)
    if (found.is_null() || found == value) return;
  std::string names;
  for (const json& value : values) names += (names.empty() ? "" : " or ") + value.dump();
  Refuse(file, path + field, found, names);
}

}  // namespace

Quantization ReadQuantization(const json& config, const std::string& file) {
  const json& quantization = At(config, "quantization_config");
  if (quantization.is_null()) return Quantization::kNone;
  if (!quantization.is_object())
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: quantization_config is {}; expected an object", file, quantization.type_name()));
  if (At(quantization, "quant_method") != "compressed-tensors") Refuse(file, "quant_method", At(quantization, "quant_method"), "\"compressed-tensors\"");
  if (At(quantization, "format") != "int-quantized") Refuse(file, "format", At(quantization, "format"), "\"int-quantized\"");
  const json& groups = At(quantization, "config_groups");
  if (!groups.is_object() || groups.empty()) Refuse(file, "config_groups", groups, "an object with a group");
  bool weight_only = false, dynamic = false;
  for (const auto& [name, group] : groups.items()) {
    const std::string path = "config_groups." + name + ".";
    const json &weights = At(group, "weights"), &activations = At(group, "input_activations"), &targets = At(group, "targets");
    if (!group.is_object() || !weights.is_object()) Refuse(file, path + "weights", weights, "an object");
    Expect(file, weights, path + "weights.", "num_bits", {8});
    Expect(file, weights, path + "weights.", "type", {"int"});
    Expect(file, weights, path + "weights.", "symmetric", {true});
    Expect(file, weights, path + "weights.", "strategy", {"channel", "tensor"});
    if (!At(group, "output_activations").is_null()) Refuse(file, path + "output_activations", At(group, "output_activations"), "null");
    if (targets == json{"Embedding"}) continue;  // rows are looked up, not multiplied
    if (activations.is_null()) {
      weight_only = true;
      continue;
    }
    dynamic = true;
    Expect(file, activations, path + "input_activations.", "num_bits", {8});
    Expect(file, activations, path + "input_activations.", "type", {"int"});
    Expect(file, activations, path + "input_activations.", "strategy", {"token"});
    Expect(file, activations, path + "input_activations.", "dynamic", {true});
  }
  if (weight_only && dynamic)
    throw Error(ErrorCode::kUnsupported, fmt::format("{}: quantization_config quantises activations in one group and not in another", file));
  return weight_only ? Quantization::kInt8WeightOnly : Quantization::kInt8;
}

ordered_json Int8QuantizationConfig(const std::vector<std::string>& ignore) {
  const ordered_json weights = {{"num_bits", 8}, {"type", "int"}, {"symmetric", true}, {"strategy", "channel"}, {"dynamic", false}};
  const ordered_json activations = {{"num_bits", 8}, {"type", "int"}, {"symmetric", false}, {"strategy", "token"}, {"dynamic", true}};
  const auto group = [&](const char* target, const ordered_json& input_activations) {
    return ordered_json{{"targets", {target}}, {"weights", weights}, {"input_activations", input_activations}, {"output_activations", nullptr}};
  };
  return {{"quant_method", "compressed-tensors"},
          {"format", "int-quantized"},
          {"quantization_status", "compressed"},
          {"config_groups", {{"group_0", group("Linear", activations)}, {"group_1", group("Embedding", nullptr)}}},
          {"ignore", ignore},
          {"kv_cache_scheme", nullptr},
          {"global_compression_ratio", nullptr}};
}

std::string ScaleName(std::string_view weight_name) { return std::string(weight_name) + "_scale"; }

}  // namespace mlac
