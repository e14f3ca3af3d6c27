// Any bytes as model.safetensors.index.json: tensors in shards with plain names, or an Error of one line.
#include <cstdint>
#include <cstdlib>
// Reader: src/tensor/weight_files.cc

#include "base/error.h"
#include "tensor/weight_files.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mlac;
  try {
    for (const auto& [tensor, shard] : ParseWeightIndex({reinterpret_cast<const char*>(data), size}, "fuzz"))
      if (shard.empty() || shard == "." || shard == ".." || shard.find('/') != std::string::npos || shard.find('\0') != std::string::npos) abort();
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kInternal || error.message().find('\n') != std::string::npos) abort();
  }
  return 0;
}
