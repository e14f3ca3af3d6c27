#pragma once
// Models behind HTTP: the protocols, metrics and the page.
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "http/server.h"
#include "serve/admin.h"
#include "serve/alias_follower.h"
#include "serve/inference_service.h"
#include "serve/model_loader.h"
#include "serve/model_set.h"
#include "serve/served_model.h"

namespace mlac {

struct ModelServerOptions {
  HttpServerOptions http = {};  // format_error, noted_fields, on_access and on_tls_failure are set here
  InferenceServiceOptions inference = {};
  std::function<void(const HttpAccess& access)> on_access = {};  // for the access log; called from the server's threads
  std::function<void(TlsFailure failure)> on_tls_failure = {};   // likewise
  std::string otlp_endpoint = "";                                // where spans are sent; "": nowhere
  uint64_t memory_limit = 0;  // bytes that the process may hold (memory_limit.h), 0: no limit
  ModelOpeners open = {};                                        // for the two below
  std::optional<AdminOptions> admin = std::nullopt;              // lets those with its keys change what is served
  std::optional<FollowOptions> follow = std::nullopt;            // aliases whose moves change what is served
};

class ModelServer {
 public:
  // Serves until Shutdown. Throws as HttpServer and ModelSet::Put; kInvalidArgument for limits that cannot be, no model, or two of one name;
  // kResourceExhausted if the models need more than memory_limit.
  ModelServer(std::vector<NamedModel> models, ModelServerOptions options);
  ~ModelServer();

  int port() const;
  std::string url() const;
  // The routes, for the test that compares them with openapi.json.
  const HttpRouter& router() const;
  // What is served, and how models come, go and change places.
  ModelSet& models();
  ModelLoader& loader();

  // As HttpServer has them.
  void ReloadTls();
  void SetApiKeys(ApiKeys keys);
  // The same of those that open the admin routes. Throws kInvalidArgument for none, and without such routes.
  void SetAdminKeys(ApiKeys keys);
  bool is_local() const;
  // Accepts no more, answers what it holds, closes. Returns whether all was answered within grace.
  bool Shutdown(std::chrono::milliseconds grace);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mlac
