#pragma once
// What is served beside the protocols: the page at /, /openapi.json, /metrics and /ping.
#include <functional>
#include <string>

#include "http/router.h"

namespace mlac {

// render_metrics: what /metrics answers.
void AddPageRoutes(HttpRouter& router, std::function<std::string()> render_metrics);

}  // namespace mlac
