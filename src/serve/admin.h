#pragma once
// Routes that change what is served while it is: GET /admin/models, PUT and DELETE /admin/models/{name}.
#include <functional>
#include <memory>
#include <string>

#include "http/router.h"
#include "serve/model_set.h"
#include "serve/worker_thread.h"

namespace mlac {

struct AdminOptions {
  ApiKeys keys;            // at least one; those of other routes do not open these
  std::string model_root;  // models are loaded from folders in it and nowhere else
  // Opens a folder; throws as OpenServedModel.
  std::function<std::unique_ptr<ServedModel>(const std::string& folder)> open;
};

// One load at a time, on a thread of its own, so that requests go on. Outlives the routes.
class Admin {
 public:
  // Throws kInvalidArgument without a key or a folder to load from.
  Admin(AdminOptions options, ModelSet& models);
  // Drops the loads that wait.
  ~Admin() { loader_.Stop(); }

  void AddRoutes(HttpRouter& router);

 private:
  void Load(HttpRequest request, HttpResponder responder);
  void Unload(const HttpRequest& request, const HttpResponder& responder);
  void List(const HttpResponder& responder) const;
  std::string FindFolder(const std::string& name) const;

  const AdminOptions options_;
  const std::shared_ptr<const ApiKeys> keys_;
  ModelSet& models_;
  WorkerThread loader_;
};

}  // namespace mlac
