#pragma once
// The families of models, by config.json's model_type.
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "models/model.h"
#include "nn/weights.h"

namespace mlac {

// The head that config.json's "architectures" names: "...ForSequenceClassification", "...ForTokenClassification", "...ForQuestionAnswering",
// "...ForMaskedLM", else none.
HeadRequest HeadOf(const nlohmann::json& config, const std::string& file);

// Throws kUnsupported for a model_type that no family has (naming the known ones, nearest first), kInvalidInput where there is none.
void CheckModelType(const nlohmann::json& config, const std::string& file);

// Builds the model that config describes. file, source: config.json's and the weights' names, for messages. Throws as CheckModelType, and
// kInvalidInput for absurd values and weights that do not fit.
std::unique_ptr<Model> MakeModel(const nlohmann::json& config, const std::string& file, WeightSource weights, const std::string& source,
                                 const HeadRequest& request);

// The longest sequence, in tokens, that such a model takes: the positions of its config.json without those that its family gives to no token
// of a text. Throws as CheckModelType, and kInvalidInput for an absurd number.
size_t MaxTokens(const nlohmann::json& config, const std::string& file);

// The model types that a family has.
std::vector<std::string> KnownModelTypes();

}  // namespace mlac
