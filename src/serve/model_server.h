#pragma once
// A model behind HTTP: OpenAI's and TEI's protocols, metrics and the page.
#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "http/server.h"
#include "serve/inference_service.h"
#include "serve/served_model.h"

namespace mlac {

struct ModelServerOptions {
  HttpServerOptions http = {};  // format_error and on_access are set here
  InferenceServiceOptions inference = {};
  std::function<void(const HttpAccess& access)> on_access = {};  // for the access log; called from the server's threads
};

class ModelServer {
 public:
  // Serves until Shutdown. Throws as HttpServer; kInvalidArgument for limits that cannot be.
  ModelServer(std::unique_ptr<ServedModel> model, ModelServerOptions options);
  ~ModelServer();

  int port() const;
  std::string url() const;
  // The routes, for the test that compares them with openapi.json.
  const HttpRouter& router() const;

  // Accepts no more, answers what it holds, closes. Returns whether all was answered within grace.
  bool Shutdown(std::chrono::milliseconds grace);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mlac
