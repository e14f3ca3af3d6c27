#pragma once
// The families of models, by config.json's model_type.
#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "models/model.h"
#include "nn/weights.h"

namespace mlac {

// Which head a model is built with.
struct HeadRequest {
  Head head = Head::kNone;
  size_t num_labels = 0;
  bool fresh = false;  // a new classifier instead of the checkpoint's
  uint64_t seed = 0;   // of a new classifier
};

// The head that config.json's "architectures" names: "...ForSequenceClassification", "...ForMaskedLM", else none.
HeadRequest HeadOf(const nlohmann::json& config, const std::string& file);

// Throws kUnsupported for a model_type that no family has (naming the known ones, nearest first), kInvalidInput where there is none.
void CheckModelType(const nlohmann::json& config, const std::string& file);

// Builds the model that config describes. file, source: config.json's and the weights' names, for messages. Throws as CheckModelType, and
// kInvalidInput for absurd values and weights that do not fit.
std::unique_ptr<Model> MakeModel(const nlohmann::json& config, const std::string& file, WeightLookup weights, const std::string& source,
                                 const HeadRequest& request);

// The model types that MakeModel knows.
std::vector<std::string> KnownModelTypes();

}  // namespace mlac
