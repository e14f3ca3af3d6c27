#pragma once
// The safetensors format, read by mmap and written whole.
// Source: https://github.com/huggingface/safetensors at revision 24b0b28, README.md ("Format") and safetensors/src/tensor.rs.
//   8 bytes: N, the length of the header, little-endian; N bytes: the header; the rest: the data of the tensors.
//   The header is JSON: {"__metadata__": {text: text}, name: {"dtype": "F32", "shape": [384, 384], "data_offsets": [begin, end]}, ...},
//   begins with '{' and may end in spaces; offsets count from the end of the header.
#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "tensor/tensor.h"

namespace mlac {

// What the header says of one tensor.
struct TensorInfo {
  std::string name;
  std::string_view dtype_name;  // as the file spells it: "F32", "F8_E4M3"
  std::optional<DType> dtype;   // none: a type that safetensors knows and mlac has no use for (8 bits and less, complex)
  Shape shape;
  size_t offset = 0;  // of the first byte in the data
  size_t num_bytes = 0;
};

// A file that has passed every check of the specification: a tensor that it lists lies inside it, has the size that its type and shape
// ask for, and shares no byte with another. Beyond the reference, it refuses a name that stands twice, a field that is none of the three
// and more than 64 dimensions. Immutable; safe to use from several threads.
class SafetensorsFile {
 public:
  // Reads the header alone, in time and memory proportional to it. Throws kInvalidInput, naming file, tensor, field, what was expected
  // and what was found; kTooLarge for a header above 100,000,000 bytes, the reference's limit.
  explicit SafetensorsFile(std::shared_ptr<const MappedFile> file);
  // The same from memory; name is for messages, keep_alive holds whatever owns bytes.
  SafetensorsFile(std::span<const std::byte> bytes, std::string name, std::shared_ptr<const void> keep_alive);

  const std::string& name() const { return name_; }
  std::span<const TensorInfo> tensors() const { return tensors_; }                        // by name, rising
  const std::map<std::string, std::string>& metadata() const { return metadata_; }        // "__metadata__"
  size_t num_data_bytes() const { return data_.size(); }                                  // of all tensors
  const TensorInfo* Find(std::string_view name) const;                                    // nullptr: there is none

  // The tensor, borrowed from the file's memory; copied if its data is not aligned for its type, as in files whose header has no
  // padding. Throws kNotFound with the nearest name, kUnsupported for a type that mlac has no use for. Such a tensor is refused here and
  // not when the file is opened, since a model may never ask for it, and `mlac inspect` shows it all the same.
  Tensor Get(std::string_view name) const;

 private:
  void Parse(std::string_view header);
  void CheckLayout() const;

  std::string name_;
  std::span<const std::byte> data_;
  std::shared_ptr<const void> keep_alive_;
  std::vector<TensorInfo> tensors_;
  std::map<std::string, std::string> metadata_;
};

struct NamedTensor {
  std::string name;
  Tensor tensor;
};

// Writes a safetensors file beside its place, syncs it and renames it. The bytes depend on the arguments alone, not on the order of the
// tensors, and are those of the reference (which has no fixed order for metadata; here it is sorted): widest type first, then by name.
// Throws kInvalidArgument for a name that stands twice, is "__metadata__" or no UTF-8, before anything is written; else as AtomicFile does.
void WriteSafetensors(const std::string& path, std::span<const NamedTensor> tensors, const std::map<std::string, std::string>& metadata = {});

}  // namespace mlac
