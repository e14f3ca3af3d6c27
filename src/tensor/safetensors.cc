#include "tensor/safetensors.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <memory>
#include <set>
#include <utility>

#include "base/display.h"
#include "base/error.h"
#include "base/json.h"
#include "base/nearest_name.h"
#include "base/utf8.h"

namespace mlac {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little-endian, and tensors are read in place");

namespace json = simdjson::ondemand;

constexpr size_t kLengthBytes = 8;
constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // MAX_HEADER_SIZE of the reference
constexpr size_t kMaxDimensions = 64;              // more than any framework makes (NumPy's limit); keeps messages short
constexpr std::string_view kMetadataName = "__metadata__";

struct Format {
  std::string_view name;
  unsigned bits;  // of one element
  std::optional<DType> dtype;
};

// The enum Dtype of the reference in its order, which is also the order of the data in a file, backwards.
constexpr std::array<Format, 22> kFormats = {{
    {"BOOL", 8, DType::kBool},
    {"F4", 4, {}},
    {"F6_E2M3", 6, {}},
    {"F6_E3M2", 6, {}},
    {"U8", 8, DType::kU8},
    {"I8", 8, DType::kI8},
    {"F8_E5M2", 8, {}},
    {"F8_E4M3", 8, {}},
    {"F8_E8M0", 8, {}},
    {"F8_E4M3FNUZ", 8, {}},
    {"F8_E5M2FNUZ", 8, {}},
    {"I16", 16, DType::kI16},
    {"U16", 16, DType::kU16},
    {"F16", 16, DType::kF16},
    {"BF16", 16, DType::kBF16},
    {"I32", 32, DType::kI32},
    {"U32", 32, DType::kU32},
    {"F32", 32, DType::kF32},
    {"C64", 64, {}},
    {"F64", 64, DType::kF64},
    {"I64", 64, DType::kI64},
    {"U64", 64, DType::kU64},
}};

const Format* FindFormat(std::string_view name) {
  const auto found = std::find_if(kFormats.begin(), kFormats.end(), [&](const Format& format) { return format.name == name; });
  return found == kFormats.end() ? nullptr : &*found;
}

// Reads the header with simdjson's On-Demand parser, which sees every key, also one that stands twice. The header has a fixed form, so
// that the depth is bounded by it: what is no object, list, text or number where one belongs is refused at its first byte.
class HeaderReader {
 public:
  HeaderReader(const std::string& file, std::string_view header) : file_(file), padded_(header) {
    if (padded_.size() != header.size()) Check(simdjson::MEMALLOC);  // simdjson then has an empty string
  }

  void Read(std::vector<TensorInfo>& tensors, std::map<std::string, std::string>& metadata) {
    Check(parser_.iterate(padded_).get(document_));
    started_ = true;
    json::object header;
    Check(document_.get_object().get(header));
    bool has_metadata = false;
    for (auto next : header) {
      json::field field;
      Check(std::move(next).get(field));
      const std::string name = Key(field);
      if (name != kMetadataName) {
        tensors.push_back(ReadTensor(name, field.value()));
      } else {
        if (std::exchange(has_metadata, true)) Fail("__metadata__ stands twice");
        ReadMetadata(field.value(), metadata);
      }
    }
    if (document_.current_location().error() != simdjson::OUT_OF_BOUNDS) Fail("the header goes on behind its closing brace");
  }

 private:
  [[noreturn]] void Fail(const std::string& what) const { throw Error(ErrorCode::kInvalidInput, fmt::format("{}: {}", file_, what)); }

  [[noreturn]] void FailAt(const std::string& where, std::string_view expected, json::value value) const {
    const std::string_view token = value.raw_json_token();
    Fail(fmt::format("{}: expected {}, found {}", where, expected,
                     token.starts_with('{')   ? "an object"
                     : token.starts_with('[') ? "an array"
                                              : Quoted(token.substr(0, token.find_last_not_of(" \t\r\n") + 1))));
  }

  // For errors in the JSON itself. simdjson knows where it stands, which is at or shortly behind the fault.
  void Check(simdjson::error_code error) {
    if (error == simdjson::SUCCESS) return;
    const std::string_view text(padded_.data(), padded_.size());
    if (error == simdjson::UTF8_ERROR) Fail(fmt::format("the header is no valid UTF-8 at byte {}", FindInvalidUtf8(text)));
    if (error == simdjson::MEMALLOC) throw Error(ErrorCode::kResourceExhausted, fmt::format("{}: out of memory for its header", file_));
    const char* location = nullptr;
    const bool known = started_ && document_.current_location().get(location) == simdjson::SUCCESS;
    Fail(fmt::format("the header is no valid JSON{}: {}", known ? fmt::format(" near byte {}", location - text.data()) : std::string(),
                     simdjson::error_message(error)));
  }

