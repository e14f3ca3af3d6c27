#include "serve/open_inference_tensors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>

#include "base/json.h"
#include "base/utf8.h"
#include "serve/json_reader.h"

namespace mlac {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr int64_t kMaxDimension = int64_t{1} << 32;
constexpr size_t kMaxNumDimensions = 8;

using Kind = JsonValue::Kind;

// How many texts the inputs may still bring: each costs a few bytes of the body, but many of memory.
class TextBudget {
 public:
  explicit TextBudget(size_t max_texts) : max_texts_(max_texts) {}
  void Take() {
    if (num_taken_++ == max_texts_) throw HttpError(kOpenInferenceFieldStatus, fmt::format("the inputs hold more than {} texts", max_texts_), "inputs");
  }

 private:
  const size_t max_texts_;
  size_t num_taken_ = 0;
};

// Lists in lists, as far as the reader goes, come out row by row.
void ReadData(JsonValue& value, OpenInferenceInput& input, TextBudget& budget) {
  if (value.kind() == Kind::kArray) return value.ForEachItem([&](JsonValue& item) { ReadData(item, input, budget); });
  if (value.kind() == Kind::kString) {
    budget.Take();
    input.texts.push_back(value.String());
  } else if (value.kind() == Kind::kNumber) {
    value.AppendIntegers(INT64_MIN, INT64_MAX, input.integers);
  } else {
    throw value.Error("a text, an integer, or a list of those");
  }
}

struct PendingInput {
  OpenInferenceInput input;
  std::optional<size_t> binary_size;
};

PendingInput ReadInput(JsonValue& value, TextBudget& budget) {
  PendingInput pending;
  OpenInferenceInput& input = pending.input;
  bool has_shape = false;
  const std::string path = value.path();
  value.ForEachField([&](std::string_view name, JsonValue& field) {
    if (name == "name") input.name = field.String();
    if (name == "datatype") input.datatype = std::array{"BYTES", "INT64"}[field.Choice({"BYTES", "INT64"})];
    if (name == "shape") {
      has_shape = true;
      field.ForEachItem([&](JsonValue& item) {
        if (input.shape.size() == kMaxNumDimensions)
          throw HttpError(kOpenInferenceFieldStatus, fmt::format("'{}' has more than {} dimensions", field.path(), kMaxNumDimensions), field.path());
        input.shape.push_back(item.Integer(0, kMaxDimension));
      });
    }
    if (name == "data") ReadData(field, input, budget);
    if (name == "parameters")
      field.ForEachField([&](std::string_view parameter, JsonValue& setting) {
        if (parameter == "binary_data_size") pending.binary_size = static_cast<size_t>(setting.Integer(0, INT64_MAX));
      });
  });
  const auto need = [&](bool there, std::string_view name) {
    if (!there) throw HttpError(kOpenInferenceFieldStatus, fmt::format("'{}.{}' is missing", path, name), fmt::format("{}.{}", path, name));
  };
  need(!input.name.empty(), "name");
  need(!input.datatype.empty(), "datatype");
  need(has_shape, "shape");
  return pending;
}

OpenInferenceOutput ReadOutput(JsonValue& value) {
  OpenInferenceOutput output;
  const std::string path = value.path();
  value.ForEachField([&](std::string_view name, JsonValue& field) {
    if (name == "name") output.name = field.String();
    if (name == "parameters")
      field.ForEachField([&](std::string_view parameter, JsonValue& setting) {
        if (parameter == "binary_data") output.binary = setting.Bool();
      });
  });
  if (output.name.empty()) throw HttpError(kOpenInferenceFieldStatus, fmt::format("'{}.name' is missing", path), path + ".name");
  return output;
}

// Takes the values of one input off the front of the bytes behind the JSON text.
void TakeBinary(OpenInferenceInput& input, size_t size, std::string_view& bytes, TextBudget& budget) {
  const auto refuse = [&](std::string_view what) {
    return HttpError(kOpenInferenceFieldStatus, fmt::format("the binary data of an input of {} {}", input.datatype, what), "inputs");
  };
  if (!input.texts.empty() || !input.integers.empty()) throw refuse("comes beside 'data'");
  if (size > bytes.size()) throw refuse(fmt::format("has {} bytes of the {} that 'binary_data_size' says", bytes.size(), size));
  std::string_view data = bytes.substr(0, size);
  bytes.remove_prefix(size);
  if (input.datatype == "INT64") {
    if (size % sizeof(int64_t) != 0) throw refuse(fmt::format("has {} bytes, which is no multiple of 8", size));
    input.integers.resize(size / sizeof(int64_t));
    std::memcpy(input.integers.data(), data.data(), size);
    return;
  }
  while (!data.empty()) {
    uint32_t length = 0;
    if (data.size() < sizeof length) throw refuse("ends within the length of a text");
    std::memcpy(&length, data.data(), sizeof length);
    data.remove_prefix(sizeof length);
    if (length > data.size()) throw refuse(fmt::format("ends within a text: {} bytes of {}", data.size(), length));
    const std::string_view text = data.substr(0, length);
    if (FindInvalidUtf8(text) != std::string_view::npos)
      throw refuse(fmt::format("has a text, number {}, that is no UTF-8", input.texts.size()));
    budget.Take();
    input.texts.emplace_back(text);
    data.remove_prefix(length);
  }
}

void CheckCount(const OpenInferenceInput& input) {
  const bool is_bytes = input.datatype == "BYTES";
  const size_t count = is_bytes ? input.texts.size() : input.integers.size(),
               others = is_bytes ? input.integers.size() : input.texts.size();
  uint64_t expected = 1;
  bool overflows = false;
  for (const int64_t dimension : input.shape) overflows |= __builtin_mul_overflow(expected, static_cast<uint64_t>(dimension), &expected);
  if (others > 0)
    throw HttpError(kOpenInferenceFieldStatus, fmt::format("'data' of an input of {} holds {}", input.datatype, is_bytes ? "numbers" : "texts"),
                    "inputs");
  if (overflows || expected != count)
    throw HttpError(kOpenInferenceFieldStatus,
                    fmt::format("an input of {} has the shape [{}] and {} values", input.datatype, fmt::join(input.shape, ", "), count),
                    "inputs");
}

}  // namespace

