#include "http/request_check.h"

#include <fmt/format.h>

#include <algorithm>

#include "http/target.h"

namespace mlac {
namespace {

// "application/json" of "application/json; charset=utf-8".
std::string_view MediaType(std::string_view content_type) { return TrimBlanks(content_type.substr(0, content_type.find(';'))); }

void CheckKey(const ApiKeys& keys, const HttpRequest& request) {
  size_t num_fields = 0;
  std::string_view key;
  for (const HttpField& field : request.fields) {
    if (!EqualsIgnoringCase(field.name, "authorization")) continue;
    ++num_fields;
    const std::string_view value = field.value;
    if (const size_t blank = value.find(' '); EqualsIgnoringCase(value.substr(0, blank), "bearer"))
      key = TrimBlanks(value.substr(std::min(blank, value.size())));
  }
  if (keys.Contains(key) && num_fields == 1) return;
  HttpError error = HttpError(401, num_fields == 0 ? "an API key is needed" : "the API key is not known", "",
                              num_fields == 0 ? "send the header 'Authorization: Bearer KEY'" : "")
                        .Because(num_fields == 0 ? "no_key" : "wrong_key");
  error.fields = {{"www-authenticate", "Bearer"}};
  throw error;
}

// Of a path that is unknown neither answer nor log shows more than the route that may have been meant.
HttpError NoRoute(const HttpRouter& router, std::span<const std::string> segments) {
  const std::string nearest(router.Nearest(segments));
  HttpError error = HttpError(404, "no such route", "", nearest.empty() ? "" : fmt::format("there is {}", nearest)).Because("no_route");
  if (!nearest.empty()) error.notes = {{"nearest", nearest}};
  return error;
}

}  // namespace

HttpError WithFields(HttpError error, const HttpRoute& route, const HttpRequest& request) {
  if (route.refusal_fields) error.fields = route.refusal_fields(request);
  return error;
}

bool IsKnownMethod(std::string_view method) {
  for (const std::string_view known : {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})
    if (method == known) return true;
  return false;
}

const std::string* AllowedOrigin(const ServerShared& shared, const HttpRequest& request) {
  const std::string_view origin = request.Field("origin");
  if (origin.empty()) return nullptr;
  for (const std::string& allowed : shared.options.cors_allow_origins)
    if (allowed == "*" || allowed == origin) return &allowed;
  return nullptr;
}

RequestTarget CheckRequest(const ServerShared& shared, std::string_view target_text, bool has_origin, HttpRequest& request,
                           std::string& found) {
  RequestTarget result;
  const std::optional<HttpTarget> target = ParseTarget(request.method, target_text);
  if (!target) throw HttpError(400, "the target of the request is no valid path or URL");
  request.path = target->path;
  request.query = target->query;

  // RFC 9112 section 3.2.2: the absolute form overrides Host.
  const std::string_view host = target->authority.empty() ? request.Field("host") : std::string_view(target->authority);
  if (shared.checks_host && !host.empty() && !IsLoopback(host) && !EqualsIgnoringCase(HostOf(host), shared.public_host))
    throw HttpError(403, "the Host of the request is neither this machine nor the public URL of the server", "",
                    "start the server with --public-url if it stands behind a proxy");

  HttpRouter::Match match;
  if (!target->asterisk) match = shared.router.Find(request.method, target->segments);
  if (target->asterisk) match.allow = "GET, HEAD, POST, OPTIONS";
  result.route = match.route;
  request.parameters = std::move(match.parameters);
  if (result.route) found = result.route->pattern;

  const bool is_options = request.method == "OPTIONS" && !result.route && !match.allow.empty();
  if (is_options && has_origin && !request.Field("access-control-request-method").empty()) {
    result.early_answer = HttpResponse{.status = 204};
    result.early_answer->fields = {{"access-control-allow-methods", match.allow},
                                   {"access-control-allow-headers", "authorization, content-type, x-model, x-request-id, traceparent"},
                                   {"access-control-max-age", "600"}};
    return result;  // a browser shows no key here
  }
  // A method that a path does not take is refused to those whose keys open the path.
  const HttpRoute* const keeper = result.route ? result.route : match.of_path;
  const std::shared_ptr<const ApiKeys> keys = keeper && keeper->keys ? keeper->keys->Get() : shared.CurrentKeys();
  if (!keys->empty() && !(result.route && result.route->open)) CheckKey(*keys, request);
  if (is_options) {
    result.early_answer = HttpResponse{.status = 204, .fields = {{"allow", match.allow}}};
    return result;
  }
  if (!result.route) {
    if (match.allow.empty()) throw NoRoute(shared.router, target->segments);
    if (!IsKnownMethod(request.method)) throw HttpError(501, "the method is not known");
    HttpError error(405, fmt::format("the route does not take {}", request.method), "", fmt::format("it takes {}", match.allow));
    error.fields = {{"allow", match.allow}};
    throw error;
  }
  if (const std::string_view coding = request.Field("content-encoding"); !coding.empty() && !EqualsIgnoringCase(coding, "identity"))
    throw WithFields(HttpError(415, "compressed bodies are not taken"), *result.route, request);
  const std::string_view type = request.Field("content-type");
  if (!result.route->content_type.empty() && !type.empty() && !EqualsIgnoringCase(MediaType(type), result.route->content_type))
    throw WithFields(HttpError(415, fmt::format("the body has to be {}", result.route->content_type), "",
                               "set the header Content-Type so, or leave it out"),
                     *result.route, request);
  return result;
}

}  // namespace mlac
