#include "serve/model_server.h"

#include <fmt/format.h>

#include <atomic>
#include <optional>

#include "serve/hub_form.h"
#include "serve/memory_limit.h"
#include "serve/metrics.h"
#include "serve/model_set.h"
#include "serve/open_inference.h"
#include "serve/openai.h"
#include "serve/pages.h"
#include "serve/span_exporter.h"
#include "serve/tei.h"

namespace mlac {
namespace {

// In the form of the protocol that the path belongs to.
HttpResponse FormatError(const HttpError& error, std::string_view path) {
  if (path == "/v2" || path.starts_with("/v2/")) return FormatOpenInferenceError(error);
  // A model's name may hold slashes, so its twin is known by its end.
  const bool is_openai = path.starts_with("/v1/") || (path.starts_with("/models/") && path.ends_with("/v1/embeddings"));
  return is_openai ? FormatOpenAiError(error) : FormatTeiError(error);
}

void Check(const ModelServerOptions& options) {
  const auto at_least_one = [](size_t value, std::string_view name) {
    if (value == 0) throw Error(ErrorCode::kInvalidArgument, fmt::format("{} is 0; it is at least 1", name));
  };
  at_least_one(options.inference.max_batch_tokens, "--max-batch-tokens");
  at_least_one(options.inference.max_concurrent_requests, "--max-concurrent-requests");
  at_least_one(options.inference.max_client_batch_size, "--max-client-batch-size");
  at_least_one(options.http.limits.max_body_bytes, "--payload-limit");
}

// Below a limit the stacks of workers would take the memory of requests, were they made later.
InferenceServiceOptions WithinMemory(const ModelServerOptions& options) {
  InferenceServiceOptions inference = options.inference;
  inference.starts_all_workers = options.memory_limit > 0;
  return inference;
}

}  // namespace

struct ModelServer::Impl {
  const uint64_t memory_limit;
  std::atomic<const HttpServer*> running = nullptr;  // the server, once it is whole
  ServeMetrics metrics;
  std::optional<SpanExporter> spans;
  ModelSet models;
  ModelLoader loader;
  std::optional<Admin> admin;
  std::optional<AliasFollower> follower;
  HttpRouter router;
  std::optional<HttpServer> server;                  // goes first: it calls all the others

  explicit Impl(const ModelServerOptions& options)
      : memory_limit(options.memory_limit),
        models(WithinMemory(options), metrics, [this] { RenewMemoryLimit(); }),
        loader(options.open, models) {}

  // Behind a model whose files are not mapped any more there is more room for requests.
  void RenewMemoryLimit() {
    if (memory_limit == 0 || running == nullptr) return;
    try {
      LimitMemory(memory_limit);
    } catch (const std::exception&) {  // no memory to look: the limit is stricter than it need be until the next one ends
    }
  }
};

ModelServer::ModelServer(std::vector<NamedModel> models, ModelServerOptions options) {
  Check(options);
  if (models.empty()) throw Error(ErrorCode::kInvalidArgument, "no model to serve");
  impl_ = std::make_unique<Impl>(options);
  Impl& impl = *impl_;
  for (NamedModel& model : models) {
    if (impl.models.Find(model.name) != nullptr)
      throw Error(ErrorCode::kInvalidArgument, fmt::format("two models are called '{}'", model.name), "give one another name: OTHER=FOLDER");
    impl.models.Put(model.name, std::move(model.model), std::move(model.origin));
  }
  if (options.memory_limit > 0) {  // with the memory that computing takes
    impl.models.WarmUp();
    CheckMemory(options.memory_limit, "the models");
  }
  if (!options.otlp_endpoint.empty()) impl.spans.emplace(options.otlp_endpoint);
  if (options.admin) impl.admin.emplace(std::move(*options.admin), impl.loader, impl.models).AddRoutes(impl.router);
  AddOpenAiRoutes(impl.router, impl.models);
  AddOpenInferenceRoutes(impl.router, impl.models);
  AddTeiRoutes(impl.router, impl.models);
  AddHubRoutes(impl.router, impl.models);
  AddPageRoutes(impl.router, [&impl] {
    const HttpServer* server = impl.running.load();
    return impl.metrics.Render({.requests_in_flight = impl.models.num_in_flight(),
                                .sequences_waiting = impl.models.num_waiting(),
                                .connections = server == nullptr ? 0 : server->num_connections(),
                                .spans_sent = impl.spans ? impl.spans->num_sent() : 0,
                                .spans_lost = impl.spans ? impl.spans->num_lost() : 0});
  });
  options.http.format_error = FormatError;
  options.http.on_access = [&impl, on_access = std::move(options.on_access)](const HttpAccess& access) {
    impl.metrics.CountAccess(access);
    if (impl.spans) impl.spans->Add(access);
    if (on_access) on_access(access);
  };
  options.http.on_tls_failure = [&impl, on_tls_failure = std::move(options.on_tls_failure)](TlsFailure failure) {
    impl.metrics.CountTlsFailure(failure);
    if (on_tls_failure) on_tls_failure(failure);
  };
  options.http.noted_fields = {{"x-model", "model"}};
  impl.server.emplace(std::move(options.http), impl.router);
  impl.running = &*impl.server;
  if (options.memory_limit > 0) LimitMemory(options.memory_limit);
  if (options.follow) impl.follower.emplace(std::move(*options.follow), impl.loader, impl.models, impl.metrics);
}

ModelServer::~ModelServer() { impl_->models.TakeNoMore(); }

int ModelServer::port() const { return impl_->server->port(); }
std::string ModelServer::url() const { return impl_->server->url(); }
const HttpRouter& ModelServer::router() const { return impl_->router; }
ModelSet& ModelServer::models() { return impl_->models; }
ModelLoader& ModelServer::loader() { return impl_->loader; }
void ModelServer::ReloadTls() { impl_->server->ReloadTls(); }
void ModelServer::SetApiKeys(ApiKeys keys) { impl_->server->SetApiKeys(std::move(keys)); }
void ModelServer::SetAdminKeys(ApiKeys keys) {
  if (!impl_->admin) throw Error(ErrorCode::kInvalidArgument, "there are no admin routes, which keys could open");
  impl_->admin->SetKeys(std::move(keys));
}
bool ModelServer::is_local() const { return impl_->server->is_local(); }
bool ModelServer::Shutdown(std::chrono::milliseconds grace) { return impl_->server->Shutdown(grace); }

}  // namespace mlac
