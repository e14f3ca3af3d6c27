#pragma once
// The route table: which handler answers which method and path.
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "http/api_keys.h"
#include "http/message.h"

namespace mlac {

class HttpExchange;

// Answers one request, at any time and from any thread. Copies speak for the same request; when the last copy goes without an
// answer, the client is told of an internal error.
class HttpResponder {
 public:
  explicit HttpResponder(std::shared_ptr<HttpExchange> exchange);

  // The first answer counts, later ones are dropped. A client that has gone gets none.
  void Send(HttpResponse response) const;
  // As Send, in the form that the server gives its errors: HttpError's status, mlac::Error's by its code, 503 for lack of memory, 500
  // for any other.
  void SendError(const std::exception_ptr& error) const;
  void SendError(const HttpError& error) const;  // the cheap way, where many are refused: nothing is thrown
  // Puts a field on whatever answer is sent from now on, errors included.
  void AddField(HttpField field) const;

  // Whether the client has gone, so that nobody waits for the answer.
  bool cancelled() const;
  // callback is called once when the client goes before it is answered, or at once if it has gone already; from a thread of the
  // server, which it must not hold up. One callback a request: a second one replaces the first.
  void OnCancel(std::function<void()> callback) const;

 private:
  struct Handle;  // tells the exchange when the last copy goes
  std::shared_ptr<Handle> handle_;
};

// Called from a thread of the server, which it must not hold up. What it throws is sent as SendError does.
using HttpHandler = std::function<void(HttpRequest request, HttpResponder responder)>;

struct HttpRoute {
  std::string method;  // GET also answers HEAD
  // "/v1/models/{id}": a part in braces stands for any one segment. "{id*}" at the end stands for the rest, slashes included.
  std::string pattern;
  HttpHandler handler;
  std::string content_type = "";  // what a Content-Type has to be if there is one, "" if any will do
  bool open = false;              // answered without an API key
  std::shared_ptr<const CurrentApiKeys> keys = nullptr;  // asks for one of these instead of the server's
  // Fields of the answer where a request of this route is refused for its body's type or size, which the handler does not see.
  std::function<std::vector<HttpField>(const HttpRequest& request)> refusal_fields = {};
};

class HttpRouter {
 public:
  struct Match {
    const HttpRoute* route = nullptr;     // null: see allow
    const HttpRoute* of_path = nullptr;   // the first of this path, whatever its method
    std::vector<std::string> parameters;  // decoded
    std::string allow;                    // the methods of this path, "GET, HEAD"; "" if the path is unknown
  };

  // The first pattern that fits wins, so exact ones go first.
  void Add(HttpRoute route);
  // segments: the path, parted and decoded (HttpTarget).
  Match Find(std::string_view method, std::span<const std::string> segments) const;

  // The pattern that a path which fits none may have meant: it ends as the path does, or the path as it, as a wrong base URL makes it of
  // "/v1/embeddings": "/embeddings", "/v1/v1/embeddings", "/v1/embeddings/". Patterns with braces are not looked at. "" for none.
  std::string_view Nearest(std::span<const std::string> segments) const;

  const std::vector<HttpRoute>& routes() const { return routes_; }

 private:
  std::vector<HttpRoute> routes_;
  std::vector<std::vector<std::string>> patterns_;  // of each route, parted at '/'
};

}  // namespace mlac