  // Into room of our own: simdjson 3.0 does not look whether it got its own, and writes through a null pointer where memory is short.
  std::string Unescape(json::raw_json_string raw) {
    if (!room_) room_ = std::make_unique_for_overwrite<uint8_t[]>(padded_.size() + simdjson::SIMDJSON_PADDING);
    uint8_t* end = room_.get();
    std::string_view string;
    Check(parser_.unescape(raw, end).get(string));
    return std::string(string);
  }

  std::string Key(json::field& field) {
    return Unescape(field.key());
  }

  std::string Text(const std::string& where, json::value value) {
    if (!std::string_view(value.raw_json_token()).starts_with('"')) FailAt(where, "text", value);
    json::raw_json_string raw;
    Check(value.get_raw_json_string().get(raw));
    return Unescape(raw);
  }

  json::array Array(const std::string& where, json::value value) {
    if (!std::string_view(value.raw_json_token()).starts_with('[')) FailAt(where, "an array", value);
    json::array array;
    Check(value.get_array().get(array));
    return array;
  }

  json::object Object(const std::string& where, json::value value) {
    if (!std::string_view(value.raw_json_token()).starts_with('{')) FailAt(where, "an object", value);
    json::object object;
    Check(value.get_object().get(object));
    return object;
  }

  // An array of at most max_count numbers; one more than that is counted and dropped.
  std::vector<size_t> Numbers(const std::string& where, json::value value, size_t max_count) {
    std::vector<size_t> numbers;
    for (auto next : Array(where, value)) {
      json::value element;
      Check(std::move(next).get(element));
      if (numbers.size() == max_count) Fail(fmt::format("{}: expected at most {} numbers, found more", where, max_count));
      uint64_t number;
      if (element.get_uint64().get(number) != simdjson::SUCCESS)
        FailAt(fmt::format("{}[{}]", where, numbers.size()), "a whole number from 0 to 2^64 - 1", element);
      numbers.push_back(number);
    }
    return numbers;
  }

  void ReadMetadata(json::value value, std::map<std::string, std::string>& metadata) {
    for (auto next : Object("__metadata__", value)) {
      json::field field;
      Check(std::move(next).get(field));
      const std::string key = Key(field), where = fmt::format("__metadata__: {}", Quoted(key));
      if (!metadata.emplace(key, Text(where, field.value())).second) Fail(where + " stands twice");
    }
  }

  TensorInfo ReadTensor(const std::string& name, json::value value) {
    const std::string tensor = fmt::format("tensor {}", Quoted(name));
    TensorInfo info;
    info.name = name;
    const Format* format = nullptr;
    std::optional<Shape> shape;
    std::vector<size_t> offsets;
    for (auto next : Object(tensor, value)) {
      json::field field;
      Check(std::move(next).get(field));
      const std::string key = Key(field), where = fmt::format("{}: {}", tensor, key);
      if (key == "dtype") {
        if (format != nullptr) Fail(where + " stands twice");
        format = ReadFormat(where, field.value());
      } else if (key == "shape") {
        if (shape) Fail(where + " stands twice");
        shape = Numbers(where, field.value(), kMaxDimensions);
      } else if (key == "data_offsets") {
        if (!offsets.empty()) Fail(where + " stands twice");
        offsets = Numbers(where, field.value(), 2);
        if (offsets.size() != 2) Fail(fmt::format("{}: expected 2 numbers, found {}", where, offsets.size()));
      } else {
        Fail(fmt::format("{}: expected dtype, shape and data_offsets, found the field {}", tensor, Quoted(key)));
      }
    }
    if (format == nullptr) Fail(tensor + ": dtype is missing");
    if (!shape) Fail(tensor + ": shape is missing");
    if (offsets.empty()) Fail(tensor + ": data_offsets is missing");
    info.dtype_name = format->name;
    info.dtype = format->dtype;
    info.shape = std::move(*shape);
    info.offset = offsets[0];
    info.num_bytes = CheckedSize(tensor, *format, info.shape, offsets[0], offsets[1]);
    return info;
  }

  const Format* ReadFormat(const std::string& where, json::value value) {
    const std::string name = Text(where, value);
    const Format* format = FindFormat(name);
    if (format != nullptr) return format;
    std::string known;
    for (const Format& each : kFormats) known += fmt::format("{}{}", known.empty() ? "" : ", ", each.name);
    Fail(fmt::format("{}: expected one of {}, found {}", where, known, Quoted(name)));
  }

