// Any bytes as a safetensors file: tensors that lie inside it, or an Error of one line.
#include <cstdint>
#include <cstdlib>
// Reader: src/tensor/safetensors.cc

#include "base/error.h"
#include "tensor/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mlac;
  try {
    const SafetensorsFile file({reinterpret_cast<const std::byte*>(data), size}, "fuzz", nullptr);
    size_t num_bytes = 0;
    for (const TensorInfo& info : file.tensors()) {
      num_bytes += info.num_bytes;
      if (file.Find(info.name) != &info) abort();
      if (info.dtype && file.Get(info.name).num_bytes() != info.num_bytes) abort();
    }
    if (num_bytes != file.num_data_bytes() || num_bytes > size) abort();
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kInternal || error.message().find('\n') != std::string::npos) abort();
  }
  return 0;
}
