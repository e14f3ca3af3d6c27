#pragma once
// The protocol of Hugging Face's text-embeddings-inference 1.9: POST /embed, /embed_all, /similarity, /predict, /rerank, /tokenize, GET /info,
// /health. A body of /embed or /predict that has "parameters" is in Hugging Face's form (hub_form.h).
#include "http/router.h"
#include "serve/model_set.h"

namespace mlac {

// models outlives the routes.
void AddTeiRoutes(HttpRouter& router, const ModelSet& models);

// {"error", "error_type"}
HttpResponse FormatTeiError(const HttpError& error);

}  // namespace mlac
