// Any bytes as config.json: a model whose weights are then missing, or another Error of one line.
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
// Reader: src/models/config.cc src/models/registry.cc

#include "base/error.h"
#include "base/json.h"
#include "models/config.h"
#include "models/registry.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mlac;
  try {
    const nlohmann::json config = ParseJson({reinterpret_cast<const char*>(data), size}, "fuzz");
    const HeadRequest head = HeadOf(config, "fuzz");
    ConfigReader(config, "fuzz").LabelNames();
    MakeModel(config, "fuzz", [](const std::string&) { return std::nullopt; }, "weights", head);
    abort();  // every model asks for weights, and there are none
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kInternal || error.message().find('\n') != std::string::npos) abort();
  }
  return 0;
}
