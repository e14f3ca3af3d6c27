#pragma once
// Opening a folder in the Hugging Face layout.
#include <memory>
#include <optional>
#include <string>

#include "models/model.h"
#include "models/registry.h"

namespace mlac {

// The folder that holds config.json, weights and tokenizer: `folder` itself or, where modules.json of sentence-transformers says so, a folder
// inside it ("0_Transformer"). Throws kNotFound if there is no such folder or no config.json in it, kInvalidArgument for an adapter.
std::string TransformerFolder(const std::string& folder);

// The model of a folder with the head that its config.json names, or with `request`. Weights stay mapped. Throws as MakeModel and WeightFiles.
std::unique_ptr<Model> OpenModel(const std::string& folder, const std::optional<HeadRequest>& request = std::nullopt);

// The names of the labels of a classifier of texts or tokens, by id; empty for another model. adapter: a folder of one over it, or "".
std::vector<std::string> LabelNamesOf(const std::string& folder, const std::string& adapter = "");

// config.json's problem_type: "single_label_classification", "multi_label_classification" or "regression"; "" where it says nothing.
// Throws kInvalidInput for another. adapter: as above.
std::string ProblemTypeNameOf(const std::string& folder, const std::string& adapter = "");

// Whether a classifier's one label says how well a text answers a query: it is one of sentence-transformers or of `mlac train text-ranking`, which
// leave problem_type out. One of numbers, or of texts that have the label or not, has it. adapter: as above.
bool IsCrossEncoder(const std::string& folder, const std::string& adapter = "");

}  // namespace mlac
