#include "serve/text_options.h"

#include <fmt/format.h>

namespace mlac {
namespace {

const std::string& FindPrompt(const ServedModel& model, const std::string& name, const JsonValue& field) {
  const auto found = model.prompts().texts.find(name);
  if (found != model.prompts().texts.end()) return found->second;
  throw HttpError(kHubFieldStatus, fmt::format("'{}' names no prompt of the model", field.path()), field.path(), model.prompts().Known());
}

}  // namespace

void ReadTextOption(std::string_view name, JsonValue& value, const ServedModel& model, TextOptions& options) {
  const bool null = value.kind() == JsonValue::Kind::kNull;
  if (name == "truncate" && !null) options.truncate = value.Bool();
  if (name == "truncation_direction") options.truncate_left = value.Choice({"Right", "right", "Left", "left"}) >= 2;
  if (name == "prompt_name" && !null) options.prompt = FindPrompt(model, value.String(), value);
  if (name == "normalize") options.normalize = value.Bool();
  if (name == "dimensions" && !null) options.dimensions = static_cast<size_t>(value.Integer(1, static_cast<int64_t>(model.output_size())));
}

const std::string& PromptOf(const TextOptions& options, const ServedModel& model) {
  return options.prompt ? *options.prompt : model.prompts().Default();
}

InputLimits HubLimits(const InferenceService& service) {
  return {.max_inputs = service.options().max_client_batch_size,
          .too_many_status = kHubTooManyStatus,
          .vocab_size = service.model().vocab_size(),
          .reads_single_texts = service.model().reads_single_texts()};
}

HttpError MissingField(std::string_view field) {
  return HttpError(kHubFieldStatus, fmt::format("'{}' is missing", field), std::string(field));
}

void CheckRepeatedBytes(double num_bytes, std::string_view what, std::string_view field) {
  if (num_bytes <= kMaxRepeatedBytes) return;
  throw HttpError(kHubTooManyStatus,
                  fmt::format("{}: {:.1f} MiB to be read in all; at most {:.0f} are taken at a time", what, num_bytes / (1 << 20),
                              kMaxRepeatedBytes / (1 << 20)),
                  std::string(field), "shorten it, or send several requests");
}

InferenceRequest ToInference(Inputs inputs, const TextOptions& options, const InferenceService& service) {
  return {.inputs = std::move(inputs.inputs),
          .is_batch = inputs.is_batch,
          .prompt = PromptOf(options, service.model()),
          .truncate = options.truncate.value_or(service.options().auto_truncate),
          .truncate_left = options.truncate_left,
          .takes_truncate = true,
          .field = "inputs",
          .field_status = kHubFieldStatus};
}

}  // namespace mlac
