#include "optimize/int8_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/find_not_finite.h"
#include "base/json.h"
#include "kernels/quantize.h"
#include "models/model_folder.h"
#include "models/quantization.h"
#include "optimize/carried_files.h"
#include "tensor/safetensors.h"
#include "tensor/weight_files.h"
#include "train/report_card.h"
#include "train/sentence_folder.h"

namespace mlac {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// Whether the name belongs to a head. A checkpoint of the bare encoder leaves the family's prefix out: "pooler." for "bert.pooler.".
bool IsOfHead(const std::string& name, const std::vector<std::string>& prefixes) {
  for (const std::string& prefix : prefixes) {
    const std::string bare = prefix.substr(prefix.find('.') + 1);
    if (name.starts_with(prefix) || (!bare.empty() && name.starts_with(bare))) return true;
  }
  return false;
}

// A bias of attention by distance is a table of a few numbers that is added to scores.
bool IsPositionBias(const std::string& name) { return name.ends_with("relative_attention_bias.weight"); }

bool IsMatrix(const TensorInfo& info) {
  return info.shape.size() == 2 && info.dtype && (*info.dtype == DType::kF32 || *info.dtype == DType::kF16 || *info.dtype == DType::kBF16) &&
         info.name.ends_with(".weight");
}

void AddInt8(const std::string& file, const std::string& name, const Tensor& weight, std::vector<NamedTensor>& tensors) {
  const size_t rows = weight.dim(0), size = weight.dim(1);
  const Tensor floats = weight.dtype() == DType::kF32 ? weight : weight.ToF32();
  if (FindNotFinite(floats.floats()))
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: tensor '{}' holds NaN or infinity", file, name));
  Tensor values = Tensor::Uninitialized({rows, size}, DType::kI8), scales = Tensor::Uninitialized({rows, 1});
  kernels::QuantizeWeightRows(floats.floats().data(), rows, size, reinterpret_cast<int8_t*>(values.mutable_bytes().data()),
                              scales.mutable_floats().data());
  tensors.push_back({name, std::move(values)});
  tensors.push_back({ScaleName(name), std::move(scales)});
}

// transformers ties the weight of a decoder to the table of embeddings, which is int8 then, and looks for its scales under the decoder's own name.
void AddTiedScales(const std::map<std::string, std::string>& tied, std::vector<NamedTensor>& tensors) {
  for (const auto& [name, other] : tied) {
    const auto found = std::find_if(tensors.begin(), tensors.end(), [&](const NamedTensor& tensor) { return tensor.name == ScaleName(other); });
    if (found != tensors.end()) tensors.push_back({ScaleName(name), Tensor(found->tensor)});
  }
}

}  // namespace

Int8Summary WriteInt8Folder(const std::string& model_folder, const std::string& out) {
  const std::string inner = TransformerFolder(model_folder), config_file = inner + "/config.json";
  json config = ReadJsonFile(config_file);
  if (config.contains("quantization_config"))
    throw Error(ErrorCode::kUnsupported, fmt::format("{}: the model is quantised already", config_file), "give the model that it was made from");
  const std::unique_ptr<const Model> model = OpenModel(model_folder);  // and so everything has been checked
  const std::vector<std::string> heads = model->head_prefixes();
  std::map<std::string, std::string> tied;
  for (const auto& [name, other] : model->tied_weights()) tied[name] = other;
  const WeightFiles weights = WeightFiles::Open(inner);

  Int8Summary summary;
  std::vector<NamedTensor> tensors;
  std::vector<std::string> ignore;
  for (const std::string& name : weights.names()) {
    const TensorInfo& info = *weights.Find(name);
    ++summary.num_tensors;
    summary.bytes_before += info.num_bytes;
    if (tied.contains(name)) continue;
    const Tensor weight = weights.Get(name);
    if (!IsMatrix(info)) {
      tensors.push_back({name, weight});
    } else if (IsOfHead(name, heads) || IsPositionBias(name)) {
      ignore.push_back(name.substr(0, name.size() - std::string_view(".weight").size()));
      tensors.push_back({name, weight});
    } else {
      AddInt8(weights.source(), name, weight, tensors);
      ++summary.num_quantized;
    }
  }
  AddTiedScales(tied, tensors);
  for (const NamedTensor& tensor : tensors) summary.bytes_after += tensor.tensor.num_bytes();

  const std::string inner_out = out + inner.substr(model_folder.size());
  if (inner_out != out) fs::create_directory(inner_out);
  CopyFiles(model_folder, out, kModelCardFile);
  CopyTrainingRecord(model_folder, out);
  if (inner_out != out) CopyFiles(inner, inner_out, kModelCardFile);
  CopyModules(model_folder, out);
  WriteSafetensors(inner_out + "/model.safetensors", tensors, {{"format", "pt"}});
  config["quantization_config"] = ParseJson(DumpJson(Int8QuantizationConfig(ignore)), "quantization_config");
  WriteFileAtomically(inner_out + "/config.json", DumpJson(config, 2) + "\n");
  weights.CheckUnchanged();
  return summary;
}

}  // namespace mlac
