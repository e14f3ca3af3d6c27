#include "serve/admin.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/file.h"
#include "base/json.h"
#include "hub/record.h"
#include "models/adapter.h"
#include "serve/json_reader.h"
#include "serve/model_routes.h"

namespace mlac {
namespace {

constexpr int kAdminFieldStatus = 422;

std::string Describe(const InferenceService& service) {
  const ServedModel& model = service.model();
  std::string body = R"({"name":)";
  AppendJsonString(body, service.name());
  body += R"(,"tasks":[)";
  for (const std::string& task : model.tasks()) {
    if (!body.ends_with('[')) body += ',';
    AppendJsonString(body, task);
  }
  body += ']';
  if (const std::string& base = service.origin().base; !base.empty()) {
    body += R"(,"base":)";
    AppendJsonString(body, base);
  }
  return body + fmt::format(R"(,"dtype":"{}","max_input_length":{},"requests_in_flight":{}}})", model.dtype(), model.max_length(),
                            service.num_in_flight());
}

// Plain parts apart by slashes: nothing empty, ".", "..", and no control character.
bool IsPlainPath(const std::string& path) {
  if (std::any_of(path.begin(), path.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == '\\'; })) return false;
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view part = std::string_view(path).substr(begin, end - begin);
    if (part.empty() || part == "." || part == "..") return false;
    begin = end + 1;
  }
  return true;
}

// A new name: parts apart by slashes, each as the store has names, so that paths and logs show it as it is. Throws HttpError.
void CheckNewName(const std::string& name) {
  for (size_t begin = 0; begin <= name.size();) {
    const size_t end = std::min(name.find('/', begin), name.size());
    try {
      CheckArtefactName(std::string_view(name).substr(begin, end - begin));
    } catch (const Error& error) {
      const std::string& text = error.message();
      throw HttpError(kAdminFieldStatus, fmt::format("the model's name: {}", text.substr(text.rfind(": ") + 2)), "name");
    }
    begin = end + 1;
  }
}

std::shared_ptr<CurrentApiKeys> KeysOf(const AdminOptions& options) {
  if (options.keys.empty()) throw Error(ErrorCode::kInvalidArgument, "the admin routes need a key of their own");
  return std::make_shared<CurrentApiKeys>(options.keys);
}

}  // namespace

Admin::Admin(AdminOptions options, ModelLoader& loader, ModelSet& models)
    : options_(std::move(options)), keys_(KeysOf(options_)), loader_(loader), models_(models) {
  if (!FolderExists(options_.model_root))
    throw Error(ErrorCode::kNotFound, fmt::format("model root '{}': no such folder", options_.model_root),
                "--model-root names the folder that models are loaded from");
}

// The folder of a name below the root. field: where the request says it. Throws HttpError.
std::string Admin::FindFolder(const std::string& name, std::string_view field) const {
  const std::string folder = options_.model_root + "/" + name, place(field);
  if (!IsPlainPath(name))
    throw HttpError(kAdminFieldStatus, fmt::format("'{}' must be a path below the model root, of plain names", field), place);
  if (!FolderExists(folder)) throw HttpError(404, fmt::format("'{}' names no folder below the model root", field), place);
  if (!LiesIn(folder, options_.model_root)) throw HttpError(kAdminFieldStatus, fmt::format("'{}' leads out of the model root", field), place);
  return folder;
}

// What an adapter of this name stands over where the request does not say: what the one that is served stands over, else the only model
// there is.
std::string Admin::FindBase(const std::string& name) const {
  if (const ModelSet::ServicePtr service = models_.Find(name); service != nullptr && !service->origin().base.empty())
    return service->origin().base;
  std::string base;
  for (const ModelSet::ServicePtr& service : models_.All()) {
    if (!service->origin().base.empty()) continue;
    if (!base.empty())
      throw HttpError(kAdminFieldStatus, "'base' is missing: several models are served that the adapter could stand over", "base");
    base = service->name();
  }
  return base;
}

