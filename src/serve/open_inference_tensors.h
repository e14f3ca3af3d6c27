#pragma once
// Tensors of the Open Inference Protocol over REST, in JSON and in its binary extension: values behind the JSON text, little-endian, and
// texts each with its length in 4 bytes before it.
// https://github.com/kserve/open-inference-protocol, specification/protocol/inference_rest.md; the extension:
// https://github.com/triton-inference-server/server, docs/protocol/extension_binary_data.md.
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "http/message.h"

namespace mlac {

constexpr int kOpenInferenceFieldStatus = 400;  // of an answer to a field that is wrong

struct OpenInferenceInput {
  std::string name, datatype;
  std::vector<int64_t> shape;
  std::vector<std::string> texts;  // of BYTES
  std::vector<int64_t> integers;   // of INT64
};

struct OpenInferenceOutput {
  std::string name;
  std::optional<bool> binary;  // without it as the request says for all
};

struct OpenInferenceRequest {
  std::string id;  // the client's, "" if none
  std::vector<OpenInferenceInput> inputs;
  std::vector<OpenInferenceOutput> outputs;  // those that are wanted; empty: all
  bool binary_outputs = false;

  const OpenInferenceInput* Find(std::string_view name) const;
};

// header_length: the field Inference-Header-Content-Length, "" for a body that is JSON alone. Each input holds as many values as its shape
// says, and all together at most max_texts texts. Throws HttpError 400 for anything that is not so.
OpenInferenceRequest ReadOpenInference(std::string body, std::string_view header_length, size_t max_texts);

// Collects the outputs of one answer.
class OpenInferenceWriter {
 public:
  OpenInferenceWriter(const OpenInferenceRequest& request, std::string_view model);

  // Whether the request wants this output.
  bool Wants(std::string_view name) const;
  // shape: of values, [rows, columns] or [rows].
  void AddFloats(std::string_view name, const std::vector<size_t>& shape, std::span<const float> values);
  void AddTexts(std::string_view name, std::span<const std::string> texts);

  HttpResponse Finish() &&;

 private:
  bool BeginOutput(std::string_view name, std::string_view datatype, const std::vector<size_t>& shape);
  void AddBinary(std::string_view bytes);

  const OpenInferenceRequest& request_;
  std::string json_, binary_;
  bool has_binary_ = false, first_ = true;
};

}  // namespace mlac
