#include "models/quantization.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/display.h"
#include "base/error.h"
#include "base/json.h"
#include "models/config.h"

namespace mlac {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

[[noreturn]] void RefuseQuantization(const std::string& file, const std::string& field, const json& found, const std::string& supported) {
  RefuseValue(file, "quantization_config." + field, found, supported);
}

// Refuses a field that is not one of the values; one that is absent has compressed-tensors' default, which is `absent`.
void Expect(const std::string& file, const json& object, const std::string& path, const char* field, const std::vector<json>& values,
            const json& absent) {
  const json& given = MemberOrNull(object, field);
  const json& found = given.is_null() ? absent : given;
  for (const json& value : values)
    if (found == value) return;
  std::string names;
  for (const json& value : values) names += (names.empty() ? "" : " or ") + DumpJson(value);
  RefuseQuantization(file, path + field, given, names);
}

// What changes the answers and has no place here: rotations, sparse storage, rounded keys and values.
void ExpectNothing(const std::string& file, const json& quantization, const char* field) {
  const json& found = MemberOrNull(quantization, field);
  if (!found.is_null() && !(found.is_object() && found.empty())) RefuseQuantization(file, field, found, "null");
}

}  // namespace

Quantization ReadQuantization(const json& config, const std::string& file) {
  const json& quantization = MemberOrNull(config, "quantization_config");
  if (quantization.is_null()) return Quantization::kNone;
  if (!quantization.is_object())
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: quantization_config is {}; expected an object", file, quantization.type_name()));
  // Compared as values: nlohmann's == with a text is noexcept and makes a value of it, which ends the process where memory is short.
  if (MemberOrNull(quantization, "quant_method") != json("compressed-tensors"))
    RefuseQuantization(file, "quant_method", MemberOrNull(quantization, "quant_method"), "\"compressed-tensors\"");
  if (MemberOrNull(quantization, "format") != json("int-quantized"))
    RefuseQuantization(file, "format", MemberOrNull(quantization, "format"), "\"int-quantized\"");
  for (const char* field : {"kv_cache_scheme", "sparsity_config", "transform_config"}) ExpectNothing(file, quantization, field);
  const json& groups = MemberOrNull(quantization, "config_groups");
  if (!groups.is_object() || groups.empty()) RefuseQuantization(file, "config_groups", groups, "an object with a group");
  bool weight_only = false, dynamic = false;
  for (const auto& [name, group] : groups.items()) {
    const std::string path = "config_groups." + Printable(name, 100) + ".";
    const json &weights = MemberOrNull(group, "weights"), &activations = MemberOrNull(group, "input_activations"), &targets = MemberOrNull(group, "targets");
    if (!weights.is_object()) RefuseQuantization(file, path + "weights", weights, "an object");
    Expect(file, group, path, "format", {"int-quantized"}, "int-quantized");
    Expect(file, weights, path + "weights.", "num_bits", {8}, 8);
    Expect(file, weights, path + "weights.", "type", {"int"}, "int");
    Expect(file, weights, path + "weights.", "symmetric", {true}, true);
    Expect(file, weights, path + "weights.", "strategy", {"channel", "tensor"}, "tensor");
    if (!MemberOrNull(group, "output_activations").is_null())
      RefuseQuantization(file, path + "output_activations", MemberOrNull(group, "output_activations"), "null");
    if (targets == json{"Embedding"}) continue;  // rows are looked up, not multiplied
    if (activations.is_null()) {
      weight_only = true;
      continue;
    }
    dynamic = true;
    if (!activations.is_object()) RefuseQuantization(file, path + "input_activations", activations, "an object or null");
    Expect(file, activations, path + "input_activations.", "num_bits", {8}, 8);
    Expect(file, activations, path + "input_activations.", "type", {"int"}, "int");
    Expect(file, activations, path + "input_activations.", "strategy", {"token"}, "tensor");
    Expect(file, activations, path + "input_activations.", "dynamic", {true}, false);
  }
  if (weight_only && dynamic)
    throw Error(ErrorCode::kUnsupported, fmt::format("{}: quantization_config quantises activations in one group and not in another", file));
  return weight_only ? Quantization::kInt8WeightOnly : Quantization::kInt8;
}

ordered_json Int8QuantizationConfig(const std::vector<std::string>& ignore) {
  const ordered_json weights = {{"num_bits", 8}, {"type", "int"}, {"symmetric", true}, {"strategy", "channel"}, {"dynamic", false}};
  const ordered_json activations = {{"num_bits", 8}, {"type", "int"}, {"symmetric", false}, {"strategy", "token"}, {"dynamic", true}};
  const auto group = [&](const char* target, const ordered_json& input_activations) {
    // The format of each group: for one with weights alone compressed-tensors would take "pack-quantized".
    return ordered_json{{"targets", {target}}, {"format", "int-quantized"}, {"weights", weights}, {"input_activations", input_activations},
                        {"output_activations", nullptr}};
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
