#pragma once
// OpenAI's protocol: POST /v1/embeddings, GET /v1/models, GET /v1/models/{id}.
#include "http/router.h"
#include "serve/model_set.h"

namespace mlac {

// models outlives the routes.
void AddOpenAiRoutes(HttpRouter& router, const ModelSet& models);

// {"error": {"message", "type", "param", "code"}}
HttpResponse FormatOpenAiError(const HttpError& error);

}  // namespace mlac
