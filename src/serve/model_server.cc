#include "serve/model_server.h"

#include <fmt/format.h>

#include <atomic>
#include <optional>

#include "serve/metrics.h"
#include "serve/openai.h"
#include "serve/pages.h"
#include "serve/tei.h"

namespace mlac {
namespace {

HttpResponse FormatError(const HttpError& error, std::string_view path) {
  return path.starts_with("/v1/") ? FormatOpenAiError(error) : FormatTeiError(error);
}

void Check(const ServedModel& model, const ModelServerOptions& options) {
  const auto at_least_one = [](size_t value, std::string_view name) {
    if (value == 0) throw Error(ErrorCode::kInvalidArgument, fmt::format("{} is 0; it is at least 1", name));
  };
  at_least_one(options.inference.max_batch_tokens, "--max-batch-tokens");
  at_least_one(options.inference.max_concurrent_requests, "--max-concurrent-requests");
  at_least_one(options.inference.max_client_batch_size, "--max-client-batch-size");
  at_least_one(options.http.limits.max_body_bytes, "--payload-limit");
  if (model.is_classifier() && model.label_names().size() != model.output_size())
    throw Error(ErrorCode::kInvalidInput, fmt::format("the model has {} labels and names {}", model.output_size(), model.label_names().size()));
}

}  // namespace

struct ModelServer::Impl {
  std::unique_ptr<ServedModel> model;
  ServeMetrics metrics;
  InferenceService service;
  HttpRouter router;
  std::atomic<const HttpServer*> running = nullptr;  // the server, once it is whole
  std::optional<HttpServer> server;                  // goes first: it calls all the others

  Impl(std::unique_ptr<ServedModel> served, const InferenceServiceOptions& options)
      : model(std::move(served)), metrics(options.model_name), service(*model, options, metrics) {}
};

ModelServer::ModelServer(std::unique_ptr<ServedModel> model, ModelServerOptions options) {
  Check(*model, options);
  impl_ = std::make_unique<Impl>(std::move(model), options.inference);
  Impl& impl = *impl_;
  AddOpenAiRoutes(impl.router, impl.service);
  AddTeiRoutes(impl.router, impl.service);
  AddPageRoutes(impl.router, [&impl] {
    const HttpServer* server = impl.running.load();
    return impl.metrics.Render({.requests_in_flight = impl.service.num_in_flight(),
                                .sequences_waiting = impl.service.num_waiting(),
                                .connections = server == nullptr ? 0 : server->num_connections()});
  });
  options.http.format_error = FormatError;
  options.http.on_access = [&impl, on_access = std::move(options.on_access)](const HttpAccess& access) {
    impl.metrics.CountAccess(access);
    if (on_access) on_access(access);
  };
  impl.server.emplace(std::move(options.http), impl.router);
  impl.running = &*impl.server;
}

ModelServer::~ModelServer() = default;

int ModelServer::port() const { return impl_->server->port(); }
std::string ModelServer::url() const { return impl_->server->url(); }
const HttpRouter& ModelServer::router() const { return impl_->router; }
bool ModelServer::Shutdown(std::chrono::milliseconds grace) { return impl_->server->Shutdown(grace); }

}  // namespace mlac
