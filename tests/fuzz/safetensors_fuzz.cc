// Any bytes as a safetensors file: tensors that lie inside it and are the same when they were written again, or an Error of one line.
// Reader: src/tensor/safetensors.cc
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "base/error.h"
#include "tensor/safetensors.h"
#include "tests/fuzz/memory_folder.h"

namespace {

using namespace mlac;

void Check(bool holds) {
  if (!holds) abort();
}

template <typename Action>
bool Refuses(ErrorCode code, Action action) {
  try {
    action();
    return false;
  } catch (const Error& error) {
    return error.code() == code && error.message().find('\n') == std::string::npos;
  }
}

void WriteAndReadAgain(const SafetensorsFile& file) {
  static const MemoryFolder folder("safetensors");
  const std::string path = folder / "again.safetensors";
  std::vector<NamedTensor> tensors;
  for (const TensorInfo& info : file.tensors())
    if (info.dtype) tensors.push_back({info.name, file.Get(info.name)});
  WriteSafetensors(path, tensors, file.metadata());
  const SafetensorsFile again(std::make_shared<const MappedFile>(path));
  Check(again.tensors().size() == tensors.size() && again.metadata() == file.metadata());
  for (const auto& [name, tensor] : tensors) {
    const Tensor read = again.Get(name);
    Check(read.dtype() == tensor.dtype() && read.shape() == tensor.shape());
    Check(tensor.num_bytes() == 0 || std::memcmp(read.data(), tensor.data(), tensor.num_bytes()) == 0);
  }
  if (tensors.empty()) return;
  tensors.push_back(tensors.front());
  Check(Refuses(ErrorCode::kInvalidArgument, [&] { WriteSafetensors(path, tensors); }));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const SafetensorsFile file({reinterpret_cast<const std::byte*>(data), size}, "fuzz", nullptr);
    size_t num_bytes = 0;
    for (const TensorInfo& info : file.tensors()) {
      num_bytes += info.num_bytes;
      Check(file.Find(info.name) == &info);
      if (info.dtype) {
        Check(file.Get(info.name).num_bytes() == info.num_bytes);
      } else {
        Check(Refuses(ErrorCode::kUnsupported, [&] { file.Get(info.name); }));
      }
    }
    Check(num_bytes == file.num_data_bytes() && num_bytes <= size);
    Check(file.Find("absent") != nullptr || Refuses(ErrorCode::kNotFound, [&] { file.Get("absent"); }));
    WriteAndReadAgain(file);
  } catch (const Error& error) {
    Check(error.code() != ErrorCode::kInternal && error.message().find('\n') == std::string::npos);
  }
  return 0;
}
