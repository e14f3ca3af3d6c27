#include "serve/admin.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/file.h"
#include "base/json.h"
#include "serve/json_reader.h"
#include "serve/model_routes.h"

namespace mlac {
namespace {

constexpr int kFieldStatus = 422;

std::string Describe(const InferenceService& service) {
  const ServedModel& model = service.model();
  std::string body = R"({"name":)";
  AppendJsonString(body, service.name());
  body += R"(,"tasks":[)";
  for (const std::string& task : model.tasks()) {
    if (!body.ends_with('[')) body += ',';
    AppendJsonString(body, task);
  }
  return body + fmt::format(R"(],"dtype":"{}","max_input_length":{},"requests_in_flight":{}}})", model.dtype(), model.max_length(),
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

}  // namespace

Admin::Admin(AdminOptions options, ModelSet& models)
    : options_(std::move(options)), keys_(std::make_shared<const ApiKeys>(options_.keys)), models_(models) {
  if (options_.keys.empty()) throw Error(ErrorCode::kInvalidArgument, "the admin routes need a key of their own");
  if (!FolderExists(options_.model_root))
    throw Error(ErrorCode::kNotFound, fmt::format("model root '{}': no such folder", options_.model_root),
                "--model-root names the folder that models are loaded from");
}

// The folder of a name below the root. Throws HttpError.
std::string Admin::FindFolder(const std::string& name) const {
  const std::string folder = options_.model_root + "/" + name;
  if (!IsPlainPath(name)) throw HttpError(kFieldStatus, "'folder' must be a path below the model root, of plain names", "folder");
  if (!FolderExists(folder)) throw HttpError(404, "'folder' names no folder below the model root", "folder");
  if (!LiesIn(folder, options_.model_root)) throw HttpError(kFieldStatus, "'folder' leads out of the model root", "folder");
  return folder;
}

void Admin::Load(HttpRequest request, HttpResponder responder) {
  std::string name;
  JsonReader(std::move(request.body), kFieldStatus).ReadObject([&](std::string_view field, JsonValue& value) {
    if (field == "folder") name = value.String();
  });
  if (name.empty()) throw HttpError(kFieldStatus, "'folder' is missing", "folder");
  const std::string folder = FindFolder(name);
  loader_.Post([this, folder, model = request.parameters.front(), responder] {
    try {
      const bool replaced = models_.Put(model, options_.open(folder));
      const ModelSet::ServicePtr service = models_.Find(model);
      if (!service) throw HttpError(409, "the model was unloaded meanwhile");
      std::string body = Describe(*service);
      body.pop_back();
      responder.Send({.body = body + fmt::format(R"(,"replaced":{}}})", replaced)});
    } catch (...) {
      responder.SendError(std::current_exception());
    }
  });
}

void Admin::Unload(const HttpRequest& request, const HttpResponder& responder) {
  const ModelSet::ServicePtr service = FindModel(models_, request.parameters.front());
  try {
    models_.Remove(service->name());
  } catch (const Error& error) {
    throw HttpError(409, error.message(), "", error.hint());
  }
  responder.Send({.body = Describe(*service)});
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
      [this](HttpRequest request, HttpResponder responder) { Load(std::move(request), std::move(responder)); });
  add("DELETE", "/admin/models/{name*}", "", [this](HttpRequest request, HttpResponder responder) { Unload(request, responder); });
}

}  // namespace mlac
