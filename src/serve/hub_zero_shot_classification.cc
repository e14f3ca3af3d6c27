// zero-shot-classification in Hugging Face's form: [{"label", "score"}, ...] where the pipeline of transformers writes two lists.
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "serve/hub_form.h"
#include "serve/hub_task_reader.h"
#include "serve/text_options.h"

namespace mlac {
namespace {

using Kind = JsonValue::Kind;

void AppendLabels(std::string& out, const nlohmann::json& answer) {
  const nlohmann::json &labels = answer.at("labels"), &scores = answer.at("scores");
  out += '[';
  for (size_t i = 0; i < labels.size(); ++i) {
    out += i > 0 ? R"(,{"label":)" : R"({"label":)";
    AppendJsonString(out, labels[i].get_ref<const std::string&>());
    out += R"(,"score":)";
    AppendFloat(out, scores[i].get<float>());  // written as the shortest decimal of that float, so it comes back as it was
    out += '}';
  }
  out += ']';
}

std::string ToPairs(const std::string& answers) {
  const nlohmann::json parsed = ParseJson(answers, "answers");
  std::string out;
  if (parsed.is_object()) {
    AppendLabels(out, parsed);
    return out;
  }
  for (const nlohmann::json& answer : parsed) {
    out += out.empty() ? '[' : ',';
    AppendLabels(out, answer);
  }
  return out + ']';
}

void ReadParameter(std::string_view name, JsonValue& value, TaskOptions& options) {
  if (name == "candidate_labels") options.candidate_labels = ReadStrings(value);
  if (name == "multi_label") options.multi_label = value.Bool();
  if (name != "hypothesis_template") return;
  options.hypothesis_template = value.String();
  if (options.hypothesis_template.find("{}") == std::string::npos) throw value.Error("a text with {} for the label");
}

}  // namespace

void HubZeroShotClassification(ModelCall call, HttpResponder responder) {
  HubTaskBody body = ReadHubTask(std::move(call.http.body), *call.service, ReadTextsOrPairs, ReadParameter);
  const size_t limit = call.service->options().max_client_batch_size;
  if (body.texts.size() * body.options.candidate_labels.size() > limit)
    throw HttpError(kHubTooManyStatus, "texts times 'parameters.candidate_labels' are more inputs than the server takes",
                    "parameters.candidate_labels", "send them in several requests");
  AnswerHubTask(std::move(call), std::move(body), MakeZeroShotClassification, std::move(responder), ToPairs);
}

}  // namespace mlac
