#pragma once
// The weights of a model folder in the Hugging Face layout: model.safetensors, or the shards that model.safetensors.index.json names.
#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/safetensors.h"

namespace mlac {

// What an index says: the shard of each tensor, {"weight_map": {"embeddings.weight": "model-00001-of-00002.safetensors", ...}}. Its
// "metadata" is left alone: the total_size there is often wrong, and the shards know better.
// where: the file, for messages. Throws kInvalidInput for text that is no such index, and for a shard that is no plain file name.
std::map<std::string, std::string> ParseWeightIndex(std::string_view text, std::string_view where);

// All files are open, mapped and checked. Immutable; safe to use from several threads.
class WeightFiles {
 public:
  // model.safetensors is taken if it is there, as transformers does. Shards are opened by OpenBeneath: an index cannot name a file outside
  // the folder. Throws kNotFound for a folder without weights or a shard that is missing; kInvalidInput for a bad file, for an index that
  // places a tensor in a shard that has no such one, and for a name that stands in two shards; kUnsupported for a folder that has
  // pytorch_model.bin alone.
  static WeightFiles Open(const std::string& folder);

  // For messages: the path of model.safetensors or of the index.
  const std::string& source() const { return source_; }
  std::vector<std::string> names() const;  // sorted
  size_t num_tensors() const { return places_.size(); }
  size_t num_bytes() const;  // of all tensors

  const TensorInfo* Find(std::string_view name) const;  // nullptr: there is none
  // As SafetensorsFile::Get; a tensor of a shard that the index leaves out is there as well, as in transformers.
  Tensor Get(std::string_view name) const;
  // "__metadata__" of model.safetensors or of the first shard by name.
  const std::map<std::string, std::string>& metadata() const { return files_.front().metadata(); }

  // As MappedFile::CheckUnchanged, for every file.
  void CheckUnchanged() const;

 private:
  struct Place {
    size_t file, tensor;  // in files_, and in tensors() of that file
  };

  explicit WeightFiles(std::string source) : source_(std::move(source)) {}
  void Add(std::shared_ptr<const MappedFile> file);
  void SortByName();
  const TensorInfo& InfoOf(Place place) const { return files_[place.file].tensors()[place.tensor]; }

  std::string source_;
  std::vector<std::shared_ptr<const MappedFile>> mapped_;
  std::vector<SafetensorsFile> files_;
  std::vector<Place> places_;  // by name, rising
};

}  // namespace mlac
