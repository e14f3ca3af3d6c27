// Any bytes up to the first NUL as model.safetensors.index.json, and those behind it as its shard a.safetensors, beside a good b.safetensors;
// without an index, those behind it as model.safetensors, or, if they are the name of a file of pickles, as that: weights that are all there,
// or an Error of one line.
// Reader: src/tensor/weight_files.cc
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "tensor/weight_files.h"
#include "tests/fuzz/memory_folder.h"

namespace {

using namespace mlac;

constexpr const char* kPickles[] = {"pytorch_model.bin", "pytorch_model.bin.index.json"};

void Check(bool holds) {
  if (!holds) abort();
}

void CheckShards(std::string_view index) {
  for (const auto& [tensor, shard] : ParseWeightIndex(index, "fuzz"))
    Check(!shard.empty() && shard != "." && shard != ".." && shard.find('/') == std::string::npos && shard.find('\0') == std::string::npos);
}

// The files that are there for one input, and go with it: the next one may have others.
class Files {
 public:
  explicit Files(const MemoryFolder& folder) : folder_(folder) {}
  ~Files() {
    for (const std::string& name : names_) folder_.Remove(name);
  }
  void Write(const std::string& name, std::string_view content) {
    folder_.Write(name, content);
    names_.push_back(name);
  }

 private:
  const MemoryFolder& folder_;
  std::vector<std::string> names_;
};

void CheckWeights(const WeightFiles& weights) {
  size_t num_bytes = 0;
  for (const std::string& name : weights.names()) {
    const TensorInfo* info = weights.Find(name);
    Check(info != nullptr && info->name == name);
    num_bytes += info->num_bytes;
    if (info->dtype) Check(weights.Get(name).num_bytes() == info->num_bytes);
  }
  Check(weights.names().size() == weights.num_tensors() && weights.num_bytes() == num_bytes);
  weights.CheckUnchanged();
  if (weights.Find("absent") != nullptr) return;
  try {
    weights.Get("absent");
    abort();
  } catch (const Error& error) {
    Check(error.code() == ErrorCode::kNotFound);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const MemoryFolder folder("weight-index");
  static const bool has_good_shard = [] {
    WriteSafetensors(folder / "b.safetensors", std::vector<NamedTensor>{{"b", Tensor::Zeros({2})}});
    return true;
  }();
  Check(has_good_shard);
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t nul = std::min(input.find('\0'), size);
  const std::string_view index = input.substr(0, nul), weights = input.substr(std::min(nul + 1, size));
  Files files(folder);
  try {
    if (!index.empty()) {
      CheckShards(index);  // before a file is written: most are refused here
      files.Write("model.safetensors.index.json", index);
      files.Write("a.safetensors", weights);
    } else if (std::find(std::begin(kPickles), std::end(kPickles), weights) != std::end(kPickles)) {
      files.Write(std::string(weights), "");
    } else if (!weights.empty()) {
      files.Write("model.safetensors", weights);
    }
    CheckWeights(WeightFiles::Open(folder.path()));
  } catch (const Error& error) {
    Check(error.code() != ErrorCode::kInternal && error.message().find('\n') == std::string::npos);
  }
  return 0;
}
