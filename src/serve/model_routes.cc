#include "serve/model_routes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>

namespace mlac {
namespace {

std::string QuotedNames(const std::vector<ModelSet::ServicePtr>& services, std::string_view task) {
  std::vector<std::string> names;
  for (const auto& service : services)
    if (task.empty() || Does(service->model(), task)) names.push_back(fmt::format("'{}'", service->name()));
  return fmt::format("{}", fmt::join(names, ", "));
}

HttpError NoTask(const ModelSet& models, const InferenceService& service, std::string_view task, bool openai) {
  const std::string names = QuotedNames(models.All(), task);
  return HttpError(openai ? 404 : 422, fmt::format("the model does not do {}", task), openai ? "model" : "",
                   fmt::format("it does {}; {}", fmt::join(service.model().tasks(), ", "),
                               names.empty() ? "no model that is served does that" : "that is done by " + names));
}

// name, task: what the client said, "" if nothing.
ModelSet::ServicePtr Choose(const ModelSet& models, std::string_view name, std::string_view task, bool openai) {
  if (!name.empty()) {
    ModelSet::ServicePtr service = FindModel(models, name);
    if (!task.empty() && !Does(service->model(), task)) throw NoTask(models, *service, task, openai);
    return service;
  }
  const std::vector<ModelSet::ServicePtr> services = models.All();
  for (const ModelSet::ServicePtr& service : services)
    if (task.empty() || Does(service->model(), task)) return service;
  if (services.empty()) throw HttpError(503, "no model is served");
  throw NoTask(models, *services.front(), task, openai);
}

void Handle(const ModelSet& models, const ModelRoute& route, bool is_twin, HttpRequest request, HttpResponder responder) {
  std::string name(is_twin ? std::string_view(request.parameters.front()) : request.Field("x-model"));
  std::string_view task = route.task;
  if (is_twin) request.parameters.erase(request.parameters.begin());
  if (name.empty() && route.peek && models.All().size() > 1) route.peek(request.body, name, task);
  ModelCall call = {.service = Choose(models, name, task, route.pattern.starts_with("/v1/")), .slot = nullptr, .http = std::move(request)};
  NameRevision(*call.service, responder);
  if (route.method == "POST") {
    call.slot = call.service->Admit();
    if (!call.slot) return responder.SendError(InferenceService::Overloaded());
  }
  route.handler(std::move(call), std::move(responder));
}

}  // namespace

void NameRevision(const InferenceService& service, const HttpResponder& responder) {
  if (const std::string& revision = service.origin().revision; !revision.empty()) responder.AddField({"x-model-revision", revision});
}

ModelSet::ServicePtr FindModel(const ModelSet& models, std::string_view name) {
  if (ModelSet::ServicePtr service = models.Find(name)) return service;
  const std::vector<ModelSet::ServicePtr> services = models.All();
  throw HttpError(404, "no such model", "model",
                  fmt::format("served {} {}", services.size() == 1 ? "is" : "are", QuotedNames(services, "")));
}

void AddModelRoute(HttpRouter& router, const ModelSet& models, ModelRoute route) {
  const auto shared = std::make_shared<const ModelRoute>(std::move(route));
  for (const bool is_twin : {false, true})
    router.Add({.method = shared->method,
                .pattern = !is_twin ? shared->pattern : "/models/{model}" + (shared->pattern == "/" ? "" : shared->pattern),
                .handler = [&models, shared, is_twin](
                               HttpRequest request,
                               HttpResponder responder) { Handle(models, *shared, is_twin, std::move(request), std::move(responder)); },
                .content_type = shared->method == "POST" ? shared->content_type : ""});
}

}  // namespace mlac
