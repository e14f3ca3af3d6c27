// token-classification in Hugging Face's form.
#include <array>

#include "serve/hub_form.h"
#include "serve/hub_task_reader.h"
#include "serve/text_options.h"

namespace mlac {

void HubTokenClassification(ModelCall call, HttpResponder responder) {
  const auto max_length = static_cast<int64_t>(call.service->model().max_length());
  HubTaskBody body = ReadHubTask(std::move(call.http.body), *call.service, ReadTextsOrPairs,
                                 [max_length, limits = HubLimits(*call.service)](std::string_view name, JsonValue& value,
                                                                                 TaskOptions& options) {
                                   constexpr std::array kAggregations = {Aggregation::kNone, Aggregation::kSimple, Aggregation::kFirst,
                                                                         Aggregation::kAverage, Aggregation::kMax};
                                   if (name == "aggregation_strategy")
                                     options.aggregation = kAggregations[value.Choice({"none", "simple", "first", "average", "max"})];
                                   if (name == "ignore_labels") options.ignore_labels = ReadStrings(value, limits);
                                   if (name == "stride") options.stride = static_cast<size_t>(value.Integer(0, max_length));
                                 });
  AnswerHubTask(std::move(call), std::move(body), MakeTokenClassification, std::move(responder));
}

}  // namespace mlac