  size_t CheckedSize(const std::string& tensor, const Format& format, const Shape& shape, size_t begin, size_t end) const {
    size_t num_bits = format.bits;
    for (const size_t dimension : shape)
      if (__builtin_mul_overflow(num_bits, dimension, &num_bits) || num_bits > static_cast<size_t>(std::numeric_limits<int64_t>::max()))
        Fail(fmt::format("{}: {} {} has more than 2^63 bits", tensor, format.name, ToString(shape)));
    if (num_bits % 8 != 0) Fail(fmt::format("{}: {} {} has {} bits; expected whole bytes", tensor, format.name, ToString(shape), num_bits));
    if (begin > end) Fail(fmt::format("{}: data_offsets [{}, {}]: expected the begin before the end", tensor, begin, end));
    if (end - begin != num_bits / 8)
      Fail(fmt::format("{}: {} {} asks for {} bytes; data_offsets [{}, {}] hold {}", tensor, format.name, ToString(shape), num_bits / 8, begin,
                       end, end - begin));
    return num_bits / 8;
  }

  const std::string& file_;
  simdjson::padded_string padded_;
  json::parser parser_;
  std::unique_ptr<uint8_t[]> room_;  // for one string without its escapes
  json::document document_;
  bool started_ = false;  // the document has a position
};

// ---- Writing

[[noreturn]] void RefuseName(const std::string& path, std::string_view name, std::string_view why) {
  throw Error(ErrorCode::kInvalidArgument, fmt::format("{}: the name {} {}", path, Quoted(name), why));
}

// The tensors as they stand in a file: widest type first, then by name.
std::vector<const NamedTensor*> InFileOrder(const std::string& path, std::span<const NamedTensor> tensors) {
  std::vector<const NamedTensor*> in_order;
  std::set<std::string_view> names;
  for (const NamedTensor& named : tensors) {
    if (named.name == kMetadataName) RefuseName(path, named.name, "is kept for metadata");
    if (FindInvalidUtf8(named.name) != std::string::npos) RefuseName(path, named.name, "is no valid UTF-8");
    if (!names.insert(named.name).second) RefuseName(path, named.name, "stands twice");
    in_order.push_back(&named);
  }
  const auto format = [](const NamedTensor* named) { return FindFormat(Name(named->tensor.dtype())); };  // in kFormats, whose order counts
  std::sort(in_order.begin(), in_order.end(), [&](const NamedTensor* a, const NamedTensor* b) {
    return format(a) != format(b) ? format(a) > format(b) : a->name < b->name;
  });
  return in_order;
}

// The length of the header and the header, which ends in spaces, so that the data behind it is aligned.
std::string HeaderOf(const std::string& path, std::span<const NamedTensor* const> in_order, const std::map<std::string, std::string>& metadata) {
  std::string header(kLengthBytes, '\0');  // the length stands here when it is known
  char separator = '{';
  const auto append_key = [&](std::string_view key) {
    header += std::exchange(separator, ',');
    AppendJsonString(header, key);
    header += ':';
  };
  if (!metadata.empty()) {
    append_key(kMetadataName);
    separator = '{';
    for (const auto& [key, value] : metadata) {
      for (const std::string& text : {key, value})
        if (FindInvalidUtf8(text) != std::string::npos) RefuseName(path, text, "in the metadata is no valid UTF-8");
      append_key(key);
      AppendJsonString(header, value);
    }
    header += '}';
  }
  size_t offset = 0;
  for (const NamedTensor* named : in_order) {
    const Tensor& tensor = named->tensor;
    std::string shape = ToString(tensor.shape());
    std::erase(shape, ' ');
    append_key(named->name);
    header += fmt::format(R"({{"dtype":"{}","shape":{},"data_offsets":[{},{}]}})", Name(tensor.dtype()), shape, offset, offset + tensor.num_bytes());
    offset += tensor.num_bytes();
  }
  header += header.size() == kLengthBytes ? "{}" : "}";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  const uint64_t length = header.size() - kLengthBytes;
  std::memcpy(header.data(), &length, kLengthBytes);
  return header;
}

}  // namespace

SafetensorsFile::SafetensorsFile(std::shared_ptr<const MappedFile> file) : SafetensorsFile(file->bytes(), file->name(), file) {}

