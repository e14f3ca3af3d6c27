#pragma once
// The protocol of Hugging Face's text-embeddings-inference 1.9: POST /embed, /predict, /tokenize, GET /info, /health; and POST /, which is the
// one of /embed and /predict that the model can do.
#include "http/router.h"
#include "serve/inference_service.h"

namespace mlac {

// service outlives the routes.
void AddTeiRoutes(HttpRouter& router, InferenceService& service);

// {"error", "error_type"}
HttpResponse FormatTeiError(const HttpError& error);

}  // namespace mlac
