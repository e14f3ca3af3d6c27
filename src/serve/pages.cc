#include "serve/pages.h"

#include "serve/embedded.h"

namespace mlac {

void AddPageRoutes(HttpRouter& router, std::function<std::string()> render_metrics) {
  router.Add({.method = "GET",
              .pattern = "/",
              .handler =
                  [](HttpRequest, HttpResponder responder) {
                    // The page needs its own script and style and talks to this server; nothing else may be loaded or frame it.
                    responder.Send({.content_type = "text/html; charset=utf-8",
                                    .body = std::string(kIndexHtml),
                                    .fields = {{"content-security-policy",
                                                "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; "
                                                "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
                                               {"x-content-type-options", "nosniff"},
                                               {"referrer-policy", "no-referrer"},
                                               {"cache-control", "no-cache"}}});
                  },
              .open = true});
  router.Add({.method = "GET", .pattern = "/openapi.json", .handler = [](HttpRequest, HttpResponder responder) {
                responder.Send({.body = std::string(kOpenApiJson)});
              }});
  router.Add({.method = "GET", .pattern = "/metrics", .handler = [render = std::move(render_metrics)](HttpRequest, HttpResponder responder) {
                responder.Send({.content_type = "text/plain; version=0.0.4; charset=utf-8", .body = render()});
              }});
  router.Add({.method = "GET",
              .pattern = "/ping",
              .handler = [](HttpRequest, HttpResponder responder) { responder.Send({.content_type = "text/plain"}); },
              .open = true});
}

}  // namespace mlac
