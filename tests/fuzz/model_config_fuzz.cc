// Any bytes as config.json: a model whose weights are then missing, or another Error of one line.
// Reader: src/models/config.cc src/models/registry.cc src/models/quantization.cc
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "models/config.h"
#include "models/quantization.h"
#include "models/registry.h"

namespace {

using namespace mlac;

// Whether it was read to its end.
template <typename Read>
bool ReadOrError(Read read) {
  try {
    read();
    return true;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kInternal || error.message().find('\n') != std::string::npos) abort();
    return false;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  nlohmann::json config;
  if (!ReadOrError([&] { config = ParseJson({reinterpret_cast<const char*>(data), size}, "fuzz"); })) return 0;
  HeadRequest head;
  std::vector<std::string> labels;
  const bool has_head = ReadOrError([&] { head = HeadOf(config, "fuzz"); });
  ReadOrError([&] { labels = ConfigReader(config, "fuzz").LabelNames(); });
  const bool is_known = ReadOrError([&] { CheckModelType(config, "fuzz"); });
  ReadOrError([&] { ReadQuantization(config, "fuzz"); });
  if (is_known && has_head) {
    const bool has_weights =
        ReadOrError([&] { MakeModel(config, "fuzz", [](const std::string&) { return std::nullopt; }, "weights", head); });
    if (has_weights) abort();  // every model asks for some, and there are none
  }
  // What is written of a quantisation is read again, whatever the names of its layers are.
  if (labels.size() > 100 || !config.is_object()) return 0;
  config["quantization_config"] = nlohmann::json::parse(Int8QuantizationConfig(labels).dump());
  if (ReadQuantization(config, "fuzz") != Quantization::kInt8) abort();
  if (!labels.empty() && ScaleName(labels.front()) != labels.front() + "_scale") abort();
  return 0;
}
