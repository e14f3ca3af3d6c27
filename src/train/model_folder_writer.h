#pragma once
// A trained model as a folder that mlac, transformers and everyone else's tools open.
#include <string>
#include <vector>

#include "models/adapter_config.h"
#include "models/model.h"

namespace mlac {

// Writes model.safetensors, config.json (label names, architecture by the model's head, problem_type unless it is "") and the tokenizer's
// files into `folder`. source: the folder that the model began from, whose config.json and tokenizer are carried over, and of an encoder without a
// head the pooler, if it has one. max_length becomes tokenizer_config.json's model_max_length; 0: no limit.
// Of a model with an adapter the weights are its base's and its own, without the adapter's A and B (MergeAdapter); or, where `adapter` is given,
// adapter_config.json and adapter_model.safetensors stand in the place of model.safetensors.
void WriteModelFolder(const std::string& folder, const Model& model, const std::string& source, const std::vector<std::string>& label_names,
                      const std::string& problem_type, size_t max_length, const AdapterConfig* adapter = nullptr);

// The last part of that: tokenizer.json, vocab.txt and what stands beside them.
void WriteTokenizer(const std::string& folder, const std::string& source, size_t max_length);

// Throws kAlreadyExists for a folder that is there, is not empty, and holds nothing that a model or its training leaves in one (config.json
// and the like, a checkpoint): --overwrite is no way to lose something else.
void CheckReplaceable(const std::string& folder);

}  // namespace mlac
