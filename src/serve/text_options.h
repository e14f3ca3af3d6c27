#pragma once
// What the protocols of Hugging Face let a request say of its texts: how they are cut, what is put before them, what becomes of vectors.
#include <optional>
#include <string>
#include <string_view>

#include "serve/inputs.h"
#include "serve/json_reader.h"

namespace mlac {

// The status of a field that is missing or wrong in those protocols, and of more inputs than are taken.
constexpr int kHubFieldStatus = 422, kHubTooManyStatus = 413;

struct TextOptions {
  std::optional<bool> truncate;
  bool truncate_left = false;
  std::optional<std::string> prompt;  // that of the name which the request gives
  std::optional<bool> normalize;
  std::optional<size_t> dimensions;
};

// Reads truncate, truncation_direction, prompt_name, normalize or dimensions; leaves any other name alone. Throws the error of the field.
void ReadTextOption(std::string_view name, JsonValue& value, const ServedModel& model, TextOptions& options);

// What is put before each text: what the request names, else the model's default. "" of a model that gives no vectors.
const std::string& PromptOf(const TextOptions& options, const ServedModel& model);

InputLimits HubLimits(const InferenceService& service);

// The error of a field that has to be there.
HttpError MissingField(std::string_view field);

// A short body may have a text read with each of many others, a query or a label: a few MB would take hours to become tokens, however few
// those are. num_bytes: of all that is read then. what: that, for the message. Throws HttpError 413 beyond kMaxRepeatedBytes.
constexpr double kMaxRepeatedBytes = 16.0 * (1 << 20);
void CheckRepeatedBytes(double num_bytes, std::string_view what, std::string_view field);

// The inputs with these options, named "inputs" in errors.
InferenceRequest ToInference(Inputs inputs, const TextOptions& options, const InferenceService& service);

}  // namespace mlac
