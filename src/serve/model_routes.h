#pragma once
// Routes that a model answers: each stands in the route table twice, "/embed" and "/models/{model}/embed", and finds its model.
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "http/router.h"
#include "serve/model_set.h"

namespace mlac {

// A request, and the model that it is for.
struct ModelCall {
  ModelSet::ServicePtr service;
  InferenceService::Slot slot;  // of a POST: taken before its body is read
  HttpRequest http;
};

struct ModelRoute {
  std::string method = "POST";
  std::string pattern = "";    // "/embed"
  std::string_view task = "";  // what the model has to do, "" if any model will do
  std::function<void(ModelCall call, HttpResponder responder)> handler = {};
  std::string content_type = "application/json";
  // Where the body may say which model (and which task, where `task` is empty): called if several are served and neither path nor x-model
  // names one. Leaves what the body does not say.
  std::function<void(const std::string& body, std::string& model, std::string_view& task)> peek = {};
};

// Adds the route and its twin. The model is the one of the path, else of the header x-model, else of the body, else the first that does
// the task. Throws HttpError in the handler: 404 for a model that is not served; for one that does not do the task 404 under /v1, as
// OpenAI's clients expect it, else 422 with the models that do. models outlives the routes.
void AddModelRoute(HttpRouter& router, const ModelSet& models, ModelRoute route);

// The fields that name a model in each answer about it, errors included: x-model, and x-model-revision of one of the store.
std::vector<HttpField> FieldsOf(const InferenceService& service);
// Has whatever answers the request carry them.
void NameModel(const InferenceService& service, const HttpResponder& responder);

// What a model that does not do the task does, and which of those that are served do: for the hint of an error.
std::string WhoDoes(const ModelSet& models, const InferenceService& service, std::string_view task);

// The model of this name. Throws HttpError 404 with the names of those that are served.
ModelSet::ServicePtr FindModel(const ModelSet& models, std::string_view name);

}  // namespace mlac
