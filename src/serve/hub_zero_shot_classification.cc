// zero-shot-classification in Hugging Face's form: [{"label", "score"}, ...] where the pipeline of transformers writes two lists.
#include "serve/hub_form.h"
#include "serve/hub_task_reader.h"
#include "serve/text_options.h"

namespace mlac {
namespace {

// Of all pairs of a text and a hypothesis.
double NumPairBytes(const HubTaskBody& body) {
  double text_bytes = 0, hypothesis_bytes = 0;
  for (const TextInput& text : body.texts) text_bytes += static_cast<double>(text.text.size());
  for (const std::string& label : body.options.candidate_labels)
    hypothesis_bytes += static_cast<double>(body.options.hypothesis_template.size() + label.size());
  return static_cast<double>(body.options.candidate_labels.size()) * text_bytes + static_cast<double>(body.texts.size()) * hypothesis_bytes;
}

void ReadParameter(std::string_view name, JsonValue& value, const InputLimits& limits, TaskOptions& options) {
  if (name == "candidate_labels") options.candidate_labels = ReadStrings(value, limits);
  if (name == "multi_label") options.multi_label = value.Bool();
  if (name != "hypothesis_template") return;
  options.hypothesis_template = value.String();
  if (options.hypothesis_template.find("{}") == std::string::npos) throw value.Error("a text with {} for the label");
}

}  // namespace

void HubZeroShotClassification(ModelCall call, HttpResponder responder) {
  const InputLimits limits = HubLimits(*call.service);
  const auto read_parameter = [&](std::string_view name, JsonValue& value, TaskOptions& options) {
    ReadParameter(name, value, limits, options);
  };
  HubTaskBody body = ReadHubTask(std::move(call.http.body), *call.service, ReadTextsOrPairs, read_parameter);
  if (body.texts.size() * body.options.candidate_labels.size() > limits.max_inputs)
    throw HttpError(kHubTooManyStatus, "texts times 'parameters.candidate_labels' are more inputs than the server takes",
                    "parameters.candidate_labels", "send them in several requests");
  CheckRepeatedBytes(NumPairBytes(body), "each text with each of 'parameters.candidate_labels'", "parameters.candidate_labels");
  body.options.label_pairs = true;
  AnswerHubTask(std::move(call), std::move(body), MakeZeroShotClassification, std::move(responder));
}

}  // namespace mlac
