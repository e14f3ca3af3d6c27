// fill-mask in Hugging Face's form.
#include "serve/hub_form.h"
#include "serve/hub_task_reader.h"

namespace mlac {

void HubFillMask(ModelCall call, HttpResponder responder) {
  HubTaskBody body = ReadHubTask(std::move(call.http.body), *call.service, ReadTextsOrPairs,
                                 [](std::string_view name, JsonValue& value, TaskOptions& options) {
                                   if (name == "top_k") options.top_k = static_cast<size_t>(value.Integer(1, INT32_MAX));
                                   if (name == "targets") options.targets = ReadStrings(value);
                                 });
  AnswerHubTask(std::move(call), std::move(body), MakeFillMask, std::move(responder));
}

}  // namespace mlac
