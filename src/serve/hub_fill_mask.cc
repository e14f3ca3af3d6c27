// fill-mask in Hugging Face's form.
#include "serve/hub_form.h"
#include "serve/hub_task_reader.h"
#include "serve/text_options.h"

namespace mlac {
void HubFillMask(ModelCall call, HttpResponder responder) {
  HubTaskBody body = ReadHubTask(std::move(call.http.body), *call.service, ReadTextsOrPairs,
                                 [limits = HubLimits(*call.service)](std::string_view name, JsonValue& value, TaskOptions& options) {
                                   if (name == "top_k") options.top_k = static_cast<size_t>(value.Integer(1, INT32_MAX));
                                   if (name == "targets") options.targets = ReadStrings(value, limits);
                                 });
  AnswerHubTask(std::move(call), std::move(body), MakeFillMask, std::move(responder));
}

}  // namespace mlac
