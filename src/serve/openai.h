#pragma once
// OpenAI's protocol: POST /v1/embeddings, GET /v1/models, GET /v1/models/{id}.
#include "http/router.h"
#include "serve/inference_service.h"

namespace mlac {

// service outlives the routes.
void AddOpenAiRoutes(HttpRouter& router, InferenceService& service);

// {"error": {"message", "type", "param", "code"}}
HttpResponse FormatOpenAiError(const HttpError& error);

}  // namespace mlac