// {"folder"}, or {"adapter", "base"}. Throws HttpError.
ModelSource Admin::ReadSource(HttpRequest request) const {
  std::string folder, adapter, base;
  JsonReader(std::move(request.body), kAdminFieldStatus).ReadObject([&](std::string_view field, JsonValue& value) {
    if (field == "folder") folder = value.String();
    if (field == "adapter") adapter = value.String();
    if (field == "base" && value.kind() != JsonValue::Kind::kNull) base = value.String();
  });
  ModelSource source = {.name = request.parameters.front(), .folder = {}};
  if (models_.Find(source.name) == nullptr) CheckNewName(source.name);
  if (folder.empty() && adapter.empty())
    throw HttpError(kAdminFieldStatus, "'folder' is missing", "folder", "an adapter is named by 'adapter' and 'base'");
  if (!folder.empty() && !adapter.empty()) throw HttpError(kAdminFieldStatus, "'adapter' and 'folder' exclude each other", "adapter");
  if (!folder.empty() && !base.empty()) throw HttpError(kAdminFieldStatus, "'base' is there for an 'adapter' alone", "base");
  source.folder = FindFolder(folder.empty() ? adapter : folder, folder.empty() ? "adapter" : "folder");
  if (adapter.empty()) {
    if (IsAdapterFolder(source.folder))
      throw HttpError(kAdminFieldStatus, "'folder' holds an adapter and no model", "folder", "name it as 'adapter', with its 'base'");
    return source;
  }
  source.origin.base = base.empty() ? FindBase(source.name) : FindModel(models_, base)->name();
  return source;
}

// A model that does not fit will not fit in a moment either: no 503, after which clients try again.
bool Admin::LoadWithinMemory(const ModelSource& source) {
  try {
    return loader_.Load({source});
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kResourceExhausted) throw;
    throw HttpError(507, error.message(), "", error.hint());
  }
}

// Reads, looks and does behind the changes that were asked for before: it may name a model that one of those brings, and the file system
// may be slow.
void Admin::Change(HttpRequest request, HttpResponder responder, HttpResponse (Admin::*change)(HttpRequest request)) {
  worker_.Post([this, request = std::move(request), responder = std::move(responder), change]() mutable {
    try {
      responder.Send((this->*change)(std::move(request)));
    } catch (...) {
      responder.SendError(std::current_exception());
    }
  });
}

HttpResponse Admin::Load(HttpRequest request) {
  const ModelSource source = ReadSource(std::move(request));
  const bool replaced = LoadWithinMemory(source);
  const ModelSet::ServicePtr service = models_.Find(source.name);
  if (!service) throw HttpError(409, "the model was unloaded meanwhile");
  std::string body = Describe(*service);
  body.pop_back();
  return {.body = body + fmt::format(R"(,"replaced":{}}})", replaced)};
}

HttpResponse Admin::Unload(HttpRequest request) {
  const ModelSet::ServicePtr service = FindModel(models_, request.parameters.front());
  try {
    loader_.Unload(service->name());
  } catch (const Error& error) {
    throw HttpError(409, error.message(), "", error.hint());
  }
  return {.body = Describe(*service)};
}

void Admin::List(const HttpResponder& responder) const {
  std::string body = R"({"models":[)";
  for (const ModelSet::ServicePtr& service : models_.All()) {
    if (!body.ends_with('[')) body += ',';
    body += Describe(*service);
  }
  responder.Send({.body = body + "]}"});
}

void Admin::AddRoutes(HttpRouter& router) {
  const auto add = [&](const char* method, const char* pattern, const char* content_type, auto handle) {
    router.Add({.method = method, .pattern = pattern, .handler = handle, .content_type = content_type, .keys = keys_});
  };
  add("GET", "/admin/models", "", [this](HttpRequest, HttpResponder responder) { List(responder); });
  add("PUT", "/admin/models/{name*}", "application/json",
      [this](HttpRequest request, HttpResponder responder) { Change(std::move(request), std::move(responder), &Admin::Load); });
  add("DELETE", "/admin/models/{name*}", "",
      [this](HttpRequest request, HttpResponder responder) { Change(std::move(request), std::move(responder), &Admin::Unload); });
}

}  // namespace mlac
