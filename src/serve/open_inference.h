#pragma once
// The Open Inference Protocol, version 2, over REST, as KServe and Triton speak it: /v2, /v2/health/*, /v2/models/NAME.
#include "http/router.h"
#include "serve/model_set.h"

namespace mlac {

// models outlives the routes.
void AddOpenInferenceRoutes(HttpRouter& router, const ModelSet& models);

// {"error"}
HttpResponse FormatOpenInferenceError(const HttpError& error);

}  // namespace mlac
