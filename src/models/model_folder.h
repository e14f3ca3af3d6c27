#pragma once
// Opening a folder in the Hugging Face layout.
#include <memory>
#include <optional>
#include <string>

#include "models/model.h"
#include "models/registry.h"

namespace mlac {

// The folder that holds config.json, weights and tokenizer: `folder` itself or, where modules.json of sentence-transformers says so, a folder
// inside it ("0_Transformer"). Throws kNotFound if there is no such folder or no config.json in it.
std::string TransformerFolder(const std::string& folder);

// The model of a folder with the head that its config.json names, or with `request`. Weights stay mapped. Throws as MakeModel and WeightFiles.
std::unique_ptr<Model> OpenModel(const std::string& folder, const std::optional<HeadRequest>& request = std::nullopt);

// The names of the labels of a classifier of texts or tokens, by id; empty for another model.
std::vector<std::string> LabelNamesOf(const std::string& folder);

// config.json's problem_type: "single_label_classification", "multi_label_classification" or "regression"; "" where it says nothing.
// Throws kInvalidInput for another.
std::string ProblemTypeNameOf(const std::string& folder);

}  // namespace mlac
