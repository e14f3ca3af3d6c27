#pragma once
// What the head of a request decides: host, key, route, type of the body.
#include <optional>
#include <string>
#include <string_view>

#include "http/message.h"
#include "http/server_shared.h"

namespace mlac {

// Whether RFC 9110 or RFC 5789 registers the method; others are not known to any route.
bool IsKnownMethod(std::string_view method);

// What of the server's CORS origins lets read the answer, null if nothing does.
const std::string* AllowedOrigin(const ServerShared& shared, const HttpRequest& request);

// The error with the route's refusal_fields.
HttpError WithFields(HttpError error, const HttpRoute& route, const HttpRequest& request);

struct RequestTarget {
  const HttpRoute* route = nullptr;          // null only with an early answer
  std::optional<HttpResponse> early_answer;  // to OPTIONS, which no handler sees
};

// Reads the target into request (path, query, parameters) and finds its route. What comes first decides: host, key, route, type of the
// body. found is told the route as soon as it is known, for the log. Throws the HttpError that refuses the request.
RequestTarget CheckRequest(const ServerShared& shared, std::string_view target, bool has_origin, HttpRequest& request, std::string& found);

}  // namespace mlac