const OpenInferenceInput* OpenInferenceRequest::Find(std::string_view name) const {
  for (const OpenInferenceInput& input : inputs)
    if (input.name == name) return &input;
  return nullptr;
}

OpenInferenceRequest ReadOpenInference(std::string body, std::string_view header_length, size_t max_texts) {
  std::string binary;
  if (!header_length.empty()) {
    size_t length = 0;
    const auto [end, error] = std::from_chars(header_length.data(), header_length.data() + header_length.size(), length);
    if (error != std::errc() || end != header_length.data() + header_length.size() || length > body.size())
      throw HttpError(kOpenInferenceFieldStatus,
                      fmt::format("Inference-Header-Content-Length is no number of bytes up to {}, the length of the body", body.size()),
                      "Inference-Header-Content-Length");
    binary = body.substr(length);
    body.resize(length);
  }
  OpenInferenceRequest request;
  std::vector<PendingInput> pending;
  TextBudget budget(max_texts);
  JsonReader(std::move(body), kOpenInferenceFieldStatus).ReadObject([&](std::string_view name, JsonValue& value) {
    if (name == "id") request.id = value.String();
    if (name == "inputs") value.ForEachItem([&](JsonValue& item) { pending.push_back(ReadInput(item, budget)); });
    if (name == "outputs") value.ForEachItem([&](JsonValue& item) { request.outputs.push_back(ReadOutput(item)); });
    if (name == "parameters")
      value.ForEachField([&](std::string_view parameter, JsonValue& setting) {
        if (parameter == "binary_data_output") request.binary_outputs = setting.Bool();
      });
  });
  if (pending.empty()) throw HttpError(kOpenInferenceFieldStatus, "'inputs' is missing or empty", "inputs");
  std::string_view rest = binary;
  for (PendingInput& input : pending) {
    if (input.binary_size) TakeBinary(input.input, *input.binary_size, rest, budget);
    CheckCount(input.input);
    request.inputs.push_back(std::move(input.input));
  }
  if (!rest.empty()) throw HttpError(kOpenInferenceFieldStatus, fmt::format("{} bytes of binary data belong to no input", rest.size()), "inputs");
  return request;
}

OpenInferenceWriter::OpenInferenceWriter(const OpenInferenceRequest& request, std::string_view model) : request_(request) {
  json_ = R"({"model_name":)";
  AppendJsonString(json_, model);
  json_ += R"(,"model_version":"1")";
  if (!request.id.empty()) {
    json_ += R"(,"id":)";
    AppendJsonString(json_, request.id);
  }
  json_ += R"(,"outputs":[)";
}

bool OpenInferenceWriter::Wants(std::string_view name) const {
  return request_.outputs.empty() || std::any_of(request_.outputs.begin(), request_.outputs.end(),
                                                 [&](const OpenInferenceOutput& output) { return output.name == name; });
}

// Whether its values go behind the JSON text.
bool OpenInferenceWriter::BeginOutput(std::string_view name, std::string_view datatype, const std::vector<size_t>& shape) {
  json_ += fmt::format(R"({}{{"name":"{}","datatype":"{}","shape":[{}])", first_ ? "" : ",", name, datatype, fmt::join(shape, ","));
  first_ = false;
  bool binary = request_.binary_outputs;
  for (const OpenInferenceOutput& output : request_.outputs)
    if (output.name == name) binary = output.binary.value_or(binary);
  has_binary_ |= binary;
  return binary;
}

void OpenInferenceWriter::AddBinary(std::string_view bytes) {
  json_ += fmt::format(R"(,"parameters":{{"binary_data_size":{}}}}})", bytes.size());
  binary_ += bytes;
}

void OpenInferenceWriter::AddFloats(std::string_view name, const std::vector<size_t>& shape, std::span<const float> values) {
  if (!Wants(name)) return;
  if (BeginOutput(name, "FP32", shape)) return AddBinary({reinterpret_cast<const char*>(values.data()), values.size_bytes()});
  json_ += R"(,"data":)";
  AppendFloats(json_, values);
  json_ += '}';
}

void OpenInferenceWriter::AddTexts(std::string_view name, std::span<const std::string> texts) {
  if (!Wants(name)) return;
  const bool binary = BeginOutput(name, "BYTES", {texts.size()});
  if (!binary) json_ += R"(,"data":[)";
  std::string bytes;
  for (size_t i = 0; i < texts.size(); ++i) {
    if (binary) {
      const uint32_t length = static_cast<uint32_t>(texts[i].size());
      bytes.append(reinterpret_cast<const char*>(&length), sizeof length);
      bytes += texts[i];
    } else {
      if (i > 0) json_ += ',';
      AppendJsonString(json_, texts[i]);
    }
  }
  if (binary) return AddBinary(bytes);
  json_ += "]}";
}

HttpResponse OpenInferenceWriter::Finish() && {
  json_ += "]}";
  HttpResponse response;
  if (has_binary_) {
    response.content_type = "application/octet-stream";
    response.fields.push_back({"inference-header-content-length", fmt::to_string(json_.size())});
  }
  response.body = std::move(json_);
  response.body += binary_;
  return response;
}

}  // namespace mlac