SafetensorsFile::SafetensorsFile(std::span<const std::byte> bytes, std::string name, std::shared_ptr<const void> keep_alive)
    : name_(std::move(name)), keep_alive_(std::move(keep_alive)) {
  if (bytes.size() < kLengthBytes)
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: has {} bytes; expected at least 8, the length of the header", name_, bytes.size()),
                "is the download complete?");
  uint64_t length;
  std::memcpy(&length, bytes.data(), kLengthBytes);
  const size_t rest = bytes.size() - kLengthBytes;
  if (length > kMaxHeaderBytes)
    throw Error(ErrorCode::kTooLarge, fmt::format("{}: claims a header of {} bytes; at most {} are read", name_, length, kMaxHeaderBytes),
                "is it a safetensors file?");
  if (length > rest)
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: claims a header of {} bytes; {} follow", name_, length, rest), "is the download complete?");
  const std::string_view header(reinterpret_cast<const char*>(bytes.data()) + kLengthBytes, length);
  if (!header.starts_with('{'))
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: the header begins with {}; expected '{{'", name_, Quoted(header.substr(0, 1))));
  data_ = bytes.subspan(kLengthBytes + length);
  HeaderReader(name_, header).Read(tensors_, metadata_);
  CheckLayout();
  std::sort(tensors_.begin(), tensors_.end(), [](const TensorInfo& a, const TensorInfo& b) { return a.name < b.name; });
  const auto twice = std::adjacent_find(tensors_.begin(), tensors_.end(), [](const TensorInfo& a, const TensorInfo& b) { return a.name == b.name; });
  if (twice != tensors_.end()) throw Error(ErrorCode::kInvalidInput, fmt::format("{}: tensor {} stands twice", name_, Quoted(twice->name)));
}

// Every byte of the data belongs to exactly one tensor: sorted by place, each begins where the one before it ends.
void SafetensorsFile::CheckLayout() const {
  const auto fail = [&](const std::string& what, const char* hint = "") { throw Error(ErrorCode::kInvalidInput, fmt::format("{}: {}", name_, what), hint); };
  std::vector<const TensorInfo*> by_place;
  by_place.reserve(tensors_.size());
  for (const TensorInfo& info : tensors_) by_place.push_back(&info);
  const auto place = [](const TensorInfo* info) { return std::pair(info->offset, info->num_bytes); };
  std::sort(by_place.begin(), by_place.end(), [&](const TensorInfo* a, const TensorInfo* b) { return place(a) < place(b); });
  size_t covered = 0;
  const TensorInfo* before = nullptr;
  for (const TensorInfo* info : by_place) {
    const size_t end = info->offset + info->num_bytes;  // data_offsets[1], which fitted
    if (end > data_.size())
      fail(fmt::format("tensor {}: data_offsets [{}, {}]: the data has {} bytes", Quoted(info->name), info->offset, end, data_.size()),
           "is the download complete?");
    if (info->offset > covered) fail(fmt::format("the bytes {} to {} of the data belong to no tensor", covered, info->offset));
    if (info->offset < covered)
      fail(fmt::format("tensor {}: data_offsets [{}, {}] overlap those of tensor {}, [{}, {}]", Quoted(info->name), info->offset, end,
                       Quoted(before->name), before->offset, covered));
    covered = end;
    before = info;
  }
  if (covered != data_.size()) fail(fmt::format("the bytes {} to {} of the data belong to no tensor", covered, data_.size()));
}

const TensorInfo* SafetensorsFile::Find(std::string_view name) const {
  const auto found = std::lower_bound(tensors_.begin(), tensors_.end(), name, [](const TensorInfo& info, std::string_view n) { return info.name < n; });
  return found == tensors_.end() || found->name != name ? nullptr : &*found;
}

Tensor SafetensorsFile::Get(std::string_view name) const {
  const TensorInfo* info = Find(name);
  if (info == nullptr) {
    std::vector<std::string> names;
    for (const TensorInfo& each : tensors_) names.push_back(each.name);
    throw Error(ErrorCode::kNotFound, fmt::format("{}: has no tensor {}", name_, Quoted(name)), DidYouMean(name, names));
  }
  if (!info->dtype)
    throw Error(ErrorCode::kUnsupported, fmt::format("{}: tensor {} is {}, which mlac cannot compute with", name_, Quoted(name), info->dtype_name),
                "use a revision of the model in F32, BF16 or F16");
  const std::byte* data = data_.data() + info->offset;
  if (reinterpret_cast<uintptr_t>(data) % NumBytes(*info->dtype) == 0) return Tensor::Borrow(info->shape, *info->dtype, data, keep_alive_);
  Tensor copy = Tensor::Uninitialized(info->shape, *info->dtype);
  if (info->num_bytes > 0) std::memcpy(copy.mutable_bytes().data(), data, info->num_bytes);
  return copy;
}

void WriteSafetensors(const std::string& path, std::span<const NamedTensor> tensors, const std::map<std::string, std::string>& metadata) {
  const std::vector<const NamedTensor*> in_order = InFileOrder(path, tensors);
  const std::string header = HeaderOf(path, in_order, metadata);
  AtomicFile file(path);
  file.Write(header);
  for (const NamedTensor* named : in_order) file.Write(std::span(named->tensor.data(), named->tensor.num_bytes()));
  file.Commit();
}

}  // namespace mlac
