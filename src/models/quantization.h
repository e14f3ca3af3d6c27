#pragma once
// How the weights of a folder are quantised: config.json's quantization_config.
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace mlac {

enum class Quantization {
  kNone,
  kInt8,            // weights int8, activations rounded row by row as they come
  kInt8WeightOnly,  // weights int8, activations f32: the weights become f32 when they are loaded
};

// What config.json says. Known is the format "int-quantized" of compressed-tensors (https://github.com/vllm-project/compressed-tensors): int8 around
// zero, a scale a channel or one a tensor; activations dynamic by token, which mlac always takes with a zero of their own, or not quantised.
// Throws kUnsupported for anything else, naming field and value.
Quantization ReadQuantization(const nlohmann::json& config, const std::string& file);

// The quantization_config that mlac writes: linear layers with a scale an output and dynamic activations, embedding tables with a scale a row.
// ignore: the linear layers that were left as they are.
nlohmann::ordered_json Int8QuantizationConfig(const std::vector<std::string>& ignore);

// The name of the scales that belong to an int8 weight.
std::string ScaleName(std::string_view weight_name);

}  // namespace mlac
