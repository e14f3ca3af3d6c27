#include "tensor/weight_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/display.h"
#include "base/error.h"
#include "base/json.h"
#include "base/nearest_name.h"

namespace mlac {
namespace {

constexpr size_t kMaxIndexBytes = size_t{64} << 20;  // at about 100 bytes a tensor, 600,000 tensors

constexpr char kConversion[] =
    "convert it once, there, with PyTorch: python3 -c \"import torch, safetensors.torch as s; s.save_file({k: v.clone(memory_format="
    "torch.contiguous_format) for k, v in torch.load('pytorch_model.bin', weights_only=True).items()}, 'model.safetensors', {'format': 'pt'})\"";

// A shard lies beside its index. OpenBeneath would keep a path with folders inside as well, but no index has one.
bool IsPlainName(std::string_view name) { return !name.empty() && name != "." && name != ".." && name.find_first_of("/\\") == std::string_view::npos; }

std::string_view TypeName(const nlohmann::json& value) {
  return value.is_object() ? "an object" : value.is_array() ? "an array" : value.is_string() ? "text" : value.is_null() ? "null" : "a number or truth value";
}

[[noreturn]] void ThrowNoWeights(const std::string& folder) {
  if (!FolderExists(folder)) throw Error(ErrorCode::kNotFound, fmt::format("{}: no such folder", folder));
  if (FileExists(folder + "/pytorch_model.bin"))
    throw Error(ErrorCode::kUnsupported, fmt::format("{}: has its weights in pytorch_model.bin, a pickle, which can run code; mlac reads safetensors", folder),
                kConversion);
  if (FileExists(folder + "/pytorch_model.bin.index.json"))
    throw Error(ErrorCode::kUnsupported, fmt::format("{}: has its weights in shards of pickles, which can run code; mlac reads safetensors", folder),
                "convert it once with transformers: from_pretrained(FOLDER) and save_pretrained(FOLDER) of the model's class");
  throw Error(ErrorCode::kNotFound, fmt::format("{}: has no weights: neither model.safetensors nor model.safetensors.index.json is there", folder));
}

}  // namespace

std::map<std::string, std::string> ParseWeightIndex(std::string_view text, std::string_view where) {
  const auto fail = [&](const std::string& what) { throw Error(ErrorCode::kInvalidInput, fmt::format("{}: {}", where, what)); };
  const nlohmann::json index = ParseJson(text, where, /*max_depth=*/8);
  if (!index.is_object()) fail(fmt::format("expected an object, found {}", TypeName(index)));
  const auto weight_map = index.find("weight_map");
  if (weight_map == index.end()) fail("weight_map is missing");
  if (!weight_map->is_object()) fail(fmt::format("weight_map: expected an object, found {}", TypeName(*weight_map)));
  if (weight_map->empty()) fail("weight_map: expected tensors, found none");
  std::map<std::string, std::string> shards;
  for (const auto& [tensor, shard] : weight_map->items()) {
    if (!shard.is_string()) fail(fmt::format("weight_map: tensor {}: expected the name of a file, found {}", Quoted(tensor), TypeName(shard)));
    const std::string& name = shard.get_ref<const std::string&>();
    if (!IsPlainName(name)) fail(fmt::format("weight_map: tensor {}: expected the name of a file beside the index, found {}", Quoted(tensor), Quoted(name)));
    shards.emplace(tensor, name);
  }
  return shards;
}

WeightFiles WeightFiles::Open(const std::string& folder) {
  const std::string single = folder + "/model.safetensors", index = single + ".index.json";
  if (FileExists(single) || !FileExists(index)) {
    if (!FileExists(single)) ThrowNoWeights(folder);
    WeightFiles weights(single);
    weights.Add(std::make_shared<const MappedFile>(single));
    weights.SortByName();
    return weights;
  }
  const std::map<std::string, std::string> shard_of = ParseWeightIndex(ReadFile(index, kMaxIndexBytes), index);
  std::set<std::string> shards;
  for (const auto& [tensor, shard] : shard_of) shards.insert(shard);
  WeightFiles weights(index);
  std::map<std::string, const SafetensorsFile*> file_of;
  for (const std::string& shard : shards) {
    try {
      weights.Add(std::make_shared<const MappedFile>(OpenBeneath(folder, shard), folder + "/" + shard));
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kNotFound) throw;
      throw Error(ErrorCode::kNotFound, fmt::format("{}: names the shard {}, which is not there", index, Quoted(shard)), "is the download complete?");
    }
  }
  size_t file = 0;
  for (const std::string& shard : shards) file_of[shard] = &weights.files_[file++];
  for (const auto& [tensor, shard] : shard_of)
    if (file_of.at(shard)->Find(tensor) == nullptr)
      throw Error(ErrorCode::kInvalidInput, fmt::format("{}: places tensor {} in the shard {}, which has no such tensor", index, Quoted(tensor), Quoted(shard)),
                  "are the index and the shards from the same revision?");
  weights.SortByName();
  return weights;
}

void WeightFiles::Add(std::shared_ptr<const MappedFile> file) {
  files_.emplace_back(file);
  mapped_.push_back(std::move(file));
  for (size_t tensor = 0; tensor < files_.back().tensors().size(); ++tensor) places_.push_back({files_.size() - 1, tensor});
}

void WeightFiles::SortByName() {
  std::sort(places_.begin(), places_.end(), [&](Place a, Place b) { return InfoOf(a).name < InfoOf(b).name; });
  const auto twice = std::adjacent_find(places_.begin(), places_.end(), [&](Place a, Place b) { return InfoOf(a).name == InfoOf(b).name; });
  if (twice == places_.end()) return;
  const auto [one, other] = std::minmax(twice[0].file, twice[1].file);
  throw Error(ErrorCode::kInvalidInput, fmt::format("{}: tensor {} stands in two shards, {} and {}", source_, Quoted(InfoOf(*twice).name),
                                                    files_[one].name(), files_[other].name()));
}

std::vector<std::string> WeightFiles::names() const {
  std::vector<std::string> names;
  names.reserve(places_.size());
  for (const Place place : places_) names.push_back(InfoOf(place).name);
  return names;
}

size_t WeightFiles::num_bytes() const {
  size_t sum = 0;
  for (const SafetensorsFile& file : files_) sum += file.num_data_bytes();
  return sum;
}

const TensorInfo* WeightFiles::Find(std::string_view name) const {
  for (const SafetensorsFile& file : files_)
    if (const TensorInfo* info = file.Find(name)) return info;
  return nullptr;
}

Tensor WeightFiles::Get(std::string_view name) const {
  for (const SafetensorsFile& file : files_)
    if (file.Find(name) != nullptr) return file.Get(name);
  throw Error(ErrorCode::kNotFound, fmt::format("{}: has no tensor {}", source_, Quoted(name)), DidYouMean(name, names()));
}

void WeightFiles::CheckUnchanged() const {
  for (const auto& file : mapped_) file->CheckUnchanged();
}

}  // namespace mlac
