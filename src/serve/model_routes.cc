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

// services: those that the client may have meant.
HttpError NoTask(const ModelSet& models, const std::vector<ModelSet::ServicePtr>& services, std::string_view task, bool openai) {
  const InferenceService& first = *services.front();
  const std::string message = services.size() == 1 ? fmt::format("the model '{}' does not do {}", first.name(), task)
                                                   : fmt::format("none of the {} models that are served does {}", services.size(), task);
  return HttpError(openai ? 404 : 422, message, openai ? "model" : "", services.size() == 1 ? WhoDoes(models, first, task) : "")
      .Because("no_task");
}

// name, task: what the client said, "" if nothing. responder: told of the model, also of one that does not do the task.
ModelSet::ServicePtr Choose(const ModelSet& models, std::string_view name, std::string_view task, bool openai,
                            const HttpResponder& responder) {
  const std::vector<ModelSet::ServicePtr> services = name.empty() ? models.All() : std::vector{FindModel(models, name)};
  if (services.empty()) throw HttpError(503, "no model is served");
  for (const ModelSet::ServicePtr& service : services) {
    if (!task.empty() && !Does(service->model(), task)) continue;
    NameModel(*service, responder);
    return service;
  }
  if (services.size() == 1) NameModel(*services.front(), responder);
  throw NoTask(models, services, task, openai);
}

// Of a request that is refused before its body is read: as far as the head says it.
std::vector<HttpField> FieldsOfRefusal(const ModelSet& models, const ModelRoute& route, bool is_twin, const HttpRequest& request) {
  const std::string_view name = is_twin ? std::string_view(request.parameters.front()) : request.Field("x-model");
  if (const ModelSet::ServicePtr service = name.empty() ? nullptr : models.Find(name)) return FieldsOf(*service);
  const std::vector<ModelSet::ServicePtr> services = models.All();
  if (!name.empty() || services.empty() || (route.peek && services.size() > 1)) return {};
  for (const ModelSet::ServicePtr& service : services)
    if (route.task.empty() || Does(service->model(), route.task)) return FieldsOf(*service);
  return services.size() == 1 ? FieldsOf(*services.front()) : std::vector<HttpField>();
}

void Handle(const ModelSet& models, const ModelRoute& route, bool is_twin, HttpRequest request, HttpResponder responder) {
  std::string name(is_twin ? std::string_view(request.parameters.front()) : request.Field("x-model"));
  std::string_view task = route.task;
  if (is_twin) request.parameters.erase(request.parameters.begin());
  if (name.empty() && route.peek && models.All().size() > 1) route.peek(request.body, name, task);
  ModelCall call = {
      .service = Choose(models, name, task, route.pattern.starts_with("/v1/"), responder), .slot = nullptr, .http = std::move(request)};
  if (route.method == "POST") {
    call.slot = call.service->Admit();
    if (!call.slot) return responder.SendError(InferenceService::Overloaded());
  }
  route.handler(std::move(call), std::move(responder));
}

}  // namespace

std::vector<HttpField> FieldsOf(const InferenceService& service) {
  std::vector<HttpField> fields = {{"x-model", service.name()}};
  if (const std::string& revision = service.origin().revision; !revision.empty()) fields.push_back({"x-model-revision", revision});
  return fields;
}

void NameModel(const InferenceService& service, const HttpResponder& responder) {
  for (HttpField& field : FieldsOf(service)) responder.AddField(std::move(field));
}

std::string WhoDoes(const ModelSet& models, const InferenceService& service, std::string_view task) {
  const std::string names = QuotedNames(models.All(), task);
  return fmt::format("it does {}; {}", fmt::join(service.model().tasks(), ", "),
                     names.empty() ? "no model that is served does that" : "that is done by " + names);
}

ModelSet::ServicePtr FindModel(const ModelSet& models, std::string_view name) {
  if (ModelSet::ServicePtr service = models.Find(name)) return service;
  const std::vector<ModelSet::ServicePtr> services = models.All();
  throw HttpError(404, "no such model", "model",
                  fmt::format("served {} {}", services.size() == 1 ? "is" : "are", QuotedNames(services, "")))
      .Because("no_model");
}

void AddModelRoute(HttpRouter& router, const ModelSet& models, ModelRoute route) {
  const auto shared = std::make_shared<const ModelRoute>(std::move(route));
  for (const bool is_twin : {false, true})
    router.Add({.method = shared->method,
                .pattern = !is_twin ? shared->pattern : "/models/{model}" + (shared->pattern == "/" ? "" : shared->pattern),
                .handler = [&models, shared, is_twin](
                               HttpRequest request,
                               HttpResponder responder) { Handle(models, *shared, is_twin, std::move(request), std::move(responder)); },
                .content_type = shared->method == "POST" ? shared->content_type : "",
                .refusal_fields = [&models, shared,
                                   is_twin](const HttpRequest& request) { return FieldsOfRefusal(models, *shared, is_twin, request); }});
}

}  // namespace mlac
