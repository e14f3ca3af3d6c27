#pragma once
// Routes that change what is served while it is: GET /admin/models, PUT and DELETE /admin/models/{name}.
#include <memory>
#include <string>
#include <string_view>

#include "http/router.h"
#include "serve/model_loader.h"
#include "serve/model_set.h"
#include "serve/worker_thread.h"

namespace mlac {

struct AdminOptions {
  ApiKeys keys;            // to begin with, at least one; those of other routes do not open these
  std::string model_root;  // models and adapters are loaded from folders in it and nowhere else
};

// One change at a time, on a thread of its own, so that requests go on. Outlives the routes.
class Admin {
 public:
  // Throws kInvalidArgument without a key or a folder to load from.
  Admin(AdminOptions options, ModelLoader& loader, ModelSet& models);
  // Drops the changes that wait.
  ~Admin() { worker_.Stop(); }

  void AddRoutes(HttpRouter& router);
  // For requests to come. Throws kInvalidArgument for none.
  void SetKeys(ApiKeys keys) { keys_->Set(std::move(keys)); }

 private:
  void Change(HttpRequest request, HttpResponder responder, HttpResponse (Admin::*change)(HttpRequest request));
  HttpResponse Load(HttpRequest request);
  HttpResponse Unload(HttpRequest request);
  bool LoadWithinMemory(const ModelSource& source);
  ModelSource ReadSource(HttpRequest request) const;
  void List(const HttpResponder& responder) const;
  std::string FindFolder(const std::string& name, std::string_view field) const;
  std::string FindBase(const std::string& name) const;

  const AdminOptions options_;
  const std::shared_ptr<CurrentApiKeys> keys_;
  ModelLoader& loader_;
  ModelSet& models_;
  WorkerThread worker_;
};

}  // namespace mlac
